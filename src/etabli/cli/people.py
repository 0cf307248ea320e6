"""`invite`: who is let in, and where, through the API."""

from typing import cast

import typer

from etabli.cli import client, services


def add_to(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def invite(
        context: typer.Context,
        project: str = typer.Option(None, help="Into this shared project too, which you own."),
        role: str = typer.Option("member", help="In that project: viewer, member or owner."),
        days: int = typer.Option(7, help="How long the link is good."),
        uses: int = typer.Option(1, help="How many people it lets in."),
        email: str = typer.Option(None, help="For this address alone; the link is sent there where the lab can."),
    ) -> None:
        """Make a link that lets somebody in, and print it."""
        said = {"project": project, "email": email}
        body: services.Json = {
            "role": role,
            "days": days,
            "uses": uses,
            **{key: one for key, one in said.items() if one},
        }
        print(cast("services.Json", _api(context).post("/invitations", body))["link"])


def _api(context: typer.Context) -> client.Client:
    return cast("client.Client", context.obj)
