"""A chart's files are read strictly, wherever they come from, and nothing is ever written where an archive says."""

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from etabli.catalog import archives, errors


def tgz(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def a_file(name: str, content: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), content


def a_link(kind: bytes, target: str) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo("demo/templates/link")
    member.type, member.linkname = kind, target
    return member, b""


def test_a_chart_that_is_packed_reads_back_and_always_packs_alike() -> None:
    files = {"Chart.yaml": b"name: demo", "templates/a.yaml": "é".encode(), "empty": b""}
    data = archives.pack("demo", files)
    assert archives.read_archive(data) == files
    assert archives.pack("demo", dict(reversed(files.items()))) == data


@pytest.mark.parametrize(
    "data",
    [
        tgz(a_file("demo/../../etc/passwd")),
        tgz(a_file("../demo/Chart.yaml")),
        tgz(a_file("/etc/passwd")),
        tgz(a_file("demo\\..\\x")),
        tgz(a_file("Chart.yaml")),
        tgz(a_file("demo/" + "d/" * 20 + "x")),
        tgz(a_file("demo/a\nb")),
        tgz(a_link(tarfile.SYMTYPE, "/etc/passwd")),
        tgz(a_link(tarfile.LNKTYPE, "/etc/passwd")),
        tgz(a_link(tarfile.FIFOTYPE, "")),
        tgz(a_link(tarfile.CHRTYPE, "")),
        tgz(a_file("demo/Chart.yaml"), a_file("demo/Chart.yaml")),
        tgz(*(a_file(f"demo/{n}") for n in range(archives.MAX_FILES + 1))),
        tgz(a_file("demo/Chart.yaml"))[:-20],
        b"not an archive",
        b"",
        gzip.compress(b"not a tar"),
    ],
)
def test_an_archive_that_is_no_plain_chart_is_refused(data: bytes, tmp_path: Path) -> None:
    with pytest.raises(errors.ChartBroken):
        archives.read_archive(data)
    assert list(tmp_path.iterdir()) == []


def test_a_small_archive_that_unpacks_to_gigabytes_is_refused_before_it_does() -> None:
    one_large = tgz(a_file("demo/zeros", bytes(archives.MAX_FILE + 1)))
    many = tgz(*(a_file(f"demo/{n}", bytes(archives.MAX_FILE)) for n in range(8)))
    headers = gzip.compress(tarfile.TarInfo("demo").tobuf().replace(b"0000644", b"0000755") * 70_000)
    for bomb in (one_large, many, headers):
        assert len(bomb) < 500_000
        with pytest.raises(errors.ChartBroken):
            archives.read_archive(bomb)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("name: demo")
    (tmp_path / "templates/a.yaml").write_text("a")
    return tmp_path


def test_a_folder_gives_its_files_without_what_it_ignores(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".git/config").write_text("secret")
    (folder / ".helmignore").write_text("# comment\n*.bak\n/docs/\n")
    (folder / "docs").mkdir()
    (folder / "docs/x").write_text("")
    (folder / "a.bak").write_text("")
    assert set(archives.read_folder(folder)) == {".helmignore", "Chart.yaml", "templates/a.yaml"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "templates/link").symlink_to("/etc/passwd"),
        lambda folder: (folder / "linked").symlink_to("/etc"),
        lambda folder: (folder / "large").write_bytes(bytes(archives.MAX_FILE + 1)),
    ],
)
def test_a_folder_with_links_or_too_much_is_refused(folder: Path, spoil: Callable[[Path], None]) -> None:
    spoil(folder)
    with pytest.raises(errors.ChartBroken):
        archives.read_folder(folder)
