"""Whether something can be redone, which Krita tells scripts only by the words of its menu."""

from __future__ import annotations


def names_command(text: str, bare: str) -> bool | None:
    """Return whether an action's text names a command besides its own.

    Krita's action for redoing is always enabled, and called `Redo Brush stroke`, or `Redo ` where
    there is nothing to redo; in other languages the command may stand first.

    Parameters
    ----------
    text : str
        The action's text.
    bare : str
        The same without any command: its icon text.

    Returns
    -------
    bool or None
        None where the bare text is no part of it.

    Examples
    --------
    >>> names_command("&Redo Add Layer", "Redo")
    True
    """
    text, bare = text.replace("&", "").casefold(), bare.replace("&", "").strip().casefold()
    if not bare or bare not in text:
        return None
    return any(letter.isalnum() for letter in text.replace(bare, "", 1))
