"""Finds what is wrong in a prompt before it is sent, and where in what the artist wrote.

The daemon reads a prompt after its choices are made, where characters are elsewhere. What depends
on a choice is left to the daemon.
"""

from __future__ import annotations

import re

from .parsed_prompt import PromptError
from .prompt_choices import ALTERNATIVES, COMMENT, DEEPEST, WILDCARD
from .prompt_language import LORA_KINDS, parse_prompt

_UNKNOWN = "\uf8ff"  # stands for each character that a choice replaces
_REFERENCE = re.compile(rf"<(?i:{LORA_KINDS}|layer):[^<>\n]*{_UNKNOWN}[^<>\n]*>")


def find_prompt_error(text: str) -> PromptError | None:
    """Return what is wrong in a prompt as it was written, with its position in it.

    Returns
    -------
    PromptError or None
        None where nothing is wrong, or only a choice can tell.
    """
    known = COMMENT.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)
    known = WILDCARD.sub(_hide, known)
    for _ in range(DEEPEST):
        known = ALTERNATIVES.sub(_hide, known)
    try:
        parse_prompt(_REFERENCE.sub(_hide, known))
    except PromptError as error:
        return error
    return None


def _hide(found: re.Match[str]) -> str:
    return _UNKNOWN * len(found[0])
