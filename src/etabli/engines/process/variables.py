"""`$(NAME)` in variables and arguments (`kubectl explain pod.spec.containers.env.value`, `.args`)."""

import re
from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(\$|\(([-._a-zA-Z][-._a-zA-Z0-9]*)\))")


def expand(text: str, env: Mapping[str, str]) -> str:
    """`text` with `$(NAME)` replaced where `env` has it and left where not; `$$` is a dollar."""
    return _REFERENCE.sub(lambda match: "$" if match[1] == "$" else env.get(match[2], match[0]), text)
