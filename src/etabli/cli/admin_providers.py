"""`admin providers`: the outside providers that say who people are, each tried."""

from typing import cast

import typer

from etabli.cli import client, output, ports, services


def add_to(admin: typer.Typer) -> None:
    """Add the commands."""
    providers = typer.Typer(help="Outside providers that say who people are.", no_args_is_help=True)
    admin.add_typer(providers, name="providers")

    @providers.command()
    def check(context: typer.Context) -> None:
        """Try each: discovery, keys, whether it knows the lab; with the address that must be registered there."""
        api = cast("client.Client", context.obj)
        rows = [_row(one) for one in cast("list[services.Json]", api.get("/admin/providers"))]
        output.rows(("provider", "holds", "redirect address"), rows)
        if not all(row.well for row in rows):
            raise typer.Exit(1)


def _row(found: services.Json) -> ports.Row:
    problems = cast("list[str]", found["problems"])
    holds = "yes" if found["well"] else "no"
    return ports.Row((str(found["id"]), holds, str(found["redirect_uri"])), well=not problems, hint="; ".join(problems))
