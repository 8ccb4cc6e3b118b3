"""The models that can be downloaded, and how far each download is, for the window that shows them.

The daemon suggests models and downloads them; a download goes on when the window or the editor is
closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

from underpaint_client.descriptions import describe_bytes
from underpaint_client.errors import DaemonUnavailableError, UnderpaintError, to_sentence
from underpaint_client.home import home
from underpaint_client.model_messages import (
    AskModels,
    AskSuggestions,
    Download,
    StartDownload,
    StopDownload,
    Suggestion,
    Suggestions,
)
from underpaint_client.sentences import NO_TEXT, Sentence, as_sentence, join_sentences, sentence

if TYPE_CHECKING:
    from collections.abc import Callable

    from underpaint_client.messages import Message

TITLE = sentence("Get a model")

LOOKING = sentence("Asking the daemon which models there are...")

START, STOP, RESUME = sentence("Download"), sentence("Stop"), sentence("Resume")
"""The labels of an offer's button."""


@dataclass(frozen=True)
class Offer:
    """One model in the window.

    Parameters
    ----------
    model : str
        Its id on the Hugging Face Hub.
    title : str
        What it is called.
    details : Sentence
        What it is good for and needs.
    status : Sentence
        How far its download is; empty where there is none.
    fraction : float or None
        The same, 0..1; None to show no bar.
    button : Sentence
        What the artist can do: one of the labels above; empty for nothing.
    """

    model: str
    title: str
    details: Sentence
    status: Sentence = NO_TEXT
    fraction: float | None = None
    button: Sentence = START


def make_offer(suggestion: Suggestion, memory: int, download: Download | None) -> Offer:
    """Return how a model is shown.

    Parameters
    ----------
    suggestion : Suggestion
    memory : int
        Bytes that models have room in on the daemon's machine.
    download : Download or None
        Its download, if there was one.
    """
    needed = describe_bytes(suggestion.memory)
    if suggestion.memory <= memory:
        needs = sentence("needs {size} of memory, which fits into this machine's", size=needed)
    else:
        needs = sentence("needs {size} of memory, which is more than this machine's", size=needed)
    details = join_sentences(
        sentence("for {purpose}", purpose=as_sentence(suggestion.purpose)),
        sentence("{size} to download", size=describe_bytes(suggestion.size)),
        needs,
        sentence("licence: {licence}", licence=suggestion.licence),
    )
    title = suggestion.model.rpartition("/")[2]
    if download is None:
        there = suggestion.is_there
        status, button = (sentence("On this machine"), NO_TEXT) if there else (NO_TEXT, START)
        return Offer(suggestion.model, title, details, status, None, button)
    status, fraction, button = describe_download(download)
    return Offer(suggestion.model, title, details, status, fraction, button)


def describe_download(download: Download) -> tuple[Sentence, float | None, Sentence]:
    """Return how far a download is: in words, 0..1 or None, and the label of its button."""
    received, size = download.received, download.size
    amount = sentence(
        "{received} of {size} downloaded",
        received=describe_bytes(received) or sentence("0 MB"),
        size=describe_bytes(size),
    )
    if not size:
        running = sentence("Asking the Hugging Face Hub..."), 0.0
    elif received < size:
        running = amount, received / size
    else:
        running = sentence("Checking the files..."), 1.0
    stopped = sentence("Stopped: {amount}", amount=amount) if received else sentence("Stopped")
    done = sentence("Downloaded: choose {model} as the model", model=download.message)
    again = RESUME if received else START
    states = {
        "waiting": (sentence("Waits for another download"), None, STOP),
        "running": (*running, STOP),
        "stopped": (stopped, None, again),
        "failed": (join_sentences(download.message), None, again),
        "done": (done, None, NO_TEXT),
    }
    return states[download.state]


def _do_nothing() -> None:
    pass


class ModelDownloads:
    """See the module.

    Parameters
    ----------
    send : callable
        Sends the daemon a message, connecting first if need be. Raises a `DaemonUnavailableError`.
    report : callable
        Shows the artist a message outside of the window.
    """

    def __init__(self, send: Callable[[Message], None], report: Callable[[Sentence], None]) -> None:
        self._send = send
        self._report = report
        self._suggestions: Suggestions | None = None
        self._downloads: dict[str, Download] = {}
        self._is_open = False
        self.problem: Sentence = NO_TEXT
        self.on_change: Callable[[], None] = _do_nothing
        """Called after each change; set by the window that shows the offers."""

    @property
    def heading(self) -> Sentence:
        """What to show above the offers."""
        if self.problem:
            return self.problem
        if self._suggestions is None:
            return LOOKING
        found = self._suggestions
        return sentence(
            "The daemon's machine has {memory} ({device}).",
            memory=describe_bytes(found.memory),
            device=as_sentence(found.device),
        )

    @property
    def footer(self) -> Sentence:
        """What to show below the offers."""
        return sentence(
            "These models come from the Hugging Face Hub. You can also put model files that you"
            " have into {folder}, or download others with `underpaint models get`.",
            folder=home() / "models",
        )

    @property
    def offers(self) -> list[Offer]:
        """The models that can be downloaded, small ones first."""
        if self._suggestions is None:
            return []
        memory = self._suggestions.memory
        return [
            make_offer(one, memory, self._downloads.get(one.model))
            for one in self._suggestions.models
        ]

    # ---- the artist's actions ---------------------------------------------------------------

    def open(self) -> None:
        """Ask the daemon for its suggestions; `on_change` follows."""
        self._is_open, self.problem = True, NO_TEXT
        self._try_to_send(AskSuggestions())

    def press(self, offer: Offer) -> None:
        """Do what an offer's button says."""
        if offer.button == STOP:
            self._try_to_send(StopDownload(offer.model))
        elif offer.button:
            self._try_to_send(StartDownload(offer.model))

    def _try_to_send(self, message: Message) -> None:
        try:
            self._send(message)
        except DaemonUnavailableError as error:
            self.problem = to_sentence(error)
        self.on_change()

    # ---- the daemon ------------------------------------------------------------------------

    def handle(self, message: DaemonMessage) -> None:
        """Handle what the daemon says about models to download."""
        if isinstance(message, Suggestions):
            self._suggestions, self.problem = message, NO_TEXT
        else:
            before = self._downloads.get(message.model)
            self._downloads[message.model] = message
            if message.state == "done" and (before is None or before.state != "done"):
                self._finish(message)
        self.on_change()

    def _finish(self, download: Download) -> None:
        self._report(
            sentence(
                "{model} is downloaded. Choose it as the model to use it.", model=download.message
            )
        )
        self._try_to_send(AskModels())

    def handle_error(self, error: UnderpaintError) -> bool:
        """Show an error that the daemon sent; return False where it is not for the window."""
        if not self._is_open or self._suggestions is not None:
            return False
        self.problem = to_sentence(error)
        self.on_change()
        return True

    def forget_window(self) -> None:
        """Show changes nowhere: the window is gone. Downloads go on."""
        self.on_change, self._is_open = _do_nothing, False

    def reconnect(self) -> None:
        """Ask again, where the artist had: another daemon may have been started."""
        if self._is_open:
            self.open()


DaemonMessage = Union[Suggestions, Download]
