"""A lab with a domain: started by the documented command, and used over HTTPS from a second device, in a network of its own.

No error of a certificate is ignored anywhere: the device's browser was given the root certificate that the lab hands out, and the
tools inside services are told nothing at all.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, Playwright, expect, sync_playwright

from tests import lab as labs
from tests.story import device as devices

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]
DOMAIN = "lab.example.org"
ROWS = 336_776  # Of the sample.

# What a person may write in a notebook: no address, key, option or certificate.
TOOLS = """
import json, os, subprocess, urllib.request
bucket, lab = os.environ["ETABLI_BUCKET"], os.environ["VAULT_ADDR"].replace("vault.", "")
path, seen = f"s3://{bucket}/start-here/flights.parquet", {"addresses": [lab, os.environ["AWS_ENDPOINT_URL_S3"]]}
def look(name, work):
    try: seen[name] = work()
    except Exception as error: seen[name] = f"{type(error).__name__}: {error}"[:300]
def with_boto3():
    import boto3
    return boto3.client("s3").head_object(Bucket=bucket, Key="start-here/flights.parquet")["ContentLength"] > 0
def with_s3fs():
    import s3fs
    return len(s3fs.S3FileSystem().ls(f"{bucket}/start-here")) > 0
def with_pandas():
    import pandas
    return len(pandas.read_parquet(path))
def with_polars():
    import polars
    return polars.scan_parquet(path).select(polars.len()).collect().item()
def with_pyarrow():
    import pyarrow.fs, pyarrow.parquet
    return pyarrow.parquet.read_table(path[5:], columns=["month"], filesystem=pyarrow.fs.S3FileSystem()).num_rows
def with_duckdb():
    import duckdb
    duckdb.sql(f"copy (select 1 as one) to 's3://{bucket}/one.parquet'")
    return duckdb.sql(f"select count(*) from '{path}'").fetchone()[0]
def with_hvac():
    import hvac
    vault, where = hvac.Client(), {"mount_point": os.environ["VAULT_MOUNT"], "path": os.environ["VAULT_TOP_DIR"].strip("/") + "/t"}
    vault.secrets.kv.v2.create_or_update_secret(secret={"word": "kept"}, **where)
    return vault.secrets.kv.v2.read_secret_version(raise_on_deleted_version=True, **where)["data"]["data"]["word"]
def with_urllib():
    return urllib.request.urlopen(lab).status
def with_curl():
    return subprocess.run(["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", lab], capture_output=True, text=True).stdout
def with_git():
    done = subprocess.run(["git", "ls-remote", f"{lab}/none.git"], capture_output=True, text=True)
    return "not found" in done.stderr or done.stderr
for name in [name for name in globals() if name.startswith("with_")]: look(name[5:], globals()[name])
print("SEEN" + json.dumps(seen))
"""

PUT_NOTEBOOK = """async (source) => {
    const token = document.cookie.match(/_xsrf=([^;]*)/)[1];
    const kernel = {name: "python3", display_name: "Python 3", language: "python"};
    const cell = {cell_type: "code", id: "tools", source, metadata: {}, outputs: [], execution_count: null};
    const content = {nbformat: 4, nbformat_minor: 5, metadata: {kernelspec: kernel}, cells: [cell]};
    const answer = await fetch("/api/contents/tools.ipynb", {
        method: "PUT",
        headers: {"X-XSRFToken": token, "Content-Type": "application/json"},
        body: JSON.stringify({type: "notebook", format: "json", content}),
    });
    return answer.status;
}"""


class DomainLab(labs.Lab):
    """A lab that `etabli up --domain` starts."""

    options: tuple[str, ...] = ()
    told: str = ""

    @property
    def origin(self) -> str:
        return f"https://{DOMAIN}:{self.port}"

    def up(self) -> None:
        self.told = self.etabli("up", "--detach", "--domain", DOMAIN, "--port", str(self.port), *self.options)
        self.link = next((line.split(": ", 1)[1] for line in self.told.splitlines() if "welcome?token=" in line), "")
        self.until(self._is_certified, 20)  # The lab's authority signs right after it first listens.

    def _is_certified(self) -> bool | None:
        root = self.data / "root.crt"
        if "root certificate" not in self.told:
            return True
        try:
            return bool(self.handshake(DOMAIN, ssl.create_default_context(cafile=str(root)))) or None
        except OSError:
            return None

    def handshake(self, host: str, context: ssl.SSLContext) -> str:
        """Who signed the certificate that is shown for a host; raises where none is, or it is not trusted."""
        with (
            socket.create_connection(("127.0.0.1", self.port), 10) as raw,
            context.wrap_socket(raw, server_hostname=host) as shown,
        ):
            issuer = dict(part[0] for part in (shown.getpeercert() or {})["issuer"])  # type: ignore[misc] # As ssl says.
            return str(issuer.get("commonName"))


@contextmanager
def domain_lab(*options: str, **sections: str) -> Iterator[DomainLab]:
    """A lab not yet started, whose file says nothing of where it answers."""
    with labs.lab(**sections) as given:
        settings = given.data / "etabli.toml"
        settings.write_text(re.sub(r"\[lab\]\n.*?\n(?=\[)", "", settings.read_text(), flags=re.DOTALL))
        made = DomainLab(folder=given.folder, port=given.port)
        made.options = options
        yield made


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def lab() -> Iterator[DomainLab]:
    with domain_lab() as made:
        made.up()
        yield made


@pytest.fixture
def device(tmp_path: Path) -> Iterator[devices.Device]:
    with devices.device(tmp_path) as made:
        yield made


def test_the_start_says_where_the_lab_is_and_how_others_come_to_trust_it(lab: DomainLab) -> None:
    root = lab.data / "root.crt"
    assert f"Etabli answers at {lab.origin}\n" in lab.told
    assert str(root) in lab.told
    assert f"`*.svc.{DOMAIN}`" in lab.told
    assert "ssh -L" not in lab.told
    assert root.stat().st_mode & 0o777 == 0o644
    assert lab.handshake(f"s3.{DOMAIN}", ssl.create_default_context(cafile=str(root)))


def test_a_lab_that_answers_is_not_moved(lab: DomainLab) -> None:
    other = lab.etabli("up", "--domain", "other.example.org", check=False)
    assert f"this lab answers with domain `{DOMAIN}` since its first start" in other
    assert "this lab was started with certificates `internal`" in lab.etabli(
        "up", "--certificates", "on-demand", check=False
    )


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze: systemd reads the unit")
def test_systemd_accepts_the_unit_that_starts_the_lab_at_boot(lab: DomainLab, tmp_path: Path) -> None:
    unit = tmp_path / "etabli.service"
    unit.write_text(lab.etabli("service", "install", "--print"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert [line for line in done.stderr.splitlines() if str(unit) in line] == []
    assert "Delegate=yes" in unit.read_text()
    assert f"ETABLI_DATA={lab.data}" in unit.read_text()


def test_a_second_device_runs_a_notebook_and_every_tool_inside_trusts_the_lab(
    lab: DomainLab, device: devices.Device, playwright: Playwright
) -> None:
    device.trust(lab.data / "root.crt")
    with device.browser(playwright, DOMAIN) as browser:
        context, page = labs.join(lab, browser, lab.link, "Alice Martin")
        plain: list[str] = []
        sockets: list[str] = []
        context.on("request", lambda request: plain.append(request.url) if request.url.startswith("http:") else None)
        context.on("page", lambda opened: opened.on("websocket", lambda found: sockets.append(found.url)))
        context.on("console", lambda told: plain.append(told.text) if "Mixed Content" in told.text else None)
        service_id = lab.launch("--name", "from afar")
        notebook = _open(lab, page, service_id)
        host = f"user-alice-martin-{service_id}-0.svc.{DOMAIN}"
        seen = _run_tools(notebook)
        cookies = {cookie["name"]: cookie for cookie in context.cookies()}
    _every_tool_worked(seen, lab)
    for name, where in (("__Host-etabli", DOMAIN), ("__Host-etabli-service", host)):
        assert (cookies[name]["domain"], cookies[name]["secure"], cookies[name]["httpOnly"]) == (where, True, True)
    assert any(url.startswith(f"wss://{host}:{lab.port}/api/kernels/") for url in sockets)
    assert all(url.startswith("wss://") for url in sockets)
    assert plain == []


def test_a_device_without_the_root_certificate_is_warned(
    lab: DomainLab, device: devices.Device, playwright: Playwright
) -> None:
    with device.browser(playwright, DOMAIN) as browser, pytest.raises(Exception, match="ERR_CERT_AUTHORITY_INVALID"):
        browser.new_page().goto(lab.origin)


def test_an_ordinary_user_is_told_how_to_open_port_443_and_may_choose_another() -> None:
    with domain_lab() as lab:
        before = (lab.data / "etabli.toml").read_text()
        refused = lab.etabli("up", "--detach", "--domain", DOMAIN, check=False)
        assert "sysctl -w net.ipv4.ip_unprivileged_port_start=443" in refused
        assert (lab.data / "etabli.toml").read_text() == before


def test_certificates_from_files_serve_the_lab_and_are_trusted_inside(
    tmp_path: Path, playwright: Playwright, device: devices.Device
) -> None:
    authority, chain, key = _institution(tmp_path)
    with domain_lab("--certificates", "files", "--certificate", str(chain), "--key", str(key)) as lab:
        lab.up()
        assert "root certificate" not in lab.told
        assert lab.handshake(f"vault.{DOMAIN}", ssl.create_default_context(cafile=str(authority))) == "Institution"
        device.trust(authority)
        with device.browser(playwright, DOMAIN) as browser:
            _, page = labs.join(lab, browser, lab.link, "Alice Martin")
            _every_tool_worked(_run_tools(_open(lab, page, lab.launch("--name", "inside"))), lab)


def test_a_certificate_is_made_on_demand_for_a_service_that_there_is_alone(
    playwright: Playwright, tmp_path: Path
) -> None:
    door = f'certificates = "on-demand"\nissuer = "internal"\nask_port = {_free_port()}'
    with domain_lab(front_door=door) as lab, devices.device(tmp_path) as device:
        lab.up()
        root = lab.data / "root.crt"
        knows = ssl.create_default_context(cafile=str(root))
        with pytest.raises(OSError, match=r"alert|EOF|reset"):
            lab.handshake(f"user-alice-martin-abcdefghij-0.svc.{DOMAIN}", knows)
        device.trust(root)
        with device.browser(playwright, DOMAIN) as browser:
            _, page = labs.join(lab, browser, lab.link, "Alice Martin")
            service_id = lab.launch("--name", "asked for")
            _every_tool_worked(_run_tools(_open(lab, page, service_id)), lab)
        assert lab.handshake(f"user-alice-martin-{service_id}-0.svc.{DOMAIN}", knows)


def _open(lab: DomainLab, page: Page, service_id: str) -> Page:
    page.goto(f"{lab.origin}/services/{service_id}")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open (new tab)").click()
    notebook = opened.value
    notebook.wait_for_url(re.compile(r".*/lab.*"))
    return notebook


def _run_tools(page: Page) -> dict[str, object]:
    """Run TOOLS as the one cell of a notebook: what each tool saw."""
    assert page.evaluate(PUT_NOTEBOOK, TOOLS) == 201
    page.goto(page.url.partition("/lab")[0] + "/lab/tree/tools.ipynb")
    expect(page.get_by_text(re.compile("ipykernel.*Idle"))).to_be_visible(timeout=60_000)
    page.locator(".jp-Notebook .jp-CodeCell").first.click()
    page.keyboard.press("Shift+Enter")
    output = page.locator(".jp-OutputArea-output", has_text="SEEN").first
    expect(output).to_be_visible(timeout=120_000)
    text = output.text_content() or ""
    seen: dict[str, object] = json.loads(text[text.index("SEEN") + 4 : text.rindex("}") + 1])
    return seen


def _every_tool_worked(seen: dict[str, object], lab: DomainLab) -> None:
    assert seen == {
        "addresses": [lab.origin, f"https://s3.{DOMAIN}:{lab.port}"],
        "boto3": True,
        "s3fs": True,
        "pandas": ROWS,
        "polars": ROWS,
        "pyarrow": ROWS,
        "duckdb": ROWS,
        "hvac": "kept",
        "urllib": 200,
        "curl": "200",
        "git": True,
    }


def _institution(folder: Path) -> tuple[Path, Path, Path]:
    """An authority that no tool knows, a chain that it signed for the lab, and the chain's key."""
    authority, chain, key = folder / "institution.crt", folder / "chain.pem", folder / "lab.key"
    names = ",".join(f"DNS:{name}" for name in (DOMAIN, f"*.{DOMAIN}", f"*.svc.{DOMAIN}"))
    new = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    signed_by = ("-CA", str(authority), "-CAkey", str(folder / "institution.key"), "-addext", f"subjectAltName={names}")
    not_an_authority = ("-addext", "basicConstraints=critical,CA:FALSE")
    for arguments in (
        ("-subj", "/CN=Institution", "-keyout", str(folder / "institution.key"), "-out", str(authority)),
        ("-subj", f"/CN={DOMAIN}", "-keyout", str(key), "-out", str(chain), *signed_by, *not_an_authority),
    ):
        subprocess.run([*new, *arguments], check=True, capture_output=True)
    chain.write_text(chain.read_text() + authority.read_text())
    return authority, chain, key


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
