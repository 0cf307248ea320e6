"""`backup` and `restore`: the whole lab, copied to another place and brought back."""

import sys
from pathlib import Path

import typer

from etabli.cli import output, ports


def add_to(app: typer.Typer, local: ports.Lab) -> None:
    """Add the commands, over `local`."""
    app.add_typer(_backup(local), name="backup")

    @app.command()
    def restore(
        source: str = typer.Argument(metavar="FROM", help="Where the backups are: a folder, or `s3://bucket/prefix`."),
        identity: Path = typer.Option(help="The file of a recipient's private key."),
        backup: str = typer.Option(None, help="Which backup, as `etabli backup list` names it; else the newest."),
        signer: str = typer.Option(None, help="Refuse what another signed: the lab's `etabli backup key`."),
        services: str = typer.Option(
            "running", help="`running`: those that ran start with the lab; `stopped`: none does."
        ),
        endpoint: str = typer.Option("", help="Address of the S3 store."),
        region: str = typer.Option("us-east-1", help="Its region."),
    ) -> None:
        """Make the lab of a backup in an empty data folder (ETABLI_DATA), of this version or an older one."""
        if services not in {"running", "stopped"}:
            raise typer.BadParameter("`running` or `stopped`", param_hint="--services")
        options = ports.RestoreOptions(
            source=source,
            identity=identity,
            backup=backup,
            signer=signer,
            services_run=services == "running",
            endpoint=endpoint,
            region=region,
        )
        print(local.backups.restore(options))


def _backup(local: ports.Lab) -> typer.Typer:
    app = typer.Typer(help="The whole lab, encrypted to its administrators' keys.", no_args_is_help=True)

    @app.command()
    def now() -> None:
        """Take a backup of the running lab; people go on working."""
        print(local.backups.take())

    @app.command("list")
    def show() -> None:
        """Every whole backup, oldest first."""
        output.rows(("backup", "taken", "pieces"), local.backups.list())

    @app.command()
    def verify() -> None:
        """Look whether every piece of every backup is there and unchanged; no private key is needed."""
        told, wrong = local.backups.verify()
        if wrong:
            output.rows(("piece", "state"), wrong)
            print(f"{told}: {len(wrong)} are wrong; the next backup writes those that it still needs", file=sys.stderr)
            raise typer.Exit(1)
        print(f"{told}: all well")

    @app.command()
    def prune() -> None:
        """Forget the backups that the settings do not keep, and remove what nothing needs any more."""
        print(local.backups.prune())

    @app.command()
    def key() -> None:
        """Who signs this lab's backups: keep it beside your private key."""
        print(local.backups.signer())

    @app.command()
    def keygen(
        file: Path = typer.Argument(help="Where the private key is written: on another machine than the lab's."),
    ) -> None:
        """Make a private key that opens backups, and print its public half for `[backup] recipients`."""
        print(local.backups.keygen(file))

    return app
