"""Downloads of models that clients asked for, one after the other.

Each runs in a process of its own (`models.download_process`), which can be stopped at any time and
keeps the Hub's library out of the daemon. What it reports is read by a thread, and handled in the
daemon's own loop.
"""

from __future__ import annotations

import functools
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from underpaint.models import scan
from underpaint.models.downloading import split_id
from underpaint.models.suggestions import find_memory, suggest_models
from underpaint_client import messages, model_messages
from underpaint_client.errors import BadInputError
from underpaint_client.model_messages import Download
from underpaint_client.sentence_json import from_data
from underpaint_client.sentences import sentence

from .answers import Answers

if TYPE_CHECKING:
    from collections.abc import Hashable

    from underpaint_client.messages import Message

    Send = Callable[[Any, Message], object]

log = logging.getLogger(__name__)

COMMAND = (sys.executable, "-P", "-m", "underpaint.models.download_process")
"""What starts a download; the model's id comes behind."""

MOST = 32
"""Downloads that are remembered, those that have ended included."""

MAX_ID = 300
"""Characters of the longest id."""

_GB = 10**9


class Downloads:
    """See the module. All but reading happens in the thread that makes this.

    Parameters
    ----------
    send : callable
        Sends a client a message.
    command : sequence of str
        As `COMMAND`.
    """

    def __init__(self, send: Send, command: Sequence[str] = COMMAND) -> None:
        self._send = send
        self._command = command
        self._answers = Answers()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="suggestions")
        self._downloads: dict[str, Download] = {}
        self._clients: set[Hashable] = set()
        self._asked: set[Hashable] = set()  # for suggestions
        self._running: tuple[str, subprocess.Popen[bytes]] | None = None

    @property
    def fd(self) -> int:
        """The descriptor that can be read when there is something for `answer`."""
        return self._answers.fd

    def answer(self) -> None:
        """Handle what the processes have reported."""
        self._answers.handle()

    # ---- what clients ask ------------------------------------------------------------------

    def handle(self, client: Hashable, message: Message) -> None:
        """Handle `AskSuggestions`, `StartDownload` or `StopDownload`.

        Raises
        ------
        BadInputError
            As `start`.
        """
        if isinstance(message, model_messages.StartDownload):
            self.start(client, message.model)
        elif isinstance(message, model_messages.StopDownload):
            self.stop(message.model)
        else:
            self._clients.add(client)
            self._asked.add(client)
            if len(self._asked) == 1:  # else those that are being found are for all who asked
                self._thread.submit(self._find_suggestions)

    def start(self, client: Hashable, model: str) -> None:
        """Download a model, after those that were asked for before.

        Raises
        ------
        BadInputError
            That is no id of the Hub, or too many downloads wait.
        """
        if len(model) > MAX_ID:
            raise BadInputError("{model!r}... is no id of the Hugging Face Hub", model=model[:40])
        split_id(model)
        self._clients.add(client)
        known = self._downloads.get(model)
        if known is not None and known.state in ("waiting", "running"):
            self._send(client, known)
            return
        self._downloads.pop(model, None)
        self._forget_old()
        self._change(Download(model, "waiting"))
        self._start_next()

    def stop(self, model: str) -> None:
        """Stop a download, or take it out of those that wait."""
        known = self._downloads.get(model)
        if known is None or known.state not in ("waiting", "running"):
            return
        self._change(replace(known, state="stopped"))
        if self._running is not None and self._running[0] == model:
            self._running[1].kill()  # its end starts the next

    def forget(self, client: Hashable) -> None:
        """Forget a client that has gone; its downloads go on."""
        self._clients.discard(client)

    def close(self) -> None:
        """Stop all downloads; what they have is kept for the next time."""
        self._downloads.clear()
        if self._running is not None:
            self._running[1].kill()
            self._running[1].wait()
        self._thread.shutdown(cancel_futures=True)
        self._answers.close()

    # ---- what follows ----------------------------------------------------------------------

    def _forget_old(self) -> None:
        ended = [m for m, one in self._downloads.items() if one.state not in ("waiting", "running")]
        for model in ended[: max(0, len(self._downloads) - MOST + 1)]:
            del self._downloads[model]
        if len(self._downloads) >= MOST:
            raise BadInputError(
                "{count} downloads wait already; stop one first", count=len(self._downloads)
            )

    def _change(self, download: Download) -> None:
        """Remember how a download is now, and tell all who asked."""
        if self._downloads.get(download.model) == download:
            return
        self._downloads[download.model] = download
        for client in tuple(self._clients):
            self._send(client, download)

    def _start_next(self) -> None:
        if self._running is not None:
            return
        waiting = [one for one in self._downloads.values() if one.state == "waiting"]
        if not waiting:
            return
        download = waiting[0]
        log.info("downloading %s", download.model)
        try:
            process = subprocess.Popen(
                [*self._command, download.model],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C in the daemon's terminal is the daemon's to handle
            )
        except OSError as error:
            log.exception("the download cannot be started")
            told = f"the download cannot be started ({error.strerror or error}); try again"
            self._change(replace(download, state="failed", message=told))
            self._start_next()
            return
        self._running = download.model, process
        self._change(replace(download, state="running"))
        threading.Thread(
            target=self._read, args=(download.model, process), name="download", daemon=True
        ).start()

    def _read(self, model: str, process: subprocess.Popen[bytes]) -> None:
        """Read what a process reports until it ends; in a thread of its own."""
        if process.stdout is not None:  # as `_start_next` has it
            with process.stdout as lines:
                for line in lines:
                    self._answers.add(functools.partial(self._handle_line, model, line))
        code = process.wait()
        self._answers.add(functools.partial(self._handle_end, model, code))

    def _handle_line(self, model: str, line: bytes) -> None:
        known = self._downloads.get(model)
        if known is None or known.state != "running":
            return
        event = json.loads(line)
        if "error" in event:
            message = from_data(str(event["error"]), event.get("sentence"))
            self._change(replace(known, state="failed", message=message))
        elif "path" in event:
            name = os.path.basename(event["path"])  # noqa: PTH119 - it may end with a slash
            self._change(replace(known, state="done", received=known.size, message=name))
        else:
            self._change(replace(known, received=event["received"], size=event["size"]))

    def _handle_end(self, model: str, code: int) -> None:
        known = self._downloads.get(model)
        if known is not None and known.state == "running":
            told = sentence(
                "the download ended unexpectedly (exit code {code}); the daemon's log says why",
                code=code,
            )
            self._change(replace(known, state="failed", message=told))
        self._running = None
        self._start_next()

    # ---- in the thread for suggestions -----------------------------------------------------

    def _find_suggestions(self) -> None:
        found: model_messages.Suggestions | messages.Failed
        try:
            found = _suggestions()
        except Exception:
            log.exception("the suggestions cannot be listed")
            told = "the suggestions cannot be listed; the daemon's log says why"
            found = messages.Failed("", "failed", told)
        self._answers.add(functools.partial(self._send_suggestions, found))

    def _send_suggestions(self, found: Message) -> None:
        clients, self._asked = self._asked & self._clients, set()
        for client in clients:
            self._send(client, found)
            for download in self._downloads.values():
                self._send(client, download)


def _suggestions() -> model_messages.Suggestions:
    memory = find_memory()
    there = {one.found.name for one in scan(seconds=0)}
    return model_messages.Suggestions(
        memory.size,
        memory.what,
        tuple(
            model_messages.Suggestion(
                one.id,
                one.purpose,
                round(one.size * _GB),
                round(one.memory * _GB),
                one.licence,
                is_there=one.id in there or one.id.rpartition("/")[2] in there,
            )
            for one in suggest_models()
        ),
    )
