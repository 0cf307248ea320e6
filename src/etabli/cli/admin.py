"""`etabli admin`: what administrators do, through the API."""

import typer

from etabli.cli import (
    admin_announcements,
    admin_audit,
    admin_entry,
    admin_machine,
    admin_people,
    admin_providers,
    admin_resets,
    admin_services,
    admin_terms,
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    admin = typer.Typer(help="For administrators of the lab.", no_args_is_help=True)
    app.add_typer(admin, name="admin")
    admin_people.add_to(admin)
    admin_services.add_to(admin)
    admin_announcements.add_to(admin)
    admin_audit.add_to(admin)
    admin_machine.add_to(admin)
    admin_entry.add_to(admin)
    admin_resets.add_to(admin)
    admin_providers.add_to(admin)
    admin_terms.add_to(admin)
