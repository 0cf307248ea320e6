"""What can go wrong with catalogues and charts.

Refused   ├── ChartBroken       what its author wrote cannot be used; the sentence is for them too
          └── RenderFailed      Helm refused these values, or took too much
NotFound  └── ChartNotFound
Invalid   └── ValuesInvalid     a value is wrong; `fields` names each by its dotted path
Unavailable └── SourceUnavailable  a repository does not answer
"""

from collections.abc import Mapping

from etabli.kernel import errors

MAX_NAME = 200  # Characters of a field's name.
MAX_FIELDS = 20  # Past this many, one more sentence helps nobody.


class ChartBroken(errors.Refused):
    """What a chart's author wrote cannot be used."""


class RenderFailed(errors.Refused):
    """The chart's templates do not render with these values."""


class ChartNotFound(errors.NotFound):
    """No such catalogue, chart or version."""


class SourceUnavailable(errors.Unavailable):
    """A repository of charts does not answer, or answers nonsense."""


class ValuesInvalid(errors.Invalid):
    """Some values are wrong; at most `MAX_FIELDS` are named."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        shown = {_readable(name): sentence for name, sentence in list(fields.items())[:MAX_FIELDS]}
        name, sentence = next(iter(shown.items()))
        others = f" (and {len(fields) - 1} more)" if len(fields) > 1 else ""
        super().__init__(f"`{name}` {sentence}{others}", hint="correct what is named, then launch again", fields=shown)


def _readable(name: str) -> str:
    """A field's name that somebody else may have made up, as text that can be shown."""
    text = name[:MAX_NAME].encode("utf-8", "replace").decode()
    return "".join(character if character.isprintable() else "?" for character in text)
