"""Whose jobs and results the daemon keeps: those of keys that may still connect."""

from __future__ import annotations

import logging
import sqlite3
from typing import TYPE_CHECKING

from underpaint_client.errors import UnderpaintError

from . import keys

if TYPE_CHECKING:
    from .endpoints import Endpoints
    from .frame_cache import FrameCache
    from .jobs import Jobs
    from .store import Store

log = logging.getLogger(__name__)


class Revocation:
    """Drops what is of owners whose keys were revoked, whether they are connected or not.

    Parameters
    ----------
    endpoints : Endpoints
        Know which keys are allowed.
    jobs : Jobs
    frame_cache : FrameCache
    """

    def __init__(self, endpoints: Endpoints, jobs: Jobs, frame_cache: FrameCache) -> None:
        self._endpoints, self._jobs, self._frame_cache = endpoints, jobs, frame_cache
        self._allowed = keys.Settling()

    def look(self) -> None:
        """Look whether keys were revoked; end the jobs of their owners and drop their results."""
        if self._allowed.has_settled(self._endpoints.allowed.stamp()):
            self._jobs.ask_owners(self._drop)

    def _drop(self, owners: set[str]) -> None:
        for owner in owners - {"", self._endpoints.own_key}:
            if self._endpoints.allowed.has_dropped(owner):
                log.info("a key was revoked; its owner's jobs and results are dropped")
                self._frame_cache.drop(owner)
                self._jobs.drop(owner)


def adopt_own_jobs(store: Store, own_key: str) -> None:
    """Make jobs that came while config.toml's `ipc` was another those of this machine's user."""
    try:
        store.adopt(own_key, keys.own_owners())
    except (OSError, sqlite3.Error, UnderpaintError) as error:  # the next start tries again
        log.warning("earlier results may be missing from the list: %s", error)
