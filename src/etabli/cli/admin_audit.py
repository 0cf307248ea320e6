"""`etabli admin audit`, `audit-verify`, `audit-export`: what was done in the lab, and whether its log holds."""

import json
from datetime import UTC, datetime
from typing import cast

import typer

from etabli.cli import client, output
from etabli.kernel import errors

Json = dict[str, object]
MOST = 10_000  # Records that one command shows.
PAGE = 1000


def add_to(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command()
    def audit(
        context: typer.Context,
        since: str = typer.Option("", help="From this day or moment on: 2026-11-24, 2026-11-24T10:00."),
        until: str = typer.Option("", help="Before this day or moment."),
        who: str = typer.Option("", help="Done by this person (their short name)."),
        what: str = typer.Option("", help="Actions that begin so: `services`, `session.sign_in`."),
        target: str = typer.Option("", help="Done to this: an id or a short name."),
        project: str = typer.Option("", help="In this project."),
        most: int = typer.Option(100, min=1, max=MOST, help="Records at most, the newest."),
        as_json: bool = typer.Option(False, "--json", help="One JSON object a line."),
    ) -> None:
        """What was done, newest first: by whom, on what, from where."""
        given = {"who": who, "what": what, "target": target, "project": project}
        asked = {name: value for name, value in given.items() if value}
        asked |= {name: _moment(text) for name, text in (("since", since), ("until", until)) if text}
        records = _search(_api(context), asked, most)
        if as_json:
            for record in records:
                print(json.dumps(record, ensure_ascii=False))
            return
        headings = ("at", "who", "action", "outcome", "on", "project", "from")
        output.table(headings, [_row(record) for record in records])

    @app.command("audit-verify")
    def verify(context: typer.Context) -> None:
        """Whether the audit log is as it was written; exit status 1 where it was tampered with."""
        verdict = cast("Json", _api(context).get("/admin/audit/verify"))
        if verdict["holds"]:
            print(f"the log holds: {verdict['rows']} records")
            return
        raise errors.Refused(
            f"the audit log was tampered with, from record {verdict['first_wrong']} on: {verdict['reason']}",
            hint="compare it with its copies in the bucket `lab`",
        )

    @app.command("audit-export")
    def export(context: typer.Context) -> None:
        """Copy what is not copied yet to the lab's own bucket, today's records too."""
        for made in cast("list[Json]", _api(context).post("/admin/audit/exports")):
            print(f"{made['day']}\t{made['rows']}\ts3://lab/{made['object_key']}")


def _search(api: client.Client, asked: dict[str, str], most: int) -> list[Json]:
    found: list[Json] = []
    while len(found) < most:
        page = cast("Json", api.get("/admin/audit", **asked, limit=str(min(PAGE, most - len(found)))))
        found += cast("list[Json]", page["records"])
        if page["before"] is None:
            break
        asked = {**asked, "before": str(page["before"])}
    return found


def _row(record: Json) -> list[str]:
    actor = cast("Json", record["actor"])
    keys = ("action", "outcome", "target", "project", "address")
    name = str(actor["name"] or actor["kind"])
    return [str(record["at"]), name, *(str(record[key]) for key in keys)]


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise errors.Invalid(f"`{text}` is no moment", hint="as in 2026-11-24 or 2026-11-24T10:00:00Z") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _api(context: typer.Context) -> client.Client:
    return cast("client.Client", context.obj)
