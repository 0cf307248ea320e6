"""Folders and repositories answer the same; what comes over the network is bounded and checked; a broken chart stands alone."""

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from etabli.catalog import archives, errors, sources
from tests.catalog import builders

BOMB = "\n".join(
    [
        "a: &a [x,x,x,x,x,x,x,x]",
        *(f"{n}: &{n} [{','.join([f'*{chr(ord(n) - 1)}'] * 8)}]" for n in "bcdefgh"),
        "entries: {x: *h}",
    ]
).encode()


class Repository:
    """Files served over HTTP on a port of this machine."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        repository = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                repository.asked.append(self.path)
                content = repository.files.get(self.path.lstrip("/"))
                self.send_response(404 if content is None else 200)
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # A client that has enough goes away.
                    self.wfile.write(content or b"")

            def log_message(self, *_: object) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def publish(self, folder: Path, **entry: object) -> None:
        """Package a chart and put it in the index."""
        files = archives.read_folder(folder)
        info = yaml.safe_load(files["Chart.yaml"])
        data = archives.pack(info["name"], files)
        name = f"{info['name']}-{info['version']}.tgz"
        self.files[name] = data
        entries = json.loads(self.files.get("index.yaml", b'{"entries": {}}'))["entries"]
        described = {**info, "urls": [name], "digest": archives.digest(data), **entry}
        entries.setdefault(info["name"], []).append(described)
        self.files["index.yaml"] = json.dumps({"apiVersion": "v1", "entries": entries}).encode()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def repository() -> Iterator[Repository]:
    served = Repository()
    yield served
    served.close()


@pytest.fixture
def source(repository: Repository, http: httpx.AsyncClient, tmp_path: Path) -> sources.RepositorySource:
    (tmp_path / "cache").mkdir()
    return sources.RepositorySource(repository.url, http=http, cache=tmp_path / "cache", seconds=2)


async def test_a_repository_and_a_folder_give_the_same_files(
    repository: Repository, source: sources.RepositorySource, tmp_path: Path
) -> None:
    folder = builders.a_chart(tmp_path / "charts", values="a: 1")
    repository.publish(folder)
    (far,) = (await source.index()).releases
    (near,) = (await sources.FolderSource(tmp_path / "charts").index()).releases
    assert far.info == near.info
    assert await source.files(far) == await sources.FolderSource(tmp_path / "charts").files(near)


async def test_an_archive_is_fetched_once_and_the_index_outlives_the_network(
    repository: Repository, source: sources.RepositorySource, tmp_path: Path
) -> None:
    repository.publish(builders.a_chart(tmp_path / "charts"))
    (release,) = (await source.index()).releases
    await source.files(release)
    await source.files(release)
    assert repository.asked.count("/demo-1.0.0.tgz") == 1
    repository.files.clear()
    assert source.last_known() == sources.Index((release,), {})


async def test_an_archive_that_is_not_what_the_index_declares_is_refused(
    repository: Repository, source: sources.RepositorySource, tmp_path: Path
) -> None:
    repository.publish(builders.a_chart(tmp_path / "charts"), digest="0" * 64)
    (release,) = (await source.index()).releases
    with pytest.raises(errors.ChartBroken, match="not the one that the index declares"):
        await source.files(release)
    assert list((tmp_path / "cache").glob("original-*")) == []


async def test_a_damaged_copy_in_the_cache_is_fetched_again(
    repository: Repository, source: sources.RepositorySource, tmp_path: Path
) -> None:
    repository.publish(builders.a_chart(tmp_path / "charts"))
    (release,) = (await source.index()).releases
    good = await source.files(release)
    next((tmp_path / "cache").glob("original-*")).write_bytes(b"cut sho")
    assert await source.files(release) == good


@pytest.mark.parametrize(
    "index",
    [
        b"",
        b"<html>",
        b"entries: []",
        b"entries: {demo: [",
        BOMB,
        b"entries:" + b" " * sources.MAX_INDEX,
    ],
)
async def test_an_index_that_is_none_is_unavailable_and_is_not_kept(
    repository: Repository, source: sources.RepositorySource, index: bytes
) -> None:
    repository.files["index.yaml"] = index
    with pytest.raises(errors.SourceUnavailable):
        await source.index()
    assert source.last_known() is None


async def test_a_repository_that_is_gone_is_unavailable(http: httpx.AsyncClient, tmp_path: Path) -> None:
    source = sources.RepositorySource("http://127.0.0.1:9", http=http, cache=tmp_path, seconds=1)
    with pytest.raises(errors.SourceUnavailable, match=r"127\.0\.0\.1"):
        await source.index()


async def test_what_is_wrong_in_an_index_is_told_beside_what_is_right(
    repository: Repository, source: sources.RepositorySource, tmp_path: Path
) -> None:
    repository.publish(builders.a_chart(tmp_path / "charts", "good"))
    content = json.loads(repository.files["index.yaml"])
    content["entries"] |= {
        "bad": [{"name": "bad", "version": "x"}],
        "other": [{"name": "else", "version": "1.0.0"}],
        "odd": [3],
    }
    repository.files["index.yaml"] = json.dumps(content).encode()
    index = await source.index()
    assert [release.info.name for release in index.releases] == ["good"]
    assert set(index.problems) == {"bad", "other", "odd"}


async def test_an_index_may_not_send_us_to_files_of_this_machine(
    repository: Repository, source: sources.RepositorySource, tmp_path: Path
) -> None:
    repository.publish(builders.a_chart(tmp_path / "charts"), urls=["file:///etc/passwd"])
    (release,) = (await source.index()).releases
    with pytest.raises(errors.ChartBroken, match="not http"):
        await source.files(release)


async def test_a_broken_chart_in_a_folder_is_told_by_name_and_the_others_go_on(tmp_path: Path) -> None:
    builders.a_chart(tmp_path, "good")
    builders.a_chart(tmp_path, "twin").joinpath("Chart.yaml").write_text("name: good\nversion: 1.0.0")
    builders.a_chart(tmp_path, "values").joinpath("values.yaml").write_text("a: [")
    builders.a_chart(tmp_path, "schema").joinpath("values.schema.json").write_text("{")
    builders.a_chart(tmp_path, "linked").joinpath("link").symlink_to("/etc/passwd")
    (tmp_path / "broken.tgz").write_bytes(b"no")
    index = await sources.FolderSource(tmp_path).index()
    assert [release.info.name for release in index.releases] == ["good"]
    assert set(index.problems) == {"twin", "values", "schema", "linked", "broken"}
    assert "at line" in index.problems["values"]
