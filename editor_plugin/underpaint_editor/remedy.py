"""The one button for the session's state: what the artist can do about it. Pure."""

from __future__ import annotations

from enum import Enum

from underpaint_client.sentences import Sentence, sentence


class Remedy(Enum):
    """What the button does; the value is its label."""

    OPEN_AS_DOCUMENT = sentence("Open as a new document")
    INSERT = sentence("Insert the result")
    KEEP_PREVIEW = sentence("Keep the preview")
    FETCH = sentence("Fetch waiting results")
    START_DAEMON = sentence("Start the daemon")

    @property
    def label(self) -> Sentence:
        """The button's label."""
        return self.value


def choose_remedy(
    *,
    undelivered: bool,
    deferred: bool,
    has_preview: bool,
    waiting: bool,
    connected: bool,
    can_start: bool,
) -> Remedy | None:
    """Return what to offer: what could be lost first, the daemon last.

    Parameters
    ----------
    undelivered : bool
        Whether results could not be inserted.
    deferred : bool
        Whether results wait until inserting them clears no redo history.
    has_preview : bool
        Whether there is a preview of a cancelled job to keep.
    waiting : bool
        Whether the daemon has results from an earlier start of the editor.
    connected : bool
        Whether there is a connection to the daemon.
    can_start : bool
        Whether the daemon can be started from here.

    Returns
    -------
    Remedy or None
        None to hide the button.
    """
    if undelivered:
        return Remedy.OPEN_AS_DOCUMENT
    if deferred:
        return Remedy.INSERT
    if has_preview:
        return Remedy.KEEP_PREVIEW
    if connected:
        return Remedy.FETCH if waiting else None
    return Remedy.START_DAEMON if can_start else None
