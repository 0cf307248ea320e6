from pathlib import Path

import pytest

from etabli.environments import spec
from etabli.kernel import errors
from tests.environments.conftest import write_environment


def test_requirements_are_read(tmp_path: Path) -> None:
    found = spec.read(
        write_environment(tmp_path, "small", {"requirements.txt": "alpha\n", "runtime.txt": "python-3.12\n"})
    )

    assert (found.name, found.requirements, found.python, found.lock) == ("small", "alpha\n", "3.12", None)


def test_files_are_read_with_their_right_to_run(tmp_path: Path) -> None:
    folder = write_environment(
        tmp_path, "small", {"requirements.txt": "", "files/bin/hello": "#!/bin/sh\n", "files/etc/x": "1"}
    )
    (folder / "files/bin/hello").chmod(0o700)

    assert [(file.path, file.executable) for file in spec.read(folder).files] == [("bin/hello", True), ("etc/x", False)]


@pytest.mark.parametrize("name", sorted(spec.NOT_YET))
def test_what_is_not_honoured_is_refused_by_name(tmp_path: Path, name: str) -> None:
    folder = write_environment(tmp_path, "small", {"requirements.txt": "alpha\n", name: "something\n"})

    with pytest.raises(errors.Invalid) as caught:
        spec.read(folder)
    assert name in caught.value.message
    assert list(caught.value.fields) == [name]


def test_a_misspelt_file_is_not_silently_ignored(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match=r"requirement\.txt"):
        spec.read(write_environment(tmp_path, "small", {"requirements.txt": "", "requirement.txt": "alpha\n"}))


def test_what_people_and_git_read_is_left_alone(tmp_path: Path) -> None:
    files = {"requirements.txt": "", "README.md": "x", "LICENSE": "x", ".gitignore": "x", "license.txt": "x"}
    assert spec.read(write_environment(tmp_path, "small", files)).files == ()


def test_an_empty_folder_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match=r"neither `requirements\.txt` nor"):
        spec.read(write_environment(tmp_path, "small", {"README.md": "x"}))


@pytest.mark.parametrize(
    "line",
    [
        *("-r /etc/passwd", "--index-url https://me:secret@evil.example/simple", "-e .", "--no-binary :all:", "--pre"),
        *("./wheel.whl", "/etc/passwd", "~/x", "alpha @ file:///etc/passwd", "alpha @ git+https://example.org/alpha"),
        *("git+ssh://git@example.org/alpha", "  --extra-index-url x"),
    ],
)
def test_a_requirement_that_is_not_a_package_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        spec.read(write_environment(tmp_path, "small", {"requirements.txt": f"alpha\n{line}\n"}))

    assert list(caught.value.fields) == ["requirements.txt:2"]
    assert "secret" not in caught.value.message


def test_a_wheel_by_its_address_is_a_package(tmp_path: Path) -> None:
    line = "alpha @ https://example.org/alpha-1.0-py3-none-any.whl#sha256=00 # ours\n"
    assert spec.read(write_environment(tmp_path, "small", {"requirements.txt": line})).requirements == line


@pytest.mark.parametrize(
    "files", [{"uv.lock": ""}, {"pyproject.toml": ""}, {"pyproject.toml": "", "uv.lock": "", "requirements.txt": ""}]
)
def test_a_project_comes_with_its_lock_and_nothing_else(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(errors.Invalid):
        spec.read(write_environment(tmp_path, "small", files))


@pytest.mark.parametrize("name", ["requirements.txt", "files", "postBuild"])
def test_a_link_in_place_of_a_file_is_refused(tmp_path: Path, name: str) -> None:
    folder = write_environment(tmp_path, "small", {"requirements.txt": "alpha\n"})
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to("/etc")

    with pytest.raises(errors.Invalid):
        spec.read(folder)


def test_a_link_among_the_copied_files_is_refused(tmp_path: Path) -> None:
    folder = write_environment(tmp_path, "small", {"requirements.txt": "", "files/etc/x": ""})
    (folder / "files/etc/shadow").symlink_to("/etc/shadow")

    with pytest.raises(errors.Invalid, match=r"files/etc/shadow"):
        spec.read(folder)


def test_data_does_not_belong_in_an_environment(tmp_path: Path) -> None:
    folder = write_environment(tmp_path, "small", {"requirements.txt": "", "files/big": ""})
    with (folder / "files/big").open("wb") as file:
        file.truncate(spec.MAX_FILE_BYTES + 1)

    with pytest.raises(errors.Invalid, match="data belongs in S3"):
        spec.read(folder)


def test_a_base_is_one_of_those_there_are_and_no_part_of_what_a_lock_is_resolved_from(tmp_path: Path) -> None:
    plain = spec.read(write_environment(tmp_path, "small", {"requirements.txt": ""}))
    chosen = spec.read(write_environment(tmp_path, "small", {"base": "debian-13\n"}))

    assert (plain.base, chosen.base) == (None, "debian-13")
    assert plain.inputs == chosen.inputs
    with pytest.raises(errors.Invalid, match="`debian-12` is not known: write `host` or `debian-13`"):
        spec.read(write_environment(tmp_path, "small", {"base": "debian-12"}))


@pytest.mark.parametrize("text", ["r-4.2", "python-2.7", "python-3.12; rm -rf /", "3.12", ""])
def test_a_runtime_that_is_not_understood_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(errors.Invalid, match="is not understood"):
        spec.read(write_environment(tmp_path, "small", {"requirements.txt": "", "runtime.txt": text}))


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    folder = write_environment(tmp_path, "small", {})
    folder.mkdir(parents=True)
    (folder / "requirements.txt").write_bytes(b"\xff\xfe")

    with pytest.raises(errors.Invalid, match="not UTF-8"):
        spec.read(folder)


@pytest.mark.parametrize("name", ["..", "a b", "Élodie", "x" * 41, "-x", "x-", "a--b", "a/b", "a\nb", ""])
def test_names_that_could_reach_elsewhere_are_unknown(name: str) -> None:
    with pytest.raises(errors.NotFound):
        spec.check_name(name)


def test_the_locks_that_uv_writes_are_understood() -> None:
    lock = (
        "# inputs: 0\nalpha==1.0 ; python_full_version < '3.12' \\\n    --hash=sha256:00ff \\\n    --hash=sha256:11\n"
    )
    lock += "    # via beta\n\n"
    lock += "uvicorn[standard]==0.3.post1+local\nbeta @ https://example.org/beta-1-py3-none-any.whl \\\n    --hash=sha512:aa\n"

    assert spec.check_lock(lock) == lock


@pytest.mark.parametrize(
    "line",
    [
        *(
            "-e .",
            "-e file:///run/etabli-pool",
            "-r /etc/passwd",
            "--index-url https://evil.example",
            "./alpha-1.0.whl",
        ),
        *(
            "alpha @ git+https://example.org/alpha",
            "alpha @ file:///run/etabli-work",
            "alpha>=1",
            "alpha==1.0 --global-option=x",
        ),
    ],
)
def test_a_lock_that_could_run_code_is_refused(line: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        spec.check_lock(f"beta==1\n{line}\n")
    assert list(caught.value.fields) == ["requirements.lock:2"]
