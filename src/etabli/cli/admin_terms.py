"""`etabli admin terms …`: what everybody accepts before they come in, through the API."""

from pathlib import Path
from typing import cast

import typer

from etabli.cli import client, output
from etabli.kernel import errors

Json = dict[str, object]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    terms = typer.Typer(help="The terms of use: what everybody accepts before they come in.", no_args_is_help=True)
    app.add_typer(terms, name="terms")

    @terms.command()
    def show(context: typer.Context, language: str = typer.Option("en", help="In this language.")) -> None:
        """Print the version that holds, as Markdown."""
        texts = cast("dict[str, str]", cast("Json", _api(context).get("/terms"))["texts"])
        print(texts[language] if language in texts else next(iter(texts.values())), end="")

    @terms.command()
    def publish(
        context: typer.Context,
        english: Path = typer.Option(None, "--en", help="A file of Markdown, in English."),
        french: Path = typer.Option(None, "--fr", help="A file of Markdown, in French."),
    ) -> None:
        """Publish a version: everybody is asked to accept it. Its number is printed."""
        files = {"en": english, "fr": french}
        texts = {language: _text(path) for language, path in files.items() if path is not None}
        print(cast("Json", _api(context).post("/admin/terms", {"texts": texts}))["version"])

    @terms.command()
    def withdraw(context: typer.Context) -> None:
        """Ask nobody to accept terms any more."""
        _api(context).delete("/admin/terms")

    @terms.command()
    def versions(context: typer.Context) -> None:
        """Every version: when it was published, taken back, and how many accepted it."""
        rows = cast("list[Json]", _api(context).get("/admin/terms"))
        output.table(("version", "published", "taken back", "accepted"), [_row(one) for one in rows])

    @terms.command()
    def accepted(context: typer.Context, version: int = typer.Option(None, help="Of this version alone.")) -> None:
        """Who accepted which version, and when."""
        asked = {} if version is None else {"version": str(version)}
        rows = cast("list[Json]", _api(context).get("/admin/terms/acceptances", **asked))
        cells = [(str(one["slug"]), str(one["version"]), str(one["accepted_at"])) for one in rows]
        output.table(("who", "version", "accepted"), cells)


def _row(one: Json) -> tuple[str, ...]:
    held = cast("Json", one["terms"])
    return str(held["version"]), str(held["published_at"]), str(one["withdrawn_at"] or ""), str(one["accepted"])


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.Invalid(f"`{path}` cannot be read as text", hint="give a file of Markdown, UTF-8") from error


def _api(context: typer.Context) -> client.Client:
    return cast("client.Client", context.obj)
