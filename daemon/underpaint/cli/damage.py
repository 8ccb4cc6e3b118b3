"""Damaged pictures: one error for whatever decoders raise."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from underpaint_client.errors import UnderpaintError


class DamagedError(ValueError):
    """A decoder has failed; the message is the decoder's, `__cause__` its error."""


@contextlib.contextmanager
def decoding() -> Iterator[None]:
    """Raise a `DamagedError` for whatever a decoder raises meanwhile.

    Pillow, OpenCV and their plug-ins document no common error. For damaged files they raise
    OSError, SyntaxError, struct.error, ZeroDivisionError and many others. An `UnderpaintError` is
    ours, and is raised as it is.
    """
    try:
        yield
    except UnderpaintError:
        raise
    except Exception as error:
        raise DamagedError(str(error)) from error
