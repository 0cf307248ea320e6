"""Data classes: which data a project may hold. A short list of the lab's own, said on every page of a project.

An administrator may rewrite the list at any time: a project keeps the id that was chosen, and one whose class is no more of the list
says so by the id, loudly enough that an owner chooses again.
"""

from collections.abc import Sequence

from etabli.identity import models


class DataClasses:
    """The lab's list, in its order; the first is that of who chose none."""

    def __init__(self, known: Sequence[models.DataClass]) -> None:
        self.all = tuple(known)
        self._by_id = {one.id: one for one in known}

    @property
    def default(self) -> models.DataClass:
        """The class of a project that nobody chose one for."""
        return self.all[0]

    def of(self, project: models.Project) -> models.DataClass:
        """A project's class."""
        return self.named(project.data_class)

    def named(self, class_id: str) -> models.DataClass:
        """The class of that id, the first where it is empty; a bare one where the list has none of it any more."""
        if not class_id:
            return self.default
        bare = models.DataClass(id=class_id, name={}, sentence={}, level=models.Level.NOTICE)
        return self._by_id.get(class_id, bare)

    def problem(self, chosen: str) -> str | None:
        """What is wrong with a choice; None where nothing is. Empty is the lab's first."""
        return None if not chosen or chosen in self._by_id else "one of the lab's data classes"
