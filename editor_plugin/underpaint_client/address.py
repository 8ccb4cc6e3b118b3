"""Where results go, in a form that outlives the editor: the note that a job carries."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Address:
    """See the module.

    Parameters
    ----------
    editor : str
        Whose job it is.
    document : str
        What its document is found by, or called.
    layer : str
        The layer's lasting name in it.
    width, height : int
        The canvas, in pixels.
    """

    editor: str
    document: str = ""
    layer: str = ""
    width: int = 0
    height: int = 0

    def to_text(self) -> str:
        """Return it as text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Address:
        """Read what `to_text` wrote; return an empty address for anything else."""
        try:
            found = cls(**json.loads(text))
        except (ValueError, TypeError, RecursionError):
            return cls("")
        texts = (found.editor, found.document, found.layer)
        numbers = (found.width, found.height)
        fits = all(isinstance(one, str) for one in texts) and all(type(n) is int for n in numbers)
        return found if fits else cls("")
