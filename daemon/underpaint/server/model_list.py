"""Looks for models in a thread of its own, so that the daemon answers meanwhile.

A library may hold thousands of files, on a slow disk. The first time each header is read, a little
at a time; until then what is known is listed.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError

from underpaint.models import default_model, list_entries, list_models, scan
from underpaint.models.pictures import SmallPicture, read_picture
from underpaint_client.model_entry import ModelEntry

from .answers import Answers, SharedAnswer

log = logging.getLogger(__name__)

SLICE = 0.5
"""Seconds that headers are read at a time."""

PATIENCE = 0.05
"""Seconds that a client's greeting waits for the default model of this moment."""

FIRST_PATIENCE = 2.0
"""The same, where none is known yet."""

Entries = tuple[ModelEntry, ...]

Then = Callable[[Entries | None, Exception | None], object]
"""Is given the models, or why there is no list of them."""

ThenPicture = Callable[[SmallPicture | None], object]
"""Is given the picture of a model; None where it has none."""


class ModelList:
    """See the module. All but the looking itself happens in the thread that makes this."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="models")
        self._lock = threading.Lock()
        self._pictures: dict[Hashable, tuple[str, ThenPicture]] = {}
        self._answers = Answers()
        self._lists = SharedAnswer(self._answers, self._thread, self._list)
        self._closed = False
        self._default: str | None = None
        self._asked: Future[None] = self._thread.submit(self._find_default)
        self._thread.submit(self._look_on)

    @property
    def fd(self) -> int:
        """The descriptor that can be read when there are answers."""
        return self._answers.fd

    def default(self) -> str:
        """Return the default model: that of this moment, or of the last time if that takes long."""
        if self._asked.done():
            self._asked = self._thread.submit(self._find_default)
        with contextlib.suppress(NotYetError):
            self._asked.result(PATIENCE if self._default is not None else FIRST_PATIENCE)
        return self._default or ""

    def request(self, then: Then) -> None:
        """List the models.

        Parameters
        ----------
        then : callable
            Is called when `answer` is called after.
        """
        if self._lists.request(then, lambda found: then(*found)):
            self._thread.submit(self._look_on)

    def request_picture(self, client: Hashable, model: str, then: ThenPicture) -> None:
        """Read the small picture beside a model, one at a time for each client.

        Parameters
        ----------
        client : hashable
            Who asks. If it asks for another before it has an answer, only that is answered.
        model : str
            A name of the list.
        then : callable
            Is called when `answer` is called after.
        """
        with self._lock:
            is_waiting = client in self._pictures
            self._pictures[client] = model, then
        if not is_waiting:
            self._thread.submit(self._read_picture, client)

    def answer(self) -> None:
        """Call every `then` whose list or picture is there."""
        self._answers.handle()

    def close(self) -> None:
        """End within a slice of reading."""
        self._closed = True
        self._thread.shutdown(cancel_futures=True)
        self._answers.close()

    # ---- in the thread ---------------------------------------------------------------------

    def _find_default(self) -> None:
        try:
            self._default = default_model()
        except Exception:
            log.exception("the default model cannot be found")

    def _list(self) -> tuple[Entries | None, Exception | None]:
        try:
            return list_entries(SLICE), None
        except Exception as error:
            log.exception("the models cannot be listed")
            return None, error

    def _read_picture(self, client: Hashable) -> None:
        with self._lock:
            model, then = self._pictures.pop(client)
        picture = None
        try:
            path = list_models().get(model)
            picture = None if path is None else read_picture(path)
        except Exception:
            log.exception("the picture of a model cannot be read")
        self._answers.add(functools.partial(then, picture))

    def _look_on(self) -> None:
        """Read the headers that are not read yet, and let others in between."""
        try:
            left = any(one.is_unknown for one in scan(seconds=SLICE))
        except Exception:
            log.exception("the models cannot be looked for")
            return
        if left and not self._closed:
            with contextlib.suppress(RuntimeError):  # it ends this moment
                self._thread.submit(self._look_on)
