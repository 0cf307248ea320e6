"""A project's data class, as a page says it in one language."""

from collections.abc import Mapping
from dataclasses import dataclass

from etabli.identity import models
from etabli.identity.data_classes import DataClasses

SOURCE = "en"


@dataclass(frozen=True)
class Shown:
    """A data class in the reader's language."""

    id: str
    name: str
    sentence: str
    level: models.Level


@dataclass(frozen=True)
class Classes:
    """The lab's data classes in one language."""

    known: DataClasses
    language: str

    def of(self, project: models.Project) -> Shown:
        """The class of a project."""
        return self.shown(self.known.of(project))

    def options(self) -> list[tuple[str, str]]:
        """What a form offers: ids and names with what each asks."""
        shown = [self.shown(one) for one in self.known.all]
        return [(one.id, f"{one.name} – {one.sentence}" if one.sentence else one.name) for one in shown]

    def shown(self, one: models.DataClass) -> Shown:
        """One class in this language."""
        return Shown(id=one.id, name=self._say(one.name) or one.id, sentence=self._say(one.sentence), level=one.level)

    def _say(self, texts: Mapping[str, str]) -> str:
        return texts.get(self.language) or texts.get(SOURCE) or next(iter(texts.values()), "")
