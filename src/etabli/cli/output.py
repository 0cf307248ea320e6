"""How things are shown in a terminal: aligned columns, no decoration that a pipe would have to strip."""

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from etabli.cli import ports
from etabli.kernel import errors


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns under their headings; whole words, whatever the width, when piped."""
    shown = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
    for heading in headings:
        shown.add_column(heading, no_wrap=True)
    for row in rows:
        shown.add_row(*(escape(cell) for cell in row))
    console = Console() if sys.stdout.isatty() else Console(width=10_000)
    console.print(shown, soft_wrap=True)


def rows(headings: Sequence[str], content: Sequence[ports.Row]) -> None:
    """Rows with their hints below those that are not well."""
    table(headings, [row.cells for row in content])
    for row in content:
        if row.hint:
            print(f"  {row.cells[0]}: {row.hint}")


def complain(error: errors.EtabliError) -> None:
    """An error on standard error: what happened, each wrong field, what to do next."""
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(f"[red]error:[/red] {escape(error.message)}")
    if isinstance(error, errors.Invalid):
        for field, text in error.fields.items():
            console.print(f"  {escape(field)}: {escape(text)}")
    if error.hint:
        console.print(f"[dim]hint:[/dim] {escape(error.hint)}")
