"""What requests can name: LoRAs, embeddings, wildcards, styles, and the artist's tags."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from underpaint_client.errors import BadInputError, UnderpaintError, to_sentence
from underpaint_client.home import home
from underpaint_client.name_search import NameIndex
from underpaint_client.prompt_completion import Candidates, Kind, can_be_referred_to, read_tags
from underpaint_client.prompt_messages import PromptLora, PromptNames
from underpaint_client.sentences import Listing, Sentence, sentence

from .log import log_exception

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from underpaint_client.model_entry import ModelEntry
    from underpaint_client.styles import Style

    from .pump import Pump
    from .tracker import JobTracker

ASK_AGAIN = 10.0
"""Seconds after which the names may have changed, and the daemon is asked again."""

LARGEST_TAGS = 64 * 2**20
"""Bytes of the largest list of tags that is read."""


def tags_file() -> Path:
    """Return the file with tags to complete; without it, none are."""
    return home() / "tags.csv"


class TagList:
    """Reads the list of tags in a thread, and again when it has changed."""

    def __init__(self) -> None:
        self._index = NameIndex()
        self._stamp: tuple[int, int] | None = None
        self._thread: threading.Thread | None = None
        self._problem: Sentence | None = None

    def take_problem(self) -> Sentence | None:
        """Return why the list could not be read, once; None where it could."""
        problem, self._problem = self._problem, None
        return problem

    def read(self) -> NameIndex:
        """Return the tags that were read so far, without waiting for others."""
        file = tags_file()
        try:
            status = file.stat()
            stamp = status.st_size, status.st_mtime_ns
        except OSError:
            stamp = None
        is_busy = self._thread is not None and self._thread.is_alive()
        if stamp != self._stamp and not is_busy:
            self._stamp = stamp
            if stamp is None:
                self._index = NameIndex()
            else:
                self._thread = threading.Thread(target=self._read, args=(file,), daemon=True)
                self._thread.start()
        return self._index

    def _read(self, file: Path) -> None:
        try:
            self._index = _read_tags(file)
        except (OSError, ValueError, UnderpaintError) as error:
            self._index = NameIndex()
            log_exception("reading the list of tags", error)
            told = BadInputError(
                "the list of tags {file} cannot be read ({error}); correct it, or remove it",
                file=file,
                error=error,
            )
            self._problem = to_sentence(told)


def _read_tags(file: Path) -> NameIndex:
    """Read a list of tags.

    Raises
    ------
    OSError, ValueError
        It cannot be read, is too large, or no UTF-8.
    BadInputError
        It is not CSV.
    """
    size = file.stat().st_size
    if size > LARGEST_TAGS:
        raise BadInputError(
            "it has {size} bytes, and the limit is {most}", size=size, most=LARGEST_TAGS
        )
    with file.open(encoding="utf-8-sig", newline="") as lines:
        return NameIndex(read_tags(lines))


class PromptSources:
    """See the module.

    Parameters
    ----------
    tracker : JobTracker
        Asks the daemon.
    pump : Pump
        Is woken then.
    report : callable
        Shows the artist a message.
    clock : callable
        Returns the seconds of a monotonic clock.
    """

    def __init__(
        self,
        tracker: JobTracker,
        pump: Pump,
        report: Callable[[Sentence], object],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tracker, self._pump, self._report, self._clock = tracker, pump, report, clock
        self._is_known = False  # the question, to the daemon
        self._asked: float | None = None
        self._names = PromptNames()
        self._wildcards = NameIndex()
        self._loras: tuple[tuple[str, str], Candidates] | None = None
        self._tags = TagList()

    def connect(self, *, is_known: bool) -> None:
        """Ask a daemon that has just answered, if it knows the question."""
        self._is_known, self._asked = is_known, None
        self.add(PromptNames())
        self._ask()

    def add(self, names: PromptNames) -> None:
        """Keep what the daemon has sent."""
        if names != self._names:
            self._names, self._loras = names, None
            self._wildcards = NameIndex(names.wildcards)

    @property
    def styles(self) -> tuple[Style, ...]:
        """The daemon's styles, as far as it has sent them."""
        return self._names.styles

    @property
    def control_pictures(self) -> tuple[str, ...]:
        """The kinds of control layers that the daemon has all it needs to make."""
        return self._names.control_pictures

    def refresh(self) -> None:
        """Ask the daemon again where what it has sent may be old."""
        self._ask()

    def candidates(
        self, kind: Kind, model: ModelEntry | None, layers: Callable[[], Iterable[str]]
    ) -> Candidates:
        """Return what there is of one kind, and ask the daemon again where that may be old.

        Parameters
        ----------
        kind : Kind
        model : ModelEntry or None
            The chosen one: LoRAs for it come first.
        layers : callable
            Returns the names of the document's layers; is called for them only.
        """
        if kind is Kind.TAG:
            if problem := self._tags.take_problem():
                self._report(problem)
            return Candidates(tags=self._tags.read())
        if kind is Kind.LAYER:
            names = dict.fromkeys(name for name in layers() if can_be_referred_to(kind, name))
            return Candidates(layers=NameIndex(names))
        self._ask()
        if kind is Kind.WILDCARD:
            return Candidates(wildcards=self._wildcards)
        chosen = ("", "") if model is None else (model.family, model.title)
        if kind is Kind.EMBEDDING:
            found = sort_loras(self._names.embeddings, *chosen, kind)
            return Candidates(
                embeddings=found.loras, other_embeddings=found.other_loras, notes=found.notes
            )
        if self._loras is None or self._loras[0] != chosen:
            self._loras = chosen, sort_loras(self._names.loras, *chosen)
        return self._loras[1]

    def _ask(self) -> None:
        now = self._clock()
        if self._is_known and (self._asked is None or now - self._asked > ASK_AGAIN):
            self._asked = now
            self._tracker.ask_prompt_names()
            self._pump.wake()


def sort_loras(
    loras: Iterable[PromptLora], family: str, title: str, kind: Kind = Kind.LORA
) -> Candidates:
    """Return LoRAs to complete: those for a model, and the others with a note.

    Parameters
    ----------
    loras : iterable of PromptLora
    family, title : str
        The model's, as `ModelEntry` has them; empty where it is not known.
    kind : Kind
        What they are: LoRAs, or embeddings, which are sorted alike.
    """
    fitting: list[str] = []
    near: list[str] = []
    other: list[str] = []
    notes: dict[str, Sentence] = {}
    for one in loras:
        if not can_be_referred_to(kind, one.name):
            continue
        if one.problem:
            notes[one.name] = sentence("cannot be used")
            other.append(one.name)
        elif not (one.families and family) or title in one.titles:
            fitting.append(one.name)
        else:
            notes[one.name] = sentence("for {models}", models=Listing(one.titles))
            (near if family in one.families else other).append(one.name)
    return Candidates(
        loras=NameIndex(fitting),
        other_loras=NameIndex([*near, *other]),
        notes=notes,
        trigger_words={one.name: one.trigger_words for one in loras if not one.problem},
    )
