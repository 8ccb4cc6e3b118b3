"""Lists what a request can name, for the editors: LoRAs, embeddings, wildcards, and styles.

A thread looks, so that the daemon answers meanwhile. Headers of LoRAs are read once and remembered
by the size and time of the file, as those of models are; until all are read, those that are known
are listed.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from underpaint.models import scan
from underpaint.models.embedding_list import list_embeddings
from underpaint.models.lora_list import ListedLora, list_loras
from underpaint.models.preprocessors import choose_preprocessor, list_preprocessors
from underpaint.models.roots import lora_roots, preprocessor_roots
from underpaint.styles import list_styles
from underpaint.wildcards import list_wildcards
from underpaint_client.control_layers import CONTROL_PICTURES
from underpaint_client.errors import ModelUnavailableError
from underpaint_client.prompt_messages import PromptLora, PromptNames
from underpaint_client.typed_json import to_json

from .answers import Answers, SharedAnswer
from .job_queue import Client

log = logging.getLogger(__name__)

SLICE = 0.5
"""Seconds that headers are read at a time."""

MOST_BYTES = 2**22
"""Bytes of the LoRAs, and of each other list in an answer; those beyond are left out."""

LONGEST_NAME = 200
"""Characters of the longest name that is listed."""

T = TypeVar("T")


class PromptNameList:
    """See the module. All but the looking itself happens in the thread that makes this.

    Parameters
    ----------
    send : callable
        Sends a client a message.
    """

    def __init__(self, send: Callable[[Client, PromptNames], object]) -> None:
        self._send = send
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="prompt names")
        self._answers = Answers()
        self._names = SharedAnswer(self._answers, self._thread, _list_names)

    @property
    def fd(self) -> int:
        """The descriptor that can be read when there are answers."""
        return self._answers.fd

    def request(self, client: Client) -> None:
        """Send a client the list, in a call of `answer` after the thread has made it."""
        self._names.request(client, functools.partial(self._send, client))

    def answer(self) -> None:
        """Send the lists that are there."""
        self._answers.handle()

    def close(self) -> None:
        """End within a slice of reading."""
        self._thread.shutdown(cancel_futures=True)
        self._answers.close()


def _list_names() -> PromptNames:
    return PromptNames(
        tuple(_limit(_gather("LoRAs", _find_loras), lambda one: one.name, "LoRAs")),
        tuple(_limit(_gather("wildcards", _find_wildcards), str, "wildcards")),
        tuple(_limit(_gather("styles", list_styles), lambda one: one.name, "styles")),
        tuple(_limit(_gather("embeddings", _find_embeddings), lambda one: one.name, "embeddings")),
        tuple(_gather("preprocessors", _find_control_pictures)),
    )


def _gather(what: str, find: Callable[[], Iterable[T]]) -> Iterable[T]:
    """Return what is found; nothing, with a word in the log, where looking fails."""
    try:
        return tuple(find())
    except Exception:  # such as a wrong config.toml: the other names are still of use
        log.exception("the %s cannot be listed", what)
        return ()


def _find_loras() -> Iterator[PromptLora]:
    return map(describe_lora, list_loras(scan(lora_roots(), seconds=SLICE)))


def _find_embeddings() -> Iterator[PromptLora]:
    for one in list_embeddings():
        bases = (one.base_family,) if one.base_family else ()
        yield PromptLora(one.name, bases, (one.base,) if bases else (), problem=one.reason)


def _find_control_pictures() -> Iterator[str]:
    there = list_preprocessors(scan(preprocessor_roots(), seconds=SLICE))
    for kind in CONTROL_PICTURES:
        with contextlib.suppress(ModelUnavailableError):
            choose_preprocessor(kind, there=there)
            yield kind


def _find_wildcards() -> list[str]:
    return sorted(list_wildcards())


def describe_lora(one: ListedLora) -> PromptLora:
    """Return what clients are told of a LoRA: nothing of where it lies."""
    return PromptLora(
        name=one.name,
        families=tuple(dict.fromkeys(base.partition(" ")[0] for base in one.facts.bases)),
        titles=tuple(one.base_titles),
        trigger_words=one.facts.trigger_words,
        problem=one.reason,
    )


def _limit(found: Iterable[T], name_of: Callable[[T], str], what: str) -> Iterator[T]:
    """Yield what fits into an answer, and has a name that can be written in a line."""
    size = left = 0
    for one in found:
        name = name_of(one)
        if not name.isprintable() or len(name) > LONGEST_NAME:
            continue
        size += len(json.dumps(to_json(one)))
        if size <= MOST_BYTES:
            yield one
        else:
            left += 1
    if left:
        log.warning("%d of the %s are not offered: there are too many", left, what)
