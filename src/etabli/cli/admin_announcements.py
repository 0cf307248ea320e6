"""`etabli admin announcements`, `announce`, `announcement-end`, `usage`."""

from datetime import UTC, datetime
from typing import cast

import typer

from etabli.cli import client, output
from etabli.cli.admin_people import Json, cells
from etabli.kernel import errors


def add_to(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command()
    def announcements(context: typer.Context) -> None:
        """What the lab tells its people, the newest first."""
        found = cast("list[Json]", _api(context).get("/admin/announcements"))
        keys = ("id", "level", "is_current", "starts_at", "ends_at", "en", "fr")
        output.table(keys, [[cell.partition("\n")[0] for cell in cells(one, *keys)] for one in found])

    @app.command()
    def announce(
        context: typer.Context,
        en: str = typer.Option("", help="Markdown, in English."),
        fr: str = typer.Option("", help="Markdown, in French."),
        level: str = typer.Option("info", help="`info`, `warning` or `critical`."),
        since: str = typer.Option("", "--from", help="From this moment, e.g. 2026-12-01T18:00 (UTC); now if left out."),
        until: str = typer.Option("", help="Until this moment (UTC); until it is taken back if left out."),
        stays: bool = typer.Option(False, help="Nobody may put it away."),
    ) -> None:
        """Tell everybody something, above every page."""
        body: Json = {"en": en, "fr": fr, "level": level, "dismissable": not stays}
        body |= {name: _moment(text) for name, text in (("starts_at", since), ("ends_at", until)) if text}
        print(cast("Json", _api(context).post("/admin/announcements", body))["id"])

    @app.command("announcement-end")
    def end(context: typer.Context, announcement: str) -> None:
        """Take an announcement back."""
        _api(context).delete(f"/admin/announcements/{announcement}")

    @app.command()
    def usage(
        context: typer.Context,
        days: int = typer.Option(30, min=1, help="The last days, today included."),
        by: str = typer.Option("project", help="`project` or `person`."),
        csv: bool = typer.Option(False, help="A line for each day, project and person."),
    ) -> None:
        """What was consumed: core-hours, GiB-hours of memory, bytes in S3."""
        if csv:
            with _api(context).stream("/admin/usage.csv", days=str(days)) as lines:
                for line in lines:
                    print(line)
            return
        report = cast("Json", _api(context).get("/admin/usage", days=str(days)))
        shares = cast("list[Json]", report["people" if by == "person" else "projects"])
        headings = (by, "core-hours", "GiB-hours", "GPU-hours", "bytes")
        keys = ("name", "cpu_hours", "memory_gib_hours", "gpu_hours", "storage_bytes")
        output.table(headings, [[_short(cell) for cell in cells(share, *keys)] for share in shares])


def _short(cell: str) -> str:
    return f"{float(cell):.2f}" if "." in cell and cell.replace(".", "").isdigit() else cell


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise errors.Invalid(f"`{text}` is no moment", hint="as in 2026-12-01T18:00") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _api(context: typer.Context) -> client.Client:
    return cast("client.Client", context.obj)
