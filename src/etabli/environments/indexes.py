"""Package indexes, proxies and certificate authorities, as this machine and its administrator set them for pip and uv.

Read: the variables `UV_*`, `PIP_*`, proxies and certificates; `pip.conf` (`[global]`, `[install]`) and `uv.toml`, of the system and of
the lab's user, where those tools look for them; user names and passwords of `~/.netrc`. A variable wins over a file, uv's over
pip's. The answer is a `Reach`: variables for a sandbox, and the files that they name, mounted where the variables say.

Sources: https://docs.astral.sh/uv/reference/environment/, https://pip.pypa.io/en/stable/topics/configuration/.
"""

import configparser
import netrc
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit, urlunsplit

from etabli.environments import models
from etabli.sandbox.models import Mount

CA_INSIDE = "/run/etabli-ca.pem"  # Where the machine's certificate authorities are seen inside.
WHEELS_INSIDE = "/run/etabli-wheels"  # Under it, folders of wheels that the machine keeps.
# Sandboxes on the base `host` see these as the machine does: nothing has to be mounted.
SEEN_INSIDE = ("/usr/", "/etc/ssl/certs/", "/etc/pki/ca-trust/", "/etc/pki/tls/certs/", "/etc/ca-certificates/")

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# Each is read by some tool. AWS_CA_BUNDLE is left out: rclone 1.60 fails where it is set, and botocore reads the others.
CA_READERS = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "PIP_CERT",
    "GIT_SSL_CAINFO",
    "NODE_EXTRA_CA_CERTS",
)
CREDENTIALS = re.compile(r"(?<=://)[^/@\s'\"]+@")


class _File(NamedTuple):
    """What one configuration file says, in pip's words."""

    values: Mapping[str, str]


@dataclass(frozen=True)
class Indexes:
    """Where packages come from and how they are reached, in neither tool's words."""

    index: str | None = None  # None: the tools' own default.
    extra: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    insecure_hosts: tuple[str, ...] = ()
    no_index: bool = False
    ca: Path | None = None
    proxies: Mapping[str, str] | None = None


def read(environ: Mapping[str, str], *, system: Path = Path("/etc")) -> Indexes:
    """What is set here. Files that cannot be read count as absent: pip and uv would say the same of them."""
    files = _files(environ, system)

    def first(*names: str) -> str | None:
        """The first that is set, of variables (upper case) then of the files' keys."""
        variables = [environ[name] for name in names if name.isupper() and environ.get(name)]
        keys = [file.values[name] for file in files for name in names if file.values.get(name)]
        return next(iter(variables + keys), None)

    ca = first(*CA_VARIABLES, "cert")
    proxy = first("PIP_PROXY", "proxy")
    index = first("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL", "index-url")
    extra = first("UV_INDEX", "UV_EXTRA_INDEX_URL", "PIP_EXTRA_INDEX_URL", "extra-index-url")
    return Indexes(
        index=_address(index, environ) if index else None,
        extra=tuple(_address(url, environ) for url in _words(extra)),
        find_links=_words(first("UV_FIND_LINKS", "PIP_FIND_LINKS", "find-links"), also=","),
        insecure_hosts=_words(first("UV_INSECURE_HOST", "PIP_TRUSTED_HOST", "trusted-host")),
        no_index=(first("PIP_NO_INDEX", "no-index") or "").lower() in ("1", "true", "yes", "on"),
        ca=Path(ca) if ca and Path(ca).is_file() else None,
        proxies=_proxies(environ, proxy),
    )


def for_builds(indexes: Indexes, *, seen_inside: tuple[str, ...] = SEEN_INSIDE) -> models.Reach:
    """What uv needs inside a build: credentials included."""
    reach = for_services(indexes, share_credentials=True, seen_inside=seen_inside)
    variables = dict(reach.variables)
    # An institution's authority is often only in the system's store: uv's own list does not have it.
    variables["UV_SYSTEM_CERTS"] = "true"
    return models.Reach(variables=variables, mounts=reach.mounts)


def for_services(
    indexes: Indexes, *, share_credentials: bool = False, seen_inside: tuple[str, ...] = SEEN_INSIDE
) -> models.Reach:
    """What pip, uv, git and the rest need inside a service; without the credentials that addresses hold, unless told.

    A file of certificate authorities that does not lie in `seen_inside` is mounted: a whole root sees nothing of the machine's.
    """
    keep = (lambda url: url) if share_credentials else without_credentials
    variables = {key: keep(value) for key, value in (indexes.proxies or {}).items()}
    links, mounts = _wheels(indexes.find_links)
    variables |= _tools("INDEX_URL", "DEFAULT_INDEX", keep(indexes.index) if indexes.index else "")
    variables |= _tools("EXTRA_INDEX_URL", "INDEX", " ".join(map(keep, indexes.extra)))
    variables |= _tools("FIND_LINKS", "FIND_LINKS", " ".join(map(keep, links)), ",".join(map(keep, links)))
    variables |= _tools("TRUSTED_HOST", "INSECURE_HOST", " ".join(indexes.insecure_hosts))
    variables |= {"PIP_NO_INDEX": "1"} if indexes.no_index else {}  # uv has an option for it, and no variable.
    if indexes.ca is not None:
        seen = str(indexes.ca).startswith(seen_inside)
        variables |= dict.fromkeys(CA_READERS, str(indexes.ca) if seen else CA_INSIDE)
        mounts += () if seen else (Mount(target=CA_INSIDE, source=indexes.ca.resolve(), read_only=True),)
    return models.Reach(variables=variables, mounts=mounts)


def without_credentials(text: str) -> str:
    """`text` with what addresses in it hold before `@` taken out."""
    return CREDENTIALS.sub("", text)


def masked(text: str) -> str:
    """`text` fit for a log or a page: who reads it sees that there were credentials, not which."""
    return CREDENTIALS.sub("***@", text)


def _tools(pip: str, uv: str, value: str, uv_value: str | None = None) -> dict[str, str]:
    return {f"PIP_{pip}": value, f"UV_{uv}": value if uv_value is None else uv_value} if value else {}


def _wheels(find_links: Iterable[str]) -> tuple[list[str], tuple[Mount, ...]]:
    """Folders of wheels are mounted; those that are not there are left out, as pip does (uv would refuse to go on)."""
    links: list[str] = []
    mounts: list[Mount] = []
    for link in find_links:
        if urlsplit(link).scheme in ("http", "https"):
            links.append(link)
            continue
        folder = Path(link.removeprefix("file://"))
        if folder.is_dir():
            target = f"{WHEELS_INSIDE}/{len(mounts)}"
            links.append(target)
            mounts.append(Mount(target=target, source=folder.resolve(), read_only=True))
    return links, tuple(mounts)


def _proxies(environ: Mapping[str, str], proxy: str | None) -> dict[str, str]:
    """Both cases: tools differ in which they read."""
    found = {name: value for name in PROXIES if (value := environ.get(name.lower()) or environ.get(name))}
    if proxy and not found.keys() & {"HTTPS_PROXY", "ALL_PROXY"}:
        found |= {"HTTP_PROXY": proxy, "HTTPS_PROXY": proxy}
    return found | {name.lower(): value for name, value in found.items()}


def _files(environ: Mapping[str, str], system: Path) -> tuple[_File, ...]:
    """uv's before pip's, the user's before the system's."""
    home = Path(environ.get("HOME", "/nonexistent"))
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    uv = [environ.get("UV_CONFIG_FILE"), config / "uv/uv.toml", system / "uv/uv.toml"]
    pip = [environ.get("PIP_CONFIG_FILE"), config / "pip/pip.conf", home / ".pip/pip.conf"]
    pip += [system / "xdg/pip/pip.conf", system / "pip.conf"]
    readable = [_uv_file(Path(path)) for path in uv if path] + [_pip_file(Path(path)) for path in pip if path]
    return tuple(file for file in readable if file is not None)


def _pip_file(path: Path) -> _File | None:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text())
    except (OSError, UnicodeDecodeError, configparser.Error):
        return None
    values: dict[str, str] = {}
    for section in ("global", "install"):  # The command's own section wins, as it does for pip.
        if parser.has_section(section):
            values |= {key.replace("_", "-"): value for key, value in parser.items(section)}
    return _File(values)


def _uv_file(path: Path) -> _File | None:
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return None
    renamed = {"allow-insecure-host": "trusted-host"}
    flat = {**content, **(content["pip"] if isinstance(content.get("pip"), dict) else {})}
    values = {
        renamed.get(key, key): _flat(value) for key, value in flat.items() if isinstance(value, str | bool | list)
    }
    tables = [table for table in content.get("index", []) if isinstance(table, dict) and "url" in table]
    if tables:
        values.pop("index", None)
        if default := [str(table["url"]) for table in tables if table.get("default")]:
            values["index-url"] = default[0]
        if extra := " ".join(str(table["url"]) for table in tables if not table.get("default")):
            values["extra-index-url"] = extra
    return _File(values)


def _flat(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _words(text: str | None, *, also: str = "") -> tuple[str, ...]:
    """Values of pip are split by blanks and lines; uv's find-links by commas."""
    return tuple(re.split(rf"[\s{re.escape(also)}]+", text.strip())) if text and text.strip() else ()


def _address(index: str, environ: Mapping[str, str]) -> str:
    """An address with a login: its own, its name's (UV_INDEX_LAB_USERNAME for `lab=https://…`), or ~/.netrc's."""
    name, equals, url = index.partition("=")
    if not (equals and re.fullmatch(r"[\w.-]+", name)):
        name, url = "", index
    parts = urlsplit(url)
    if "@" in parts.netloc or not parts.hostname:
        return url
    variable = "UV_INDEX_" + re.sub(r"\W", "_", name).upper()
    user, password = environ.get(f"{variable}_USERNAME"), environ.get(f"{variable}_PASSWORD")
    if not user and not password:
        user, password = _netrc(environ, parts.hostname)
    if not user and not password:
        return url
    return urlunsplit(
        parts._replace(netloc=f"{quote(user or '', safe='')}:{quote(password or '', safe='')}@{parts.netloc}")
    )


def _netrc(environ: Mapping[str, str], host: str) -> tuple[str | None, str | None]:
    path = environ.get("NETRC") or os.path.join(environ.get("HOME", "/nonexistent"), ".netrc")
    try:
        logins = netrc.netrc(path)
    except (OSError, netrc.NetrcParseError):
        return None, None
    # Its `default` entry is not for package indexes: it would send a password to whoever is asked.
    login = logins.hosts.get(host)
    return (login[0], login[2]) if login else (None, None)
