"""Embeddings (textual inversions) in a prompt: a word that is one's name, or a reference to one.

================================  ================================================================
`ink`                             as Stable Diffusion WebUI has it, where there is one of that name
`embedding:ink`                   as ComfyUI has it
`<embedding:ink>`                 as LoRAs are named here
================================  ================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    r"<(?i:embedding):(?P<tagged>[^<>:\n]{1,200})(?::[^<>:\n]{0,20})?>"
    r"|(?<![\w-])(?i:embedding):(?P<named>[^\s,<>()\[\]{}:|]+)"
    r"|(?P<word>[^\s,<>()\[\]{}:|]+)"
    r"|(?P<other>[\s,<>()\[\]{}:|])"
)
_SENTENCE_END = ".;!?\"'"


class PromptPart(NamedTuple):
    """A part of a prompt's words.

    Parameters
    ----------
    text : str
        As it is written.
    embedding : str
        The name of an embedding that it stands for; empty where it is only words.
    is_reference : bool
        Whether it can be nothing else.
    """

    text: str
    embedding: str = ""
    is_reference: bool = False


def split_embeddings(text: str, is_known: Callable[[str], bool]) -> Iterator[PromptPart]:
    """Yield the parts of a text: embeddings, and the words between them.

    Parameters
    ----------
    text : str
        Words of one weight.
    is_known : callable
        Returns whether there is an embedding of a name. Others are words, references too.

    Examples
    --------
    >>> [one.text for one in split_embeddings("a lake, Ink.", {"Ink"}.__contains__)]
    ['a lake, ', 'Ink', '.']
    """
    words = ""
    for found in _TOKEN.finditer(text):
        reference = found["tagged"] or found["named"]
        name = (reference or found["word"] or "").strip()
        ending = ""
        if not found["tagged"] and not is_known(name):
            plain = name.rstrip(_SENTENCE_END)
            name, ending = plain, name[len(plain) :]
        if not name or not is_known(name):
            words += found[0]
            continue
        if words:
            yield PromptPart(words)
        written = found[0][: len(found[0]) - len(ending)]
        yield PromptPart(written, name, reference is not None)
        words = ending
    if words:
        yield PromptPart(words)


def find_references(text: str) -> Iterator[tuple[str, str]]:
    """Yield what is written as a reference to an embedding, and the name in it."""
    for found in _TOKEN.finditer(text):
        name = found["tagged"] or found["named"]
        if name:
            yield found[0], name.strip()
