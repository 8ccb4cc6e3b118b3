"""What an artist may set: `config.toml` in Underpaint's home. Nothing needs to be there.

::

    [results]
    days = 7        # how long results wait for an editor that does not come
    gigabytes = 4   # and how large all of them may be
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from underpaint_client.errors import BadInputError
from underpaint_client.home import home

from .store import Retention

_Positive = Annotated[float, msgspec.Meta(gt=0)]


class _Results(msgspec.Struct, forbid_unknown_fields=True):
    days: _Positive = Retention.days
    gigabytes: _Positive = Retention.gigabytes


class _Config(msgspec.Struct, forbid_unknown_fields=True):
    results: _Results = msgspec.field(default_factory=_Results)


def config_file() -> Path:
    """Give the path of the configuration, whether or not it exists."""
    return home() / "config.toml"


def read_config() -> Retention:
    """Read the configuration.

    Raises
    ------
    BadInputError
        Names the file, and what in it is unknown or out of range.
    """
    try:
        found = msgspec.toml.decode(config_file().read_bytes(), type=_Config)
    except FileNotFoundError:
        return Retention()
    except (OSError, msgspec.DecodeError) as error:
        raise BadInputError(f"{config_file()}: {error}; correct it, or remove it") from None
    return Retention(found.results.days, found.results.gigabytes)
