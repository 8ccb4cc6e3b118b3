"""What an artist may set: `config.toml` in Underpaint's home. Nothing needs to be there.

::

    [results]
    days = 7        # how long results wait for an editor that does not come
    gigabytes = 4   # and how large all of them may be
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from underpaint_client.errors import BadInputError
from underpaint_client.home import home

from .store import Retention

_KEYS = ("days", "gigabytes")


def config_file() -> Path:
    """Give the path of the configuration, whether or not it exists."""
    return home() / "config.toml"


def read_config() -> Retention:
    """Read the configuration.

    Raises
    ------
    BadInputError
        Names the file, what in it is unknown or out of range, and what there is.
    """
    try:
        return _to_retention(tomllib.loads(config_file().read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Retention()
    except (OSError, ValueError) as error:
        raise BadInputError(f"{config_file()}: {error}; correct it, or remove it") from None


def _to_retention(found: Mapping[str, Any]) -> Retention:
    for name, value in found.items():
        if name != "results" or not isinstance(value, dict):
            raise ValueError(f"{name} is unknown; there is [results], with {' and '.join(_KEYS)}")
    results = found.get("results", {})
    for name, value in results.items():
        if name not in _KEYS:
            raise ValueError(f"{name} under [results] is unknown; there are {' and '.join(_KEYS)}")
        if type(value) not in (int, float) or not value > 0:
            raise ValueError(f"{name} under [results] is {value!r}; give a number above 0")
    return Retention(**{name: float(value) for name, value in results.items()})
