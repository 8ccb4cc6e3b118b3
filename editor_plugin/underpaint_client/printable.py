"""Text of others, made safe to show: prompts, names and messages may hold terminal controls."""

from __future__ import annotations

import re

# Control characters (C0 and C1, which a terminal may take for commands), line and paragraph
# separators, marks that turn the direction of writing, and bytes that were no UTF-8.
_CONTROLS = (
    "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
)
_UNSAFE = re.compile(f"[{_CONTROLS}]")
_UNSAFE_BUT_LAYOUT = re.compile(f"(?![\n\t])[{_CONTROLS}]")


def printable(text: str) -> str:
    r"""Return lines of text with all that could command a terminal written out, as `\x1b`.

    Line feeds and tabs stay.
    """
    return _UNSAFE_BUT_LAYOUT.sub(_written_out, text)


def one_line(text: str, longest: int | None = None) -> str:
    """Return text as part of a line: `printable`, and with spaces for line feeds and the like.

    Parameters
    ----------
    text : str
        What another user, machine or file gave.
    longest : int, optional
        Characters of it that are shown.
    """
    return _UNSAFE.sub(_written_out, " ".join(text.split())[:longest])


def escape_line(text: str, longest: int) -> str:
    r"""Return text that is shown as one line: line feeds and the like are written out, as `\x0a`.

    Parameters
    ----------
    text : str
        May hold what another user, machine or file gave.
    longest : int
        Characters that are shown; the end of a longer text is kept too, where a way out is said.
    """
    if len(text) > longest:
        text = f"{text[: longest - 500]} ... {text[-500:]}"
    return _UNSAFE.sub(_written_out, text)


def escape_json(text: str) -> str:
    r"""Return JSON in which all that could command a terminal is escaped, as `\u009b`."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte, as `surrogateescape` has it
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def capitalize_first(text: str) -> str:
    """Return a clause with a capital, as a sentence begins; the rest stays as it is."""
    return f"{text[:1].upper()}{text[1:]}"
