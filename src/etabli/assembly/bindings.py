"""What services need, kept by identity, the catalogue, storage and the vault: each in its own words, here in one another's."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from etabli.assembly import authorities
from etabli.catalog import context as contexts
from etabli.catalog.service import Catalog
from etabli.engines import contract
from etabli.environments.indexes import CA_READERS
from etabli.environments.service import Environments
from etabli.identity.models import Project, ProjectKind, User
from etabli.identity.service import Identity
from etabli.kernel import errors, settings
from etabli.secrets.service import Vault
from etabli.services import ports
from etabli.storage.service import Storage


@dataclass(frozen=True)
class People:
    """Identity, as services ask it."""

    identity: Identity

    async def ground(self, *, user_id: str, project_id: str) -> ports.Ground | None:
        """The project as this person may know it; None where they are no member."""
        try:
            access = await self.identity.projects.require(user_id=user_id, project_id=project_id)
        except errors.NotFound:
            return None
        return _ground(access.project, may_change=access.may_work)

    async def projects(self, *, user_id: str) -> frozenset[str]:
        """The ids of the projects that this person is in; archived ones left out."""
        return frozenset(access.project.id for access in await self.identity.projects.list(user_id=user_id))

    async def project_ground(self, *, project_id: str) -> ports.Ground:
        """The project itself."""
        return _ground(await self.identity.projects.get(project_id=project_id), may_change=True)

    async def issue_token(self, *, service_id: str, project_id: str) -> str:
        """The one token of this service."""
        return await self.identity.service_tokens.issue(service_id=service_id, project_id=project_id)

    async def end_token(self, *, service_id: str) -> None:
        """The token buys nothing any more."""
        await self.identity.service_tokens.end(service_id=service_id)

    async def archive(self, *, by: User, project_id: str) -> None:
        """Close a project."""
        await self.identity.projects.archive(by=by, project_id=project_id)

    async def reopen(self, *, by: User, project_id: str) -> None:
        """Open it again."""
        await self.identity.projects.reopen(by=by, project_id=project_id)

    async def archived(self) -> frozenset[str]:
        """The ids of every closed project."""
        return await self.identity.projects.archived()


@dataclass(frozen=True)
class Charts:
    """The catalogue, as services ask it; and the context of charts, told from identity, storage and vault."""

    catalog: Catalog
    identity: Identity
    storage: Storage
    vault: Vault
    engine: contract.Engine
    lab: settings.LabSettings

    async def render(
        self,
        *,
        catalog: str,
        chart: str,
        version: str | None,
        values: Mapping[str, object],
        context: Mapping[str, object],
        release: str,
        namespace: str,
    ) -> ports.Rendered:
        """Validate and render. Refused where the chart wants hooks run around its installation."""
        rendered = await self.catalog.render(
            catalog=catalog,
            chart=chart,
            version=version,
            values=values,
            context=context,
            release=release,
            namespace=namespace,
        )
        if rendered.hooks:
            raise errors.Refused(
                f"`{chart}` has Helm hooks, which this lab does not run",
                hint="ask its author for a chart whose Jobs are ordinary manifests",
            )
        return ports.Rendered(
            chart_version=rendered.chart_version,
            manifests=rendered.manifests,
            notes=rendered.notes,
            values=rendered.values,
        )

    async def context(self, *, user_id: str, ground: ports.Ground, service_id: str) -> Mapping[str, object]:
        """Onyxia's context. In a shared project nothing is whoever's launches: the project stands in their place, or nothing does."""
        project = await self.identity.projects.get(project_id=ground.project_id)
        user = await self.identity.people.get(user_id=user_id)
        own = ground.personal
        return contexts.Context(
            user=contexts.User(idep=user.slug, name=user.name, email=user.email, lang=user.language)
            if own
            else contexts.User(idep=project.slug, lang=self.lab.language),
            project=contexts.Project(id=ground.namespace),
            git=_git(user) if own else contexts.Git(),
            vault=self._vault(project),
            s3=self._s3(project),
            s3_array=(self._s3(project),),
            region=contexts.region_of((await self.engine.check()).total),
            k8s=contexts.K8s(domain=self.lab.services_domain, random_subdomain=service_id),
        ).tree()

    def _vault(self, project: Project) -> contexts.Vault:
        variables = self.vault.variables(project=project)
        return contexts.Vault(
            address=variables["VAULT_ADDR"], mount=variables["VAULT_MOUNT"], top_dir=variables["VAULT_TOP_DIR"]
        )

    def _s3(self, project: Project) -> contexts.S3:
        variables = self.storage.variables(project=project)
        return contexts.S3(
            region=variables["AWS_REGION"],
            endpoint=variables["AWS_S3_ENDPOINT"],
            bucket=variables["ETABLI_BUCKET"],
            port=self.lab.port,
        )


@dataclass(frozen=True)
class Belongings:
    """Storage and vault, as services ask them."""

    identity: Identity
    storage: Storage
    vault: Vault
    environments: Environments
    trust: authorities.Trust

    async def prepare(self, *, ground: ports.Ground) -> Mapping[str, str]:
        """See that the bucket is there, with its sample the first time; the variables of every service of the project."""
        project = await self.identity.projects.get(project_id=ground.project_id)
        await self.storage.ensure_bucket(project=project)
        await self.storage.offer_sample(project=project)
        return {
            **self._package_variables(),
            **self.storage.variables(project=project),
            **self.vault.variables(project=project),
        }

    def _package_variables(self) -> Mapping[str, str]:
        """Indexes and proxies of the machine, but those that name a folder of it: services do not see its folders.

        The authorities are given apart, each time a service starts.
        """
        reach = self.environments.service_reach()
        unseen = tuple(mount.target for mount in reach.mounts)
        return {
            name: value
            for name, value in reach.variables.items()
            if name not in CA_READERS and not any(target in value for target in unseen)
        }

    async def authorities(self) -> ports.Authorities:
        """The machine's, the administrator's and the lab's own."""
        return await asyncio.to_thread(self.trust.read)

    async def vault_token(self, *, ground: ports.Ground) -> ports.VaultToken:
        """A vault token for the project."""
        project = await self.identity.projects.get(project_id=ground.project_id)
        login = await self.vault.login(subject=project)
        return ports.VaultToken(token=login.token, accessor=login.accessor)

    async def renew(self, *, accessor: str) -> bool:
        """Renew; False where it is no more."""
        return await self.vault.renew(accessor=accessor)

    async def revoke(self, *, accessor: str) -> None:
        """End a vault token."""
        await self.vault.revoke(accessor=accessor)

    async def keep(self, *, key: str, data: Mapping[str, str]) -> None:
        """Keep the lab's own secrets."""
        await self.vault.keep(key=key, data=data)

    async def fetch(self, *, key: str) -> Mapping[str, str]:
        """What was kept."""
        return await self.vault.fetch(key=key)

    async def forget(self, *, key: str) -> None:
        """Remove what was kept."""
        await self.vault.forget(key=key)


def _ground(project: Project, *, may_change: bool) -> ports.Ground:
    personal = project.kind is ProjectKind.PERSONAL
    return ports.Ground(
        project_id=project.id,
        slug=project.slug,
        namespace=f"{'user' if personal else 'project'}-{project.slug}",
        personal=personal,
        may_change=may_change,
        archived=project.archived_at is not None,
    )


@dataclass(frozen=True)
class Remains:
    """What a project holds outside the database, as leaving asks it."""

    storage: Storage
    vault: Vault

    async def erase(self, *, project: Project) -> None:
        """The bucket, then the folder; each may be gone already."""
        await self.storage.erase(project=project)
        await self.vault.erase(project=project)


def _git(user: User) -> contexts.Git:
    """What a person's own services sign commits with."""
    return contexts.Git(name=user.git.name or user.name, email=user.git.email or user.email)
