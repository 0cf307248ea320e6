"""The commands' tree, and how an error reads: message and hint on standard error, the type's own exit status."""

import os
import sys
from collections.abc import Mapping

import typer

from etabli.cli import access, admin, backup, client, lab, output, people, ports, projects, services, stored
from etabli.kernel import errors

EXIT_STATUS: Mapping[type[errors.EtabliError], int] = {
    errors.Invalid: 2,
    errors.NotFound: 3,
    errors.Forbidden: 4,
    errors.Conflict: 5,
    errors.QuotaExceeded: 6,
    errors.Unavailable: 75,  # EX_TEMPFAIL of sysexits.h: try again later.
    errors.Refused: 1,
    errors.EtabliError: 1,
}


def create(local: ports.Lab, *, environ: Mapping[str, str]) -> typer.Typer:
    """Every command, over one lab of this machine and those that it is signed in to."""
    app = typer.Typer(
        name="etabli",
        help="A self-service data lab for statisticians and data scientists.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        add_completion=False,
    )

    store = stored.Store(environ)

    @app.callback()
    def _start(
        context: typer.Context,
        acting_as: str = typer.Option(
            None, "--as", metavar="WHO", envvar="ETABLI_AS", help="Act as this person; else the first administrator."
        ),
        elsewhere: str = typer.Option(
            None, "--lab", metavar="ADDRESS", envvar="ETABLI_LAB", help="A lab that runs elsewhere; see `login`."
        ),
    ) -> None:
        context.obj = calling = _calling(local, store, environ, elsewhere=elsewhere, acting_as=acting_as)
        context.call_on_close(calling.close)

    access.add_to(app, store)
    lab.add_to(app, local)
    services.add_to(app)
    people.add_to(app)
    projects.add_to(app)
    admin.add_to(app)
    backup.add_to(app, local)
    return app


def run(app: typer.Typer) -> int:
    """Run the command that was typed; its exit status."""
    try:
        app()
        sys.stdout.flush()
    except errors.EtabliError as error:
        output.complain(error)
        return next(EXIT_STATUS[kind] for kind in type(error).__mro__ if kind in EXIT_STATUS)
    except SystemExit as end:  # Typer ends every command so: its usage errors are 2, as ours of that kind.
        # Typer and Rich both turn a reader that went away into 1.
        return _unread() if isinstance(end.__context__, BrokenPipeError) else int(end.code or 0)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return _unread()
    return 0


def _calling(
    local: ports.Lab, store: stored.Store, environ: Mapping[str, str], *, elsewhere: str | None, acting_as: str | None
) -> client.Client:
    """The lab that a command means: the one named, else the one of this machine, else the one last signed in to."""
    origin = client.origin_of(elsewhere) if elsewhere else None
    if origin is None and (acting_as or local.socket.exists()):
        return client.operated(local.socket, acting_as=acting_as)
    known = store.read()
    origin = origin or known.default
    if origin is None:
        return client.operated(local.socket, acting_as=acting_as)
    if acting_as and elsewhere:
        raise errors.Invalid("`--as` is for the operator of this machine's lab", hint="elsewhere, who signed in acts")
    return client.remote(origin, environ.get("ETABLI_TOKEN") or known.tokens.get(origin))


def _unread() -> int:
    """`etabli ls | head` is no error; what is still buffered goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
