"""The process that renders: Helm alone, behind limits, told what to do over pipes. Only `worker.py` runs it.

It reads frames (frames.py) from standard input, one request at a time, and answers one frame each, after a first one that says it is
ready. It ends when its input does. Whoever started it may kill it at any moment: it keeps no state and writes no file.

A request is `{"archive", "values", "name", "namespace", "revision", "upgrade"}`; an answer `{"manifests", "hooks", "notes"}` or
`{"error"}`, a sentence. Templates and what they print are other people's: RLIMIT_AS bounds memory, the caller bounds time, and
RLIMIT_CPU does where the caller is no more.
"""

import json
import os
import resource
import sys
from collections.abc import Iterator, Mapping
from typing import BinaryIO, cast

import helm_python

from etabli.catalog import frames, yamls

MAX_ERROR = 1024  # Characters of Helm's own words that are passed on.
MIB = 1024 * 1024

HOOK = "helm.sh/hook"
NOTES = "templates/NOTES.txt"


class TooLarge(Exception):
    """A chart rendered to more than is accepted."""


def main() -> None:
    """Serve until the input ends."""
    memory, output, seconds = (int(argument) for argument in sys.argv[1:4])
    memory, output = memory * MIB, output * MIB
    mapped = _mapped_bytes()  # Go reserves over 1 GiB of addresses when it is loaded: not the template's doing.
    resource.setrlimit(resource.RLIMIT_AS, (mapped + memory, mapped + memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # Whatever a library prints must not land between two frames.
    _send(answers, {"ready": True})
    for request in _requests(sys.stdin.buffer):
        _limit_processor(seconds)
        _send(answers, _answer(request, output))


def render(request: Mapping[str, object], limit: int) -> dict[str, object]:
    """What the chart renders to. HelmError, Malformed, TooLarge."""
    with helm_python.Chart.load(cast("str", request["archive"])) as chart:
        upgrade = bool(request.get("upgrade"))
        texts = chart.render(
            cast("dict[str, object]", request["values"]),
            name=cast("str", request["name"]),
            namespace=cast("str", request["namespace"]),
            revision=cast("int", request["revision"]),
            is_install=not upgrade,
            is_upgrade=upgrade,
        )
        own, crds = chart.name, {crd["filename"]: crd["data"] for crd in chart.crds}
    if sum(len(text) for text in texts.values()) > limit:
        raise TooLarge
    notes = texts.pop(f"{own}/{NOTES}", "")
    ordinary: list[object] = []
    hooks: list[object] = []
    for name, text in [*sorted(crds.items()), *sorted(texts.items())]:
        if name.endswith("NOTES.txt"):
            continue
        for manifest in _manifests(name, text):
            kinds = _hook_kinds(manifest)
            if not kinds:
                ordinary.append(manifest)
            elif not any(kind.startswith("test") for kind in kinds):
                hooks.append(manifest)
    return {"manifests": ordinary, "hooks": hooks, "notes": notes.strip()}


def _answer(request: Mapping[str, object], limit: int) -> dict[str, object]:
    try:
        answer = render(request, limit)
        if len(json.dumps(answer)) > 2 * limit:
            raise TooLarge
        return answer
    except helm_python.HelmError as error:
        return {"error": " ".join(str(error).split())[:MAX_ERROR]}
    except yamls.Malformed as error:
        return {"error": error.message[:MAX_ERROR]}
    except (TooLarge, MemoryError, RecursionError):
        return {"error": f"it renders to more than {limit // MIB} MiB"}


def _send(answers: BinaryIO, answer: Mapping[str, object]) -> None:
    answers.write(frames.pack(answer))
    answers.flush()


def _requests(stream: BinaryIO) -> Iterator[Mapping[str, object]]:
    while header := stream.read(frames.HEADER.size):
        (length,) = frames.HEADER.unpack(header)
        if length > frames.MAX_REQUEST:
            return
        yield json.loads(stream.read(length))


def _manifests(name: str, text: str) -> Iterator[Mapping[str, object]]:
    """The objects in one rendered file; a `List` is written out."""
    try:
        documents = list(yamls.load_all(text))
    except yamls.Malformed as error:
        raise yamls.Malformed(f"`{name}` {error.message}") from error
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, Mapping) or not isinstance(document.get("kind"), str):
            raise yamls.Malformed(f"`{name}` renders to what is no Kubernetes object")
        if document["kind"] == "List" and isinstance(document.get("items"), list):
            yield from (item for item in document["items"] if isinstance(item, Mapping))
        else:
            yield document


def _hook_kinds(manifest: Mapping[str, object]) -> list[str]:
    metadata = manifest.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    value = annotations.get(HOOK) if isinstance(annotations, Mapping) else None
    return [kind.strip() for kind in str(value).split(",")] if value else []


def _limit_processor(seconds: int) -> None:
    """From now, so much processor time: where whoever bounds our clock is killed, a template without an end must end all the same."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.RLIM_INFINITY))


def _mapped_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    main()
