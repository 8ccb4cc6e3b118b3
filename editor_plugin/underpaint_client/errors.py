"""The errors, which cross the wire by their codes.

Every message names the wrong value and the way out, and can be shown to an artist.
"""

from __future__ import annotations

from collections.abc import Mapping

from .printable import escape_line, printable
from .sentences import Sentence, as_sentence, join_sentences, sentence

_LONGEST = 4000
"""Characters of an error that names what is in a file."""


class UnderpaintError(Exception):
    """Anything Underpaint reports; `code` is its name on the wire.

    Parameters
    ----------
    message : str
        May quote what another user, machine or file gave: what could command a terminal, turn the
        direction of writing, or cannot be encoded is written out.
    **values : object
        Where given, the message is their template, as `sentences` has it; else it is the text.
    """

    code = "failed"

    def __init__(self, message: str = "", /, **values: object) -> None:
        super().__init__(_make(message, values).map_text(printable))

    @property
    def sentence(self) -> Sentence:
        """The message, which can be shown in another language."""
        return _make(self.args[0])

    def shortened(self, longest: int) -> UnderpaintError:
        """Return an error of the same code with so many characters of the message."""
        return from_code(self.code, self.sentence.map_text(lambda text: text[:longest]))


def _make(message: str, values: Mapping[str, object] | None = None) -> Sentence:
    if values:
        return sentence(message, **values)
    return as_sentence(message)


class BadInputError(UnderpaintError):
    """A value, a picture or a message is not valid."""

    code = "bad_input"


class OtherProtocolError(BadInputError):
    """A message is of another version of the wire's protocol.

    Parameters
    ----------
    message : str
    protocol : int
        The message's.
    """

    def __init__(self, message: str, protocol: int) -> None:
        super().__init__(message)
        self.protocol = protocol


class ModelUnavailableError(UnderpaintError):
    """The model does not exist, cannot be opened, or is of a kind that is not supported.

    Its message is one line: it quotes files that strangers made.
    """

    code = "model"

    def __init__(self, message: str = "", /, **values: object) -> None:
        super().__init__(_make(message, values).map_text(lambda text: escape_line(text, _LONGEST)))


class DaemonUnavailableError(UnderpaintError):
    """No daemon answers, or it is gone."""

    code = "daemon"


class DaemonStoppedError(DaemonUnavailableError):
    """The daemon was stopped; its jobs go on when it starts again."""


class TurnedAwayError(DaemonUnavailableError):
    """Access was revoked: the daemon no longer accepts this machine, and its jobs have ended."""


class GenerationFailedError(UnderpaintError):
    """The job was accepted, and the engine could not finish it."""

    code = "failed"


class UnknownJobError(GenerationFailedError):
    """The daemon does not know the job: it was never accepted, or has been forgotten since."""

    code = "unknown"


class ResultsKeptError(GenerationFailedError):
    """The daemon could not read all results of the job, and keeps them: they are not `Taken`."""

    code = "kept"


class CancelledError(UnderpaintError):
    """The job was cancelled, as asked."""

    code = "cancelled"


_BY_CODE: dict[str, type[UnderpaintError]] = {
    error.code: error
    for error in (
        BadInputError,
        ModelUnavailableError,
        DaemonUnavailableError,
        GenerationFailedError,
        UnknownJobError,
        ResultsKeptError,
        CancelledError,
    )
}


def from_code(code: str, message: str) -> UnderpaintError:
    """Return the error that `code` names; a code from a newer daemon becomes a plain failure."""
    return _BY_CODE.get(code, GenerationFailedError)(message)


def to_sentence(error: UnderpaintError) -> Sentence:
    """Return an error's message as a status line has it: with a capital and a full stop."""
    return join_sentences(error.sentence)
