"""`up`, `down`, `status`, `doctor`, `environments`, `service install`: the lab of this machine."""

from pathlib import Path

import typer

from etabli.cli import admin_resets, output, ports

UNIT = Path("/etc/systemd/system/etabli.service")


def add_to(app: typer.Typer, local: ports.Lab) -> None:
    """Add the commands, over `local`."""
    _add_start(app, local)
    _add_looks(app, local)
    app.add_typer(_environments(local), name="environments")
    app.add_typer(_service(local), name="service")


def _add_start(app: typer.Typer, local: ports.Lab) -> None:
    @app.command()
    def up(
        domain: str = typer.Option(None, help="Answer at this name over HTTPS, to other devices too."),
        port: int = typer.Option(None, help="The front door's port (8000, or 443 with a domain)."),
        listen: str = typer.Option(None, help="The address to listen on (127.0.0.1, or all with a domain)."),
        certificates: str = typer.Option(None, help="`internal`, `files` or `on-demand`."),
        certificate: Path = typer.Option(None, help="With `files`: the chain, PEM."),
        key: Path = typer.Option(None, help="With `files`: its private key, PEM."),
        detach: bool = typer.Option(False, "--detach", help="Return once the lab answers."),
    ) -> None:
        """Start the lab."""
        options = ports.StartOptions(
            domain=domain,
            port=port,
            listen=listen,
            certificates=certificates,
            certificate=certificate,
            key=key,
            detach=detach,
        )
        local.up(options)

    @app.command()
    def upgrade(
        to: str = typer.Option(help="The new version: its folder, a virtual environment, or a tag of this checkout."),
        within: float = typer.Option(180, help="Seconds until it must answer; else the lab goes back."),
        without_backup: bool = typer.Option(False, "--without-backup", help="Take none before."),
    ) -> None:
        """Bring the running lab to another version, and back where that one does not come up. Services run on."""
        print(local.upgrade(to=to, within_seconds=within, backup=not without_backup))

    @app.command()
    def down() -> None:
        """Stop the lab: services first, then its components. Everything that lasts is kept."""
        local.down()


def _add_looks(app: typer.Typer, local: ports.Lab) -> None:
    @app.command()
    def status() -> None:
        """What runs: each component, its state, since when."""
        rows = local.status()
        output.rows(("component", "state", "since", "process"), rows)
        if not all(row.well for row in rows):
            raise typer.Exit(1)

    @app.command()
    def doctor() -> None:
        """What holds on this machine, and the command that mends what does not."""
        output.rows(("what", "holds", "why"), local.doctor())

    @app.command()
    def link(
        context: typer.Context,
        name: str = typer.Argument(
            "", help="Let this person in again, by their short name: they choose a new password."
        ),
    ) -> None:
        """The one-time link that makes the administrator, while the lab has nobody; with a name, one that lets them in again."""
        if name:
            print(admin_resets.link_for(context, name, removes_factors=True))
            return
        address = local.invitation()
        if address:
            print(address)
            return
        print("the lab has its people already: an administrator invites the next ones")
        print(f"who cannot get in any more: etabli link NAME (the first administrator is {admin_resets.me(context)})")


def _environments(local: ports.Lab) -> typer.Typer:
    app = typer.Typer(help="What services run in: built once, kept by digest.", no_args_is_help=True)

    @app.command("list")
    def show() -> None:
        """Every environment: its digest, its size, whether it is built."""
        output.rows(("environment", "base", "digest", "size", "state"), local.environments())

    @app.command()
    def build(name: str = typer.Argument(help="As in `etabli/NAME`.")) -> None:
        """Build one now."""
        local.build(name)

    @app.command()
    def lock(name: str = typer.Argument(help="As in `etabli/NAME`.")) -> None:
        """Choose the versions of an environment again, newest first, and write them beside its specification."""
        print(local.lock(name))

    @app.command()
    def renew() -> None:
        """Make the base `debian-13` anew, with today's packages; environments are built on it from then on."""
        print(local.renew())

    @app.command()
    def prune() -> None:
        """Remove trees that no environment and no service uses."""
        for removed in local.prune():
            print(removed)

    return app


def _service(local: ports.Lab) -> typer.Typer:
    app = typer.Typer(help="The lab as a service of this machine.", no_args_is_help=True)

    @app.command()
    def install(show: bool = typer.Option(False, "--print", help="Print the unit instead of writing it.")) -> None:
        """Write the systemd unit that starts the lab at boot."""
        unit = local.unit()
        if show:
            print(unit, end="")
            return
        try:
            UNIT.write_text(unit)
        except PermissionError:
            print(
                f"by root's hand: etabli service install --print | sudo tee {UNIT} && sudo systemctl enable --now etabli"
            )
            raise typer.Exit(4) from None
        print("now: systemctl daemon-reload && systemctl enable --now etabli")

    return app
