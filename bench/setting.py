"""What every benchmark is given: folders, how often to repeat, and a lab and a JupyterHub that are started when first asked for."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from bench import lab, owned, peers
from bench.report import Peer, Series

Result = TypeVar("Result")


class Setting:
    """One run of the bench."""

    def __init__(self, stack: ExitStack, *, work: Path, cache: Path, quick: bool) -> None:
        self._stack = stack
        self.work, self.cache, self.quick = work, cache, quick

    @cached_property
    def lab(self) -> lab.Lab:
        """A lab whose environment is built; stopped in the end."""
        return self._stack.enter_context(lab.running(self.work, self.cache))

    def keep_logs(self) -> None:
        """After a failure: the lab's logs go with its folder."""
        if (self.work / "data").exists():
            lab.keep_logs(self.work / "data", self.cache / "last-failure")

    @cached_property
    def hub(self) -> peers.Hub | str:
        """A JupyterHub; or why there is none."""
        try:
            return self._stack.enter_context(peers.hub(self.cache, self.work))
        except lab.Failed as error:
            return str(error)

    @cached_property
    def bare(self) -> peers.Bare:
        """The bare process of the lab's own tree."""
        return peers.Bare(tree=self.lab.tree, work=self.work, log=self.work / "bare.log")

    def times(self, full: int, *, quick: int) -> int:
        """How often to repeat."""
        return quick if self.quick else full


def peer(name: str, unit: str, measure: Callable[[], tuple[float, ...]]) -> Peer:
    """A peer as measured; left out, with its own words, where it does not do it."""
    try:
        return Peer(name, Series(unit, measure()))
    except (lab.Failed, owned.TooSlow) as error:
        return Peer(name, None, str(error).splitlines()[0][:160])
