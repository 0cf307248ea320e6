"""`etabli admin reset-link`, and what `etabli link NAME` does: letting people in again, through the API."""

from typing import cast

import typer

from etabli.cli import client

Json = dict[str, object]


def add_to(app: typer.Typer) -> None:
    """Add the command."""

    @app.command("reset-link")
    def reset_link(
        context: typer.Context,
        name: str = typer.Argument(help="Whose, by their short name."),
        remove_factors: bool = typer.Option(False, help="By it they may remove lost passkeys and codes too."),
    ) -> None:
        """Make a link by which a person chooses a new password: good once, for a day."""
        print(link_for(context, name, removes_factors=remove_factors))


def link_for(context: typer.Context, name: str, *, removes_factors: bool) -> str:
    """The link, this once."""
    made = _api(context).post(f"/admin/people/{name}/reset-link", {"remove_factors": removes_factors})
    return str(cast("Json", made)["link"])


def me(context: typer.Context) -> str:
    """The short name of whom the operator acts as: the first administrator where nobody is named."""
    return str(cast("Json", _api(context).get("/me"))["slug"])


def _api(context: typer.Context) -> client.Client:
    return cast("client.Client", context.obj)
