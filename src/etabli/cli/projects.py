"""`projects …`: those that one is in, who is in them, and what their owners change, through the API."""

from typing import cast

import typer
import yaml

from etabli.cli import client, output
from etabli.cli.services import Json

SLUG = typer.Argument(help="The project's short name.")
PERSON = typer.Argument(help="The short name of a person.")


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    projects = typer.Typer(help="Projects that people share.", no_args_is_help=True)
    app.add_typer(projects, name="projects")
    _add_looks(projects)
    _add_changes(projects)
    _add_people(projects)
    _add_links(projects)


def _add_looks(projects: typer.Typer) -> None:
    @projects.command("ls")
    def list_(
        context: typer.Context, archived: bool = typer.Option(False, "--archived", help="Those that are archived.")
    ) -> None:
        """The projects that you are in."""
        found = cast("list[Json]", _api(context).get("/projects", archived=str(archived).lower()))
        keys = ("slug", "role", "name")
        output.table(keys, [[str(project[key]) for key in keys] for project in found])

    @projects.command()
    def show(context: typer.Context, project: str = SLUG) -> None:
        """One project, all that is known of it, as YAML."""
        print(yaml.safe_dump(_api(context).get(f"/projects/{project}"), allow_unicode=True, sort_keys=False), end="")

    @projects.command()
    def members(context: typer.Context, project: str = SLUG) -> None:
        """Who is in it."""
        found = cast("list[Json]", _api(context).get(f"/projects/{project}/members"))
        keys = ("slug", "role", "name", "since")
        output.table(keys, [[str(member[key]) for key in keys] for member in found])

    @projects.command()
    def classes(context: typer.Context) -> None:
        """Which data a project may hold: the lab's list."""
        found = cast("list[Json]", _api(context).get("/data-classes"))
        keys = ("id", "name", "sentence")
        output.table(keys, [[str(one[key]) for key in keys] for one in found])


def _add_changes(projects: typer.Typer) -> None:
    @projects.command()
    def create(
        context: typer.Context,
        name: str,
        slug: str = typer.Option(None, help="Names its bucket, for good."),
        description: str = typer.Option(None, help="What it is for, as Markdown."),
        data: str = typer.Option(None, help="Its data class; the lab's first if left out."),
    ) -> None:
        """Make a shared project; its short name is printed."""
        body = _given(name=name, slug=slug, description=description, data_class=data)
        print(cast("Json", _api(context).post("/projects", body))["slug"])

    @projects.command()
    def describe(
        context: typer.Context,
        project: str = SLUG,
        name: str = typer.Option(None, help="As its people read it."),
        description: str = typer.Option(None, help="What it is for, as Markdown."),
        data: str = typer.Option(None, help="Its data class."),
    ) -> None:
        """Change what a project says of itself."""
        _api(context).patch(f"/projects/{project}", _given(name=name, description=description, data_class=data))

    @projects.command()
    def archive(context: typer.Context, project: str = SLUG) -> None:
        """Close a project: its services stop, nothing is launched, all can be read."""
        _api(context).post(f"/projects/{project}/archive")

    @projects.command()
    def reopen(context: typer.Context, project: str = SLUG) -> None:
        """Open an archived project again."""
        _api(context).post(f"/projects/{project}/reopen")


def _add_people(projects: typer.Typer) -> None:
    @projects.command()
    def member(
        context: typer.Context,
        project: str = SLUG,
        person: str = PERSON,
        role: str = typer.Option("member", help="viewer, member or owner."),
    ) -> None:
        """Take somebody who has an account into a project, or change their role."""
        _api(context).put(f"/projects/{project}/members/{person}", {"role": role})

    @projects.command()
    def remove(context: typer.Context, project: str = SLUG, person: str = PERSON) -> None:
        """Take somebody out of a project; for them it is at once as if there were none."""
        _api(context).delete(f"/projects/{project}/members/{person}")

    @projects.command()
    def leave(context: typer.Context, project: str = SLUG) -> None:
        """Go out of a project."""
        me = cast("Json", _api(context).get("/me"))["slug"]
        _api(context).delete(f"/projects/{project}/members/{me}")

    @projects.command("hand-over")
    def hand_over(context: typer.Context, project: str = SLUG, person: str = PERSON) -> None:
        """Make another member the owner, and yourself a member."""
        _api(context).post(f"/projects/{project}/hand-over", {"member": person})


def _add_links(projects: typer.Typer) -> None:
    @projects.command()
    def invite(
        context: typer.Context,
        project: str = SLUG,
        role: str = typer.Option("member", help="viewer, member or owner."),
        days: int = typer.Option(7, help="How long the link is good."),
        uses: int = typer.Option(1, help="How many people it lets in."),
    ) -> None:
        """Make a link into a project, and print it."""
        body: Json = {"role": role, "days": days, "uses": uses}
        print(cast("Json", _api(context).post(f"/projects/{project}/invitations", body))["link"])

    @projects.command()
    def links(context: typer.Context, project: str = SLUG) -> None:
        """The links into a project that still open."""
        found = cast("list[Json]", _api(context).get(f"/projects/{project}/invitations"))
        keys = ("id", "role", "uses_left", "expires_at")
        output.table(keys, [[str(link[key]) for key in keys] for link in found])

    @projects.command()
    def uninvite(context: typer.Context, project: str = SLUG, link: str = typer.Argument(help="Its id.")) -> None:
        """Take a link back."""
        _api(context).delete(f"/projects/{project}/invitations/{link}")


def _given(**values: str | None) -> Json:
    return {name: value for name, value in values.items() if value is not None}


def _api(context: typer.Context) -> client.Client:
    return cast("client.Client", context.obj)
