"""Open the store, whatever became of it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from underpaint_client.errors import DaemonUnavailableError

from .store import Store

_DAMAGED = (None, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def open_store(folder: Path) -> tuple[Store, str]:
    """Open the store, or put a damaged one aside and begin a new one.

    Returns
    -------
    store : Store
    remark : str
        What the artist should know; empty where all is well.

    Raises
    ------
    DaemonUnavailableError
        It cannot be opened, though nothing is wrong with it.
    """
    try:
        return Store(folder), ""
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorcode", None) not in _DAMAGED:
            raise DaemonUnavailableError(
                "{folder} cannot be opened ({error}); close what uses it, or make room on the disk",
                folder=folder,
                error=error,
            ) from None
        number = 1
        while (aside := folder.with_name(f"{folder.name}-aside-{number}")).exists():
            number += 1
        folder.rename(aside)
        remark = (
            f"the store of jobs could not be read ({error}), so a new one was created; the old one,"
            f" with the results that had not been fetched, is now {aside}"
        )
        return Store(folder), remark
