"""How long results wait for a client that does not come. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

DAY = 86400.0
"""Seconds."""

RAISE_LIMIT = "raise `gigabytes` under [results] in config.toml"
"""The way out where results are larger than is kept."""


@dataclass(frozen=True)
class Retention:
    """How long results wait for a client that does not come.

    Parameters
    ----------
    days : float
        Older ones go.
    gigabytes : float
        If all that wait for one owner are larger, the oldest of them are removed, but never the
        newest. It is also the limit on what is kept of one job.
    """

    days: float = 7
    gigabytes: float = 4


@dataclass(frozen=True)
class Entry:
    """What the limits need to know of a job that has ended.

    Parameters
    ----------
    name : str
        Its id.
    owner : str
        Whose it is.
    changed : float
        When it ended, in seconds of the epoch.
    size : int
        Bytes that it takes on the disk: pixels, headers and notes.
    is_taken : bool
        Whether its client has its results, so that little of it is left.
    """

    name: str
    owner: str
    changed: float
    size: int
    is_taken: bool = False


def find_old(changed: Mapping[str, float], retention: Retention, now: float) -> set[str]:
    """Return the names of what is older than the limit by the clock of this moment.

    The clock may be wrong, so this alone removes nothing: see `outdated`. What comes from the
    future, as a clock that was moved back makes it, counts as new.

    Parameters
    ----------
    changed : mapping of str to float
        When each came about, in seconds of the epoch.
    retention : Retention
    now : float
        Seconds of the epoch.
    """
    oldest = now - retention.days * DAY
    return {name for name, moment in changed.items() if moment < oldest}


def is_due(old_since: float, awake: float) -> bool:
    """Return whether something has been too old for long enough: a day in which the daemon ran.

    Parameters
    ----------
    old_since, awake : float
        Seconds for which daemons ran in all, when it was first found too old, and now.
    """
    return awake - old_since >= DAY


def outdated(ended: Sequence[Entry], old_since: Mapping[str, float], awake: float) -> list[str]:
    """Return the names of the jobs that go as they have waited too long.

    Parameters
    ----------
    ended : sequence of Entry
        All that have ended, oldest first.
    old_since : mapping of str to float
        For those that are too old now and at every look since, when that was first found.
    awake : float
        Seconds for which daemons ran in all.
    """
    return [
        entry.name
        for entry in ended
        if entry.name in old_since and is_due(old_since[entry.name], awake)
    ]


def oversized(
    ended: Sequence[Entry], running: Mapping[str, int], retention: Retention
) -> list[Entry]:
    """Return the jobs that go as there is too much: the oldest, but never an owner's newest.

    Parameters
    ----------
    ended : sequence of Entry
        All that have ended and stay otherwise, oldest first.
    running : mapping of str to int
        For owners, the bytes of pictures of jobs that have not ended.
    retention : Retention
    """
    limit = retention.gigabytes * 2**30
    excess = _sizes(ended)
    excess.update(running)
    newest = {entry.owner: entry.name for entry in ended if not entry.is_taken}
    going = []
    for entry in ended:
        is_newest = newest.get(entry.owner) == entry.name
        if entry.size and excess[entry.owner] > limit and not is_newest:
            going.append(entry)
            excess[entry.owner] -= entry.size
    return going


def _sizes(ended: Iterable[Entry]) -> Counter[str]:
    """Return the bytes of each owner."""
    sizes: Counter[str] = Counter()
    for entry in ended:
        sizes[entry.owner] += entry.size
    return sizes
