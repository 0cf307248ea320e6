"""The script that prepares a home and becomes the service: run by a real shell, with real Git and real scripts over HTTP."""

import http.server
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.catalog import builders

FILES = builders.BUILTIN / "jupyter-python" / "files"
Start = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.fixture
def start(tmp_path: Path, home: Path) -> Start:
    """Runs the script with these variables; what it becomes prints its environment."""
    own = tmp_path / "start"
    shutil.copytree(FILES, own)
    shutil.copy(own / "start-here.en.ipynb", own / "start-here.ipynb")

    def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(home), **variables}
        return subprocess.run(
            ["sh", own / "start.sh", *(command or ("env",))],
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )

    return run


@pytest.fixture
def serve() -> Iterator[Callable[[Mapping[str, bytes]], str]]:
    """Serves files over HTTP and says where."""
    servers: list[tuple[http.server.HTTPServer, threading.Thread]] = []

    def begin(files: Mapping[str, bytes]) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                content = files.get(self.path)
                self.send_response(404 if content is None else 200)
                self.end_headers()
                self.wfile.write(content or b"")

            def log_message(self, *_: object) -> None:
                return

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield begin
    for server, thread in servers:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def repository(tmp_path: Path) -> str:
    """A Git repository with a branch `dev`, as an address."""
    folder = tmp_path / "course.git"
    for command in (
        ("init", "--quiet", "--initial-branch=main", str(folder)),
        ("-C", str(folder), "commit", "--quiet", "--allow-empty", "-m", "first"),
        ("-C", str(folder), "branch", "dev"),
    ):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *command], check=True)
    return f"file://{folder}"


def variables(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def test_where_nothing_is_asked_it_becomes_the_service_and_says_nothing(start: Start, home: Path) -> None:
    done = start("printf", "%s|", "a b", "--x=")
    assert (done.stdout, done.stderr) == ("a b|--x=|", "")
    assert json.loads((home / "work/start-here.ipynb").read_text())["nbformat"] == 4
    assert not (home / ".gitconfig").exists()


def test_the_notebook_is_offered_once(start: Start, home: Path) -> None:
    start()
    (home / "work/start-here.ipynb").unlink()
    start()
    assert not (home / "work/start-here.ipynb").exists()


def test_a_notebook_that_was_worked_on_is_left_alone(start: Start, home: Path) -> None:
    (home / "work").mkdir()
    (home / "work/start-here.ipynb").write_text("mine")
    start()
    assert (home / "work/start-here.ipynb").read_text() == "mine"


def test_a_repository_is_cloned_once_on_its_branch(start: Start, home: Path, repository: str) -> None:
    asked = {
        "GIT_REPOSITORY": repository,
        "GIT_BRANCH": "dev",
        "GIT_USER_NAME": 'Ada "L"',
        "GIT_CREDENTIALS_CACHE_DURATION": "60",
    }
    start(**asked)
    assert (home / "work/course/.git/HEAD").read_text() == "ref: refs/heads/dev\n"
    (home / "work/course/mine").write_text("")
    assert start(**asked).stderr == ""
    assert (home / "work/course/mine").exists()
    name = subprocess.run(
        ["git", "config", "--file", home / ".gitconfig", "user.name"], capture_output=True, text=True, check=True
    )
    assert name.stdout == 'Ada "L"\n'


def test_a_repository_that_is_not_there_is_said_and_the_service_starts(start: Start) -> None:
    done = start("echo", "started", GIT_REPOSITORY="file:///no/such.git", GIT_CREDENTIALS_CACHE_DURATION="60")
    assert done.stdout == "started\n"
    assert "could not be cloned" in done.stderr


def test_a_token_is_in_no_file_and_goes_to_its_own_forge_alone(start: Start, home: Path) -> None:
    token = "t0k3n-of-mine"
    start(
        GIT_REPOSITORY="https://user@127.0.0.1:9/a/b.git",
        GIT_PERSONAL_ACCESS_TOKEN=token,
        GIT_CREDENTIALS_CACHE_DURATION="60",
    )
    assert token not in "".join(path.read_text(errors="replace") for path in home.rglob("*") if path.is_file())

    def fill(host: str) -> str:
        return subprocess.run(
            ["git", "credential", "fill"],
            input=f"protocol=https\nhost={host}\n\n",
            env={
                "PATH": "/usr/bin:/bin",
                "HOME": str(home),
                "GIT_PERSONAL_ACCESS_TOKEN": token,
                "GIT_TERMINAL_PROMPT": "0",
            },
            capture_output=True,
            text=True,
            check=False,
        ).stdout

    assert f"password={token}" in fill("127.0.0.1:9")
    assert token not in fill("example.org")


SCRIPT = b'printf "%s|" "$@" > "$HOME/arguments"; pwd > "$HOME/where"; echo loud'


@pytest.mark.parametrize("tools", ["with curl", "without curl"])
def test_a_personal_script_runs_before_the_service_with_its_words(
    start: Start, home: Path, serve: Callable[[Mapping[str, bytes]], str], tmp_path: Path, tools: str
) -> None:
    path = "/usr/local/bin:/usr/bin:/bin"
    if tools == "without curl":
        few = tmp_path / "few"
        few.mkdir()
        for name in ("sh", "bash", "cp", "mkdir", "mktemp", "rm", "python3", "cat", "env"):
            (few / name).symlink_to(shutil.which(name) or name)
        path = str(few)
    address = serve({"/init.sh": SCRIPT})
    done = start(
        "cat",
        str(home / "where"),
        PATH=path,
        PERSONAL_INIT_SCRIPT=f"{address}/init.sh",
        PERSONAL_INIT_ARGS="fr  *  a;b",
    )
    assert (home / "arguments").read_text() == "fr|*|a;b|"
    assert done.stdout == f"loud\n{home}/work\n"
    assert "personal script is done" in done.stderr


def test_a_personal_script_that_fails_or_is_gone_is_said_and_the_service_starts(
    start: Start, serve: Callable[[Mapping[str, bytes]], str]
) -> None:
    address = serve({"/init.sh": b"sudo-is-not-here; exit 3"})
    failed = start("echo", "started", PERSONAL_INIT_SCRIPT=f"{address}/init.sh")
    gone = start("echo", "started", PERSONAL_INIT_SCRIPT=f"{address}/none.sh?key=hunter2")
    assert failed.stdout == gone.stdout == "started\n"
    assert "ended with an error" in failed.stderr
    assert "could not be fetched" in gone.stderr
    assert "hunter2" not in gone.stderr


def test_the_labs_script_runs_only_where_it_is_the_one_announced(
    start: Start, serve: Callable[[Mapping[str, bytes]], str]
) -> None:
    address = serve({"/lab.sh": b"echo lab"})
    wrong = start("echo", "started", REGION_INIT_SCRIPT=f"{address}/lab.sh", REGION_INIT_SCRIPT_CHECKSUM="0" * 64)
    assert wrong.stdout == "started\n"
    assert "SHA-256" in wrong.stderr
    assert start("echo", "started", REGION_INIT_SCRIPT=f"{address}/lab.sh").stdout == "lab\nstarted\n"


def test_a_secret_of_the_vault_becomes_variables(start: Start, serve: Callable[[Mapping[str, bytes]], str]) -> None:
    secret = {
        "DB_PASSWORD": "a'b\"$(id)\nc",
        "bad-name": "x",
        ".onyxia": {"keysOrdering": ["SECOND", "DB_PASSWORD"]},
        "SECOND": 2,
    }
    address = serve({"/v1/kv/data/ada/db": json.dumps({"data": {"data": secret}}).encode()})
    asked = {"VAULT_ADDR": address, "VAULT_TOKEN": "v", "VAULT_TOP_DIR": "ada", "VAULT_RELATIVE_PATH": "db"}
    done = start("python3", "-c", "import json, os; print(json.dumps(dict(os.environ)))", **asked)
    found = json.loads(done.stdout)
    assert (found["DB_PASSWORD"], found["SECOND"]) == ("a'b\"$(id)\nc", "2")
    assert "could not be read" in start(**{**asked, "VAULT_RELATIVE_PATH": "none"}).stderr


def test_what_is_turned_off_is_not_there(start: Start) -> None:
    lab = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "u", "AWS_ENDPOINT_URL_S3": "e", "VAULT_TOKEN": "v", "VAULT_ADDR": "a"}
    assert lab.items() <= variables(start(**lab)).items()
    off = variables(start(**lab, ETABLI_WITHOUT_S3="true", ETABLI_WITHOUT_VAULT="true"))
    assert not lab.keys() & off.keys()
    other = variables(start(**lab, AWS_ACCESS_KEY_ID="k"))
    assert "AWS_CONTAINER_CREDENTIALS_FULL_URI" not in other
    assert other["AWS_ENDPOINT_URL_S3"] == "e"


def test_preferences_are_set_once_and_stay_the_persons(start: Start, home: Path) -> None:
    start(ETABLI_DARK_MODE="true", ETABLI_LANGUAGE="fr")
    theme = home / ".jupyter/lab/user-settings/@jupyterlab/apputils-extension/themes.jupyterlab-settings"
    assert json.loads(theme.read_text()) == {"theme": "JupyterLab Dark"}
    theme.write_text("mine")
    start(ETABLI_DARK_MODE="true", ETABLI_LANGUAGE="fr")
    assert theme.read_text() == "mine"
