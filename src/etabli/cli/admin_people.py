"""`etabli admin people`, `person`, `suspend`, `restore`, `sign-out`, `administrator`, `projects`, `quota`."""

from typing import cast

import typer
import yaml

from etabli.cli import client, output

Json = dict[str, object]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    _add_looks(app)
    _add_changes(app)
    _add_projects(app)


def pages(api: client.Client, path: str, key: str, **asked: str) -> list[Json]:
    """Everything that a paged list of the API holds."""
    found: list[Json] = []
    asked = {name: value for name, value in asked.items() if value}
    while True:
        page = cast("Json", api.get(path, **asked))
        found += cast("list[Json]", page[key])
        if page["after"] is None:
            return found
        asked = {**asked, "after": str(page["after"])}


def cells(item: Json, *keys: str) -> list[str]:
    """Columns of a table; nothing is an empty one."""
    return [str("" if item[key] is None else item[key]) for key in keys]


def _add_looks(app: typer.Typer) -> None:
    @app.command()
    def people(
        context: typer.Context,
        search: str = typer.Option("", help="In the name, the short name or the e-mail."),
        state: str = typer.Option("", help="`suspended` or `administrators`."),
    ) -> None:
        """Everybody, by name."""
        found = pages(_api(context), "/admin/people", "people", search=search, state=state)
        keys = ("slug", "name", "email", "is_admin", "suspended_at", "last_seen_at", "sessions", "projects")
        headings = ("person", "name", "e-mail", "administrator", "suspended", "last seen", "sessions", "projects")
        output.table(headings, [cells(one, *keys) for one in found])

    @app.command()
    def person(context: typer.Context, person: str) -> None:
        """One person, all that is known of them, as YAML."""
        print(yaml.safe_dump(_api(context).get(f"/admin/people/{person}"), allow_unicode=True, sort_keys=False), end="")


def _add_changes(app: typer.Typer) -> None:
    @app.command()
    def suspend(
        context: typer.Context,
        person: str,
        reason: str = typer.Option(help="Why: kept in the audit log."),
        stop_services: bool = typer.Option(False, help="Pause the services of their personal project too."),
    ) -> None:
        """Keep somebody out: their sessions and tokens end at once."""
        _api(context).post(f"/admin/people/{person}/suspend", {"reason": reason, "stop_services": stop_services})

    @app.command()
    def restore(context: typer.Context, person: str) -> None:
        """Let somebody in again."""
        _api(context).post(f"/admin/people/{person}/restore")

    @app.command("sign-out")
    def sign_out(context: typer.Context, person: str) -> None:
        """End every session of somebody."""
        _api(context).delete(f"/admin/people/{person}/sessions")

    @app.command()
    def administrator(
        context: typer.Context, person: str, remove: bool = typer.Option(False, help="Take the rights back.")
    ) -> None:
        """Give somebody an administrator's rights, or take them back."""
        path = f"/admin/people/{person}/administrator"
        if remove:
            _api(context).delete(path)
        else:
            _api(context).put(path)


def _add_projects(app: typer.Typer) -> None:
    @app.command()
    def projects(
        context: typer.Context,
        search: str = typer.Option("", help="In the name or the name in addresses."),
        state: str = typer.Option("", help="`shared`, `personal` or `archived`."),
    ) -> None:
        """Every project, by name."""
        found = pages(_api(context), "/admin/projects", "projects", search=search, state=state)
        keys = ("slug", "name", "kind", "archived_at", "members", "services", "ready")
        output.table(("project", *keys[1:3], "archived", *keys[4:]), [cells(one, *keys) for one in found])

    @app.command()
    def quota(
        context: typer.Context,
        project: str = typer.Argument(help="A project's name in addresses; a person's own has theirs."),
        services: int = typer.Option(None, help="Services at most, paused ones included."),
        cores: float = typer.Option(None, help="Cores at most, of running services together."),
        memory: float = typer.Option(None, help="Memory at most, GiB."),
        default: bool = typer.Option(False, "--default", help="What the lab gives to every project, again."),
    ) -> None:
        """What a project has and may have; with options, what it may have from now on. What is left out stays."""
        path = f"/admin/projects/{project}/quota"
        shown = cast("Json", _api(context).get(path))
        given = {"services": services, "cores": cores, "memory_gib": memory}
        chosen = {name: value for name, value in given.items() if value is not None}
        if chosen or default:
            own: Json = {} if default else cast("Json", shown["own"])
            shown = cast("Json", _api(context).put(path, {**own, **chosen}))
        print(yaml.safe_dump(shown, sort_keys=False), end="")


def _api(context: typer.Context) -> client.Client:
    return cast("client.Client", context.obj)
