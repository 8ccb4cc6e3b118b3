"""For how long things have been found too old, counted while daemons run: no clock is trusted."""

from __future__ import annotations

from .records import Records


class Ages:
    """See the module. Its tables are among the store's records.

    Parameters
    ----------
    records : Records
    """

    def __init__(self, records: Records) -> None:
        self._execute = records.execute

    def count(self, seconds: float) -> float:
        """Add to the seconds for which daemons ran, and return all of them."""
        (counted,) = self._execute("SELECT coalesce(max(seconds), 0) FROM awake")[0]
        self._execute("DELETE FROM awake")
        self._execute("INSERT INTO awake VALUES (?)", counted + seconds)
        return float(counted + seconds)

    def look(self, kind: str, old: set[str], awake: float) -> None:
        """Record since when something is too old; start again for what no longer is.

        Parameters
        ----------
        kind : str
            What it is.
        old : set of str
            All of that kind that are too old now.
        awake : float
            From `count`.
        """
        known = self.since(kind).keys()
        for name in known - old:
            self._execute("DELETE FROM old_since WHERE kind = ? AND name = ?", kind, name)
        for name in old - known:
            self._execute("INSERT INTO old_since VALUES (?, ?, ?)", kind, name, awake)

    def since(self, kind: str) -> dict[str, float]:
        """Return when, as `count` counts, each was first found too old without a break."""
        return dict(self._execute("SELECT name, awake FROM old_since WHERE kind = ?", kind))
