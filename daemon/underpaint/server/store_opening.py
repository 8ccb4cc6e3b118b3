"""Open the store, whatever became of it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from underpaint_client.errors import DaemonUnavailableError
from underpaint_client.sentences import NO_TEXT, Sentence, sentence

from .store import Store

_DAMAGED = (None, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def open_store(folder: Path) -> tuple[Store, Sentence]:
    """Open the store, or put a damaged one aside and begin a new one.

    Returns
    -------
    store : Store
    remark : Sentence
        What the artist should know; empty where all is well.

    Raises
    ------
    DaemonUnavailableError
        It cannot be opened, though nothing is wrong with it.
    """
    try:
        return Store(folder), NO_TEXT
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
        remark = sentence(
            "the store of jobs could not be read ({error}), so a new one was created; the old one,"
            " with the results that had not been fetched, is now {folder}",
            error=error,
            folder=aside,
        )
        return Store(folder), remark
