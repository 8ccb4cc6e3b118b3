"""What no callback has handled: an exception goes to the log and, in one sentence, to the artist.

Krita would show a modal dialog for it, which runs an event loop of its own in the middle of what
failed; GIMP would print it where no artist looks. Both call `sys.excepthook`.
"""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from underpaint_client.sentences import Sentence, sentence

from .log import log_exception

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_PACKAGES = ("underpaint_client", "underpaint_editor", "underpaint_krita", "underpaint_gimp")
_ROOT = Path(__file__).parents[1]


def catch_unhandled(report: Callable[[Sentence], None]) -> None:
    """Handle exceptions that leave Underpaint's callbacks, from now on.

    Those of others, such as another plug-in's, are passed on as before.

    Parameters
    ----------
    report : callable
        Shows the artist a message.
    """
    previous, reporting = sys.excepthook, False

    def handle(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        nonlocal reporting
        if not isinstance(error, Exception) or not _is_ours(trace):
            previous(kind, error, trace)
            return
        log_exception("a callback", error)
        if reporting:  # what shows the message has failed
            return
        reporting = True
        try:
            report(
                sentence(
                    "Underpaint failed ({kind}: {error}); its log says where.",
                    kind=kind.__name__,
                    error=str(error),
                )
            )
        except Exception as another:  # noqa: BLE001 - a window that was closed, for one
            log_exception("reporting an exception", another)
        finally:
            reporting = False

    sys.excepthook = handle


def _is_ours(trace: TracebackType | None) -> bool:
    """Return whether a function of Underpaint's is among those that were left."""
    files = (Path(frame.f_code.co_filename) for frame, _ in traceback.walk_tb(trace))
    return any(_ROOT / name in file.parents for file in files for name in _PACKAGES)
