"""`launch`, `ls`, `show`, `logs`, `open`, `stop`, `resume`, `extend`, `rm`: services, through the API."""

from typing import cast

import typer
import yaml

from etabli.cli import client, output
from etabli.kernel import errors

Json = dict[str, object]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    _add_launch(app)
    _add_looks(app)
    _add_changes(app)


def _add_launch(app: typer.Typer) -> None:
    @app.command()
    def launch(
        context: typer.Context,
        chart: str = typer.Argument(help="A chart of the catalogue: `jupyter-python`, or `CATALOG/CHART`."),
        name: str = typer.Option("", help="What you will read in the list."),
        project: str = typer.Option("", help="The project's name in addresses; your own if left out."),
        version: str = typer.Option(None, help="The chart's version; the newest if left out."),
        sets: list[str] = typer.Option(
            [], "--set", metavar="PATH=VALUE", help="A value, e.g. resources.limits.memory=2Gi."
        ),
        values: typer.FileText = typer.Option(None, help="A YAML file of values."),
    ) -> None:
        """Launch a service."""
        catalog, _, chart_name = chart.rpartition("/")
        body: Json = {
            "catalog": catalog or None,
            "chart": chart_name,
            "name": name,
            "version": version,
            "project": project or None,
            "values": merged(_read_values(values), sets),
        }
        service = cast("Json", _api(context).post("/services", {k: v for k, v in body.items() if v is not None}))
        print(service["id"])


def _add_looks(app: typer.Typer) -> None:
    @app.command("ls")
    def list_(context: typer.Context, project: str = typer.Option("", help="Your own if left out.")) -> None:
        """Your services."""
        parameters = {"project": project} if project else {}
        services = cast("list[Json]", _api(context).get("/services", **parameters))
        columns = ("id", "name", "chart", "state", "since", "expires")
        keys = ("id", "name", "chart", "state", "state_since", "expires_at")
        output.table(columns, [[str(service.get(key) or "") for key in keys] for service in services])

    @app.command()
    def show(context: typer.Context, service: str) -> None:
        """One service, all that is known of it, as YAML."""
        print(yaml.safe_dump(_api(context).get(f"/services/{service}"), allow_unicode=True, sort_keys=False), end="")

    @app.command()
    def logs(
        context: typer.Context, service: str, follow: bool = typer.Option(False, "-f", "--follow", help="And on.")
    ) -> None:
        """What a service wrote."""
        with _api(context).stream(f"/services/{service}/logs", follow=str(follow).lower()) as lines:
            for line in lines:
                print(line, flush=True)

    @app.command("open")
    def open_(context: typer.Context, service: str) -> None:
        """Open a service in the browser."""
        address = str(cast("Json", _api(context).get(f"/services/{service}"))["page"])
        print(address)
        typer.launch(address)


def _add_changes(app: typer.Typer) -> None:
    @app.command()
    def stop(context: typer.Context, service: str) -> None:
        """Pause a service; its volumes stay."""
        _api(context).post(f"/services/{service}/stop")

    @app.command()
    def resume(context: typer.Context, service: str) -> None:
        """Start a paused service again."""
        _api(context).post(f"/services/{service}/resume")

    @app.command()
    def extend(context: typer.Context, service: str) -> None:
        """Give a service the lab's full lifetime again, from now."""
        _api(context).post(f"/services/{service}/extend")

    @app.command()
    def rm(context: typer.Context, services: list[str]) -> None:
        """Delete services: what is not in Git, S3 or the vault goes with them."""
        for service in services:
            _api(context).delete(f"/services/{service}")


def merged(values: Json, sets: list[str]) -> Json:
    """`values` with each `path.to.key=value` set. Values read as YAML scalars: `2`, `true`, `2Gi`. Invalid where there is no `=`."""
    for text in sets:
        path, equals, value = text.partition("=")
        if not equals or not all(path.split(".")):
            raise errors.Invalid(f"`{text}` is not PATH=VALUE", hint="as in `--set resources.limits.memory=2Gi`")
        tree = values
        *parents, last = path.split(".")
        for key in parents:
            tree = cast("Json", tree.setdefault(key, {}))
            if not isinstance(tree, dict):
                raise errors.Invalid(f"`{path}` goes through a value that has no keys", fields={path: "no such key"})
        tree[last] = _scalar(path, value)
    return values


def _scalar(path: str, text: str) -> object:
    try:
        return yaml.safe_load(text) if text else ""
    except yaml.YAMLError as error:
        raise errors.Invalid(f"`{path}` is not set to YAML", hint="quote what has brackets or colons") from error


def _read_values(file: typer.FileText | None) -> Json:
    if file is None:
        return {}
    try:
        content = yaml.safe_load(file)
    except yaml.YAMLError as error:
        raise errors.Invalid(f"the file of values is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise errors.Invalid("the file of values is not a mapping", hint="write `key: value` lines")
    return content


def _api(context: typer.Context) -> client.Client:
    return cast("client.Client", context.obj)
