"""What every client of the Underpaint daemon shares: request, rules, wire, connection.

Needs the standard library and pyzmq, and runs on Python 3.9 and later, since the editors bring
their own Python.
"""

from .connection import Connection, connect
from .errors import (
    BadInputError,
    CancelledError,
    DaemonUnavailableError,
    GenerationFailedError,
    ModelUnavailableError,
    UnderpaintError,
)
from .frames import Frame
from .geometry import Box, Extent
from .inputs import InputFrames
from .recipe import Recipe
from .request import Request
from .variations import Variation

__all__ = [
    "BadInputError",
    "Box",
    "CancelledError",
    "Connection",
    "DaemonUnavailableError",
    "Extent",
    "Frame",
    "GenerationFailedError",
    "InputFrames",
    "ModelUnavailableError",
    "Recipe",
    "Request",
    "UnderpaintError",
    "Variation",
    "connect",
]
