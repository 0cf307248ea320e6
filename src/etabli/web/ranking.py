"""How well a few typed words fit a thing: accents and case apart, from the start of a word or inside it, with a slip of the hand.

Pure functions over what is in memory; a thousand things take some milliseconds.
"""

import re
import unicodedata
from collections.abc import Sequence

WHOLE, START, INSIDE, SLIP = 1.0, 0.9, 0.6, 0.5  # How well one typed word fits one of a thing's.
BESIDE = 0.6  # Of a word that fits what is said of a thing, not its name.
SHORTEST_SLIP = 4  # Letters; a slip in a shorter word makes another word.
LETTERS_A_SLIP = 4  # One slip in 4 to 7 letters, two in more.
MOST_SLIPS = 2
_WORD = re.compile(r"[^\W_]+")


def plain(text: str) -> str:
    """A text without accents and in lower case."""
    decomposed = unicodedata.normalize("NFD", text)
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter)).lower()


def words(text: str) -> tuple[str, ...]:
    """The words of a text, plain, in order."""
    return tuple(_WORD.findall(plain(text)))


def fit(typed: Sequence[str], *, name: Sequence[str], beside: Sequence[str]) -> float:
    """From 0 (at least one typed word fits nothing) to 1; the words of a thing's name count for more than those `beside` it."""
    if not typed:
        return 0.0
    found = [max(_best(word, name), BESIDE * _best(word, beside)) for word in typed]
    return sum(found) / len(found) if all(found) else 0.0


def _best(word: str, of: Sequence[str]) -> float:
    direct = max((_direct(word, other) for other in of), default=0.0)
    if direct or len(word) < SHORTEST_SLIP:
        return direct
    slips = min(MOST_SLIPS, len(word) // LETTERS_A_SLIP)
    return SLIP if any(_is_near(word, other, slips) for other in of) else 0.0


def _direct(word: str, other: str) -> float:
    if word == other:
        return WHOLE
    if other.startswith(word):
        return START
    return INSIDE if len(word) > 1 and word in other else 0.0


def _is_near(word: str, other: str, slips: int) -> bool:
    """Whether `word` is `other`, or its beginning, but for some slips."""
    if len(other) < len(word) - slips:
        return False
    ends = {len(other)} if len(other) <= len(word) + slips else set()
    ends |= {end for end in range(len(word) - slips, len(word) + slips + 1) if SHORTEST_SLIP <= end <= len(other)}
    return any(_distance(word, other[:end], slips) <= slips for end in ends)


def _distance(one: str, other: str, limit: int) -> int:
    """Letters put in, left out, changed, or two swapped (optimal string alignment); more than `limit` is not counted exactly."""
    before: list[int] = []
    last = list(range(len(other) + 1))
    for row, letter in enumerate(one, start=1):
        current = [row]
        for column, opposite in enumerate(other, start=1):
            cost = min(last[column] + 1, current[-1] + 1, last[column - 1] + (letter != opposite))
            if row > 1 and column > 1 and letter == other[column - 2] and one[row - 2] == opposite:
                cost = min(cost, before[column - 2] + 1)
            current.append(cost)
        if min(current) > limit:
            return limit + 1
        before, last = last, current
    return last[-1]
