"""Whether something can be redone, which Krita tells scripts only in the text of its menu."""

from __future__ import annotations


def names_command(text: str, bare: str) -> bool | None:
    """Return whether an action's text names a command besides its own.

    Krita's Redo action is always enabled. Its text is `Redo Brush stroke`, or `Redo ` if there is
    nothing to redo. In other languages the command may come first.

    Parameters
    ----------
    text : str
        The action's text.
    bare : str
        The same without any command: its icon text.

    Returns
    -------
    bool or None
        None if the bare text is not part of the text.

    Examples
    --------
    >>> names_command("&Redo Add Layer", "Redo")
    True
    """
    text, bare = text.replace("&", "").casefold(), bare.replace("&", "").strip().casefold()
    if not bare or bare not in text:
        return None
    return any(letter.isalnum() for letter in text.replace(bare, "", 1))
