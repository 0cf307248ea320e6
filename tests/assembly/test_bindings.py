"""What a chart is told of a person, and what it is not."""

from pathlib import Path
from typing import Any

from etabli.assembly import bindings
from etabli.engines import contract
from etabli.engines.fake import FakeEngine
from etabli.identity import models
from etabli.kernel.clock import SystemClock
from etabli.kernel.settings import LabSettings
from etabli.secrets.client import Client as VaultClient
from etabli.secrets.service import Vault
from etabli.services import ports
from etabli.storage.client import Client
from etabli.storage.models import Keys
from etabli.storage.service import Storage
from etabli.storage.settings import StorageSettings
from tests.web.lab import opened


async def test_a_persons_git_names_are_told_to_their_own_services_and_to_no_shared_one(tmp_path: Path) -> None:
    async with opened(tmp_path) as lab:
        ada = await lab.admin()
        identity, labs = lab.rooms.identity, LabSettings()
        client = Client(socket=tmp_path / "s3", origin=labs.s3_origin, region="local", keys=Keys("a", "b", None))
        charts = bindings.Charts(
            catalog=lab.rooms.catalog,
            identity=identity,
            storage=Storage(
                client=client, issuer=identity.issuer, clock=SystemClock(), lab=labs, settings=StorageSettings()
            ),
            vault=Vault(
                client=VaultClient(socket=tmp_path / "vault"), issuer=identity.issuer, lab=labs, lab_token=lambda: ""
            ),
            engine=FakeEngine(total=contract.Resources(cpu=8, memory_bytes=16 << 30)),
            lab=labs,
        )

        async def git(project: models.Project) -> Any:
            own = project.kind is models.ProjectKind.PERSONAL
            ground = ports.Ground(
                project_id=project.id, slug=project.slug, namespace="n", personal=own, may_change=True
            )
            return (await charts.context(user_id=ada.id, ground=ground, service_id="s"))["git"]

        personal = await identity.projects.personal(user_id=ada.id)
        shared = await identity.projects.create(by=ada, name="Shared")
        assert ((await git(personal))["name"], (await git(personal))["email"]) == (ada.name, ada.email)
        await identity.profiles.choose_git(user_id=ada.id, names=models.GitNames(name="Ada L.", email="a@b.example"))
        assert ((await git(personal))["name"], (await git(personal))["email"]) == ("Ada L.", "a@b.example")
        assert "Ada" not in str(await git(shared))
        assert "a@b.example" not in str(await git(shared))
