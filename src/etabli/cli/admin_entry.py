"""`admin requests` and `admin mail`: who asks to come in, and what the lab could not send."""

from typing import cast

import typer

from etabli.cli import client, services


def add_to(admin: typer.Typer) -> None:
    """Add the commands."""
    _requests(admin)
    _mail(admin)


def _requests(admin: typer.Typer) -> None:
    requests = typer.Typer(help="Requests for an account from outside.", no_args_is_help=True)
    admin.add_typer(requests, name="requests")

    @requests.command("ls")
    def list_requests(context: typer.Context) -> None:
        """Those that wait, oldest first."""
        for asked in cast("list[services.Json]", _api(context).get("/admin/requests")):
            print(f"{asked['id']}\t{str(asked['created_at'])[:10]}\t{asked['email']}\t{asked['name']}")

    @requests.command()
    def approve(context: typer.Context, request: str) -> None:
        """Let that person in: the link is sent where the lab can, and printed."""
        print(cast("services.Json", _api(context).post(f"/admin/requests/{request}/approve"))["link"])

    @requests.command()
    def refuse(
        context: typer.Context, request: str, reason: str = typer.Option("", help="In words that the person will read.")
    ) -> None:
        """Answer no."""
        _api(context).post(f"/admin/requests/{request}/refuse", {"reason": reason})


def _mail(admin: typer.Typer) -> None:
    mail = typer.Typer(help="The lab's e-mail.", no_args_is_help=True)
    admin.add_typer(mail, name="mail")

    @mail.command()
    def test(context: typer.Context, to: str) -> None:
        """Send a message that says nothing; what the server answered is printed where it did not take it."""
        problem = str(cast("services.Json", _api(context).post("/admin/mail/test", {"to": to}))["problem"])
        print(problem or "sent")
        if problem:
            raise typer.Exit(1)

    @mail.command("ls")
    def list_mail(context: typer.Context) -> None:
        """Messages that the server has not taken, and what it said."""
        for kept in cast("list[services.Json]", _api(context).get("/admin/mail")):
            print(f"{str(kept['created_at'])[:16]}\t{kept['to']}\t{kept['attempts']}\t{kept['problem']}")


def _api(context: typer.Context) -> client.Client:
    return cast("client.Client", context.obj)
