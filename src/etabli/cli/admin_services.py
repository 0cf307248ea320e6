"""`etabli admin services`, `stop`, `extend`, `catalogs`, `catalogs-refresh`: the whole lab's."""

from typing import cast

import typer

from etabli.cli import client, output
from etabli.cli.admin_people import Json, cells, pages
from etabli.kernel import errors


def add_to(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command()
    def services(
        context: typer.Context,
        search: str = typer.Option("", help="In the name, the chart or the id."),
        state: str = typer.Option("", help="`ready`, `stopped`, `failed`…"),
        project: str = typer.Option("", help="Of this project."),
        owner: str = typer.Option("", help="Launched by this person."),
    ) -> None:
        """Services of everybody, newest first, with what they use."""
        asked = {"search": search, "state": state, "project": project, "owner": owner}
        found = pages(_api(context), "/admin/services", "services", **asked)
        keys = ("id", "name", "chart", "project", "owner", "state", "cores", "memory_bytes", "created_at", "expires_at")
        headings = ("id", "name", "chart", "project", "owner", "state", "cores", "bytes", "since", "ends")
        output.table(headings, [cells(one, *keys) for one in found])

    @app.command()
    def stop(context: typer.Context, service: str, reason: str = typer.Option(help="Why: its people read it.")) -> None:
        """Pause a service of anybody."""
        _api(context).post(f"/admin/services/{service}/stop", {"reason": reason})

    @app.command()
    def extend(
        context: typer.Context,
        service: str,
        days: int = typer.Option(help="Days that it lives from now."),
        reason: str = typer.Option(help="Why: its people read it."),
    ) -> None:
        """Move the end of a service of anybody."""
        _api(context).post(f"/admin/services/{service}/extend", {"reason": reason, "days": days})

    @app.command()
    def catalogs(context: typer.Context) -> None:
        """Every catalogue: where it comes from, when it was read, which charts cannot be launched and why."""
        found = cast("list[Json]", _api(context).get("/admin/catalogs"))
        keys = ("id", "location", "charts", "refreshed_at", "problem")
        output.table(("catalogue", "from", "charts", "read", "problem"), [cells(one, *keys) for one in found])
        for one in found:
            for broken in cast("list[Json]", one["broken"]):
                print(f"  {one['id']}/{broken['name']}: {broken['problem']}")

    @app.command("catalogs-refresh")
    def refresh(context: typer.Context, catalog: str) -> None:
        """Read a catalogue again now."""
        read = cast("Json", _api(context).post(f"/admin/catalogs/{catalog}/refresh"))
        if read["problem"]:
            raise errors.Unavailable(f"the catalogue could not be read: {read['problem']}")
        print(f"{read['charts']} charts")


def _api(context: typer.Context) -> client.Client:
    return cast("client.Client", context.obj)
