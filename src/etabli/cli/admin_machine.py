"""`etabli admin components`, `settings`: the lab's own parts."""

from typing import cast

import typer

from etabli.cli import client, output
from etabli.cli.admin_people import Json, cells


def add_to(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command()
    def components(context: typer.Context) -> None:
        """How each component of the lab stands."""
        found = cast("list[Json]", _api(context).get("/admin/components"))
        keys = ("name", "state", "since", "version", "memory_bytes", "starts", "failures")
        output.table(("component", *keys[1:]), [cells(one, *keys) for one in found])

    @app.command()
    def settings(
        context: typer.Context, changed: bool = typer.Option(False, help="Only what is not the default.")
    ) -> None:
        """Every setting that the lab runs with, and where it comes from; secrets are masked."""
        found = cast("list[Json]", _api(context).get("/admin/settings"))
        shown = [one for one in found if not changed or one["origin"] != "default"]
        rows = [[f"{one['section']}.{one['key']}", *cells(one, "value", "origin", "line")] for one in shown]
        output.table(("setting", "value", "from", "line"), rows)


def _api(context: typer.Context) -> client.Client:
    return cast("client.Client", context.obj)
