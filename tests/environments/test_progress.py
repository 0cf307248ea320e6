from etabli.environments.models import BuildPhase, BuildState
from etabli.environments.progress import Progress

BEGIN = BuildState(BuildPhase.DOWNLOADING, "asking the package index")
UV = """Using Python 3.11.2 environment at: /run/etabli-pool/building/x/out/tree
Resolved 137 packages in 354ms
Downloading numpy (16.0MiB)
Downloading pyarrow (48.0MiB)
 Downloaded numpy
"""


def test_lines_of_uv_become_what_a_person_reads() -> None:
    state = Progress(BEGIN).feed(UV)

    assert state.phase is BuildPhase.DOWNLOADING
    assert state.message == "downloading 137 packages, 16 of 64 MiB"
    assert (state.packages, state.bytes_done, state.bytes_total, state.fraction) == (137, 16 << 20, 64 << 20, 0.25)


def test_a_line_cut_in_two_is_read_once_it_is_whole() -> None:
    progress = Progress(BEGIN)
    for character in UV:
        state = progress.feed(character)

    assert state == Progress(BEGIN).feed(UV)


def test_stages_follow_one_another() -> None:
    progress = Progress(BEGIN)
    progress.feed(UV)

    assert progress.feed("Prepared 137 packages in 3s\n").phase is BuildPhase.INSTALLING
    state = progress.feed("Compiled 500/2000\n")
    assert (state.phase, state.fraction, state.packages) == (BuildPhase.FINISHING, 0.25, 137)


def test_the_making_of_a_base_tells_its_stages_and_no_path() -> None:
    progress = Progress(BEGIN)

    assert (
        progress.feed("I: downloading packages with apt...\n").message
        == "making the base: downloading packages with apt"
    )
    progress.feed("I: removing tempdir /tmp/etabli-base-1/mmdebstrap.x...\n")
    assert progress.state.message == "making the base: downloading packages with apt"


def test_what_is_not_understood_changes_nothing() -> None:
    assert Progress(BEGIN).feed("warning: a newer uv says it otherwise\n\nDownloading many things\n") == BEGIN
