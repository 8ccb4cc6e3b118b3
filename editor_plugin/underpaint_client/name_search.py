"""Finds names by a part of them, in 100,000 of them while a letter is typed."""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

_ENOUGH = 200  # places of a text that are looked at
_LAST = "\U0010ffff"


class NameIndex:
    """Names that can be searched.

    Those that begin with a text are found in a sorted list, the others by Python's own search in
    one long text, which is much faster than a loop over the names.

    Parameters
    ----------
    names : iterable of str
        The more usual ones first.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = tuple(names)
        lines = [_fold(name) for name in self.names]
        self._order = array("L", sorted(range(len(lines)), key=lines.__getitem__))
        self._sorted = [lines[index] for index in self._order]
        self._starts = array("L")
        place = 1
        for line in lines:
            self._starts.append(place)
            place += len(line) + 1
        self._starts.append(place)
        self._text = "\n".join(["", *lines, ""])

    def find(self, wanted: str, most: int) -> list[str]:
        """Return the names that have a text in them.

        Those that begin with it come first, then those in which a word does, then the others. Case
        does not matter, and `_` is a space.

        Parameters
        ----------
        wanted : str
        most : int
            How many names are returned at most.
        """
        if not wanted:
            return list(self.names[:most])
        wanted = _fold(wanted)
        first, last = bisect_left(self._sorted, wanted), bisect_left(self._sorted, wanted + _LAST)
        found = dict.fromkeys(heapq.nsmallest(most, self._order[first:last]))
        if len(found) < most:
            hits = list(self._hits(wanted))
            begin = (one for one in hits if self._begins_word(one))
            found.update(dict.fromkeys(map(self._index, begin)))
            found.update(dict.fromkeys(map(self._index, hits)))
        return [self.names[index] for index in list(found)[:most]]

    def _hits(self, wanted: str) -> Iterator[int]:
        """Yield where a text is: all places, or those in the more usual names."""
        place = self._text.find(wanted)
        for _ in range(_ENOUGH):
            if place < 0:
                break
            yield place
            place = self._text.find(wanted, place + 1)

    def _begins_word(self, place: int) -> bool:
        return self._text[place].isalnum() and not self._text[place - 1].isalnum()

    def _index(self, place: int) -> int:
        return bisect_right(self._starts, place) - 1


def _fold(text: str) -> str:
    return text.casefold().replace("_", " ").replace("\n", " ")
