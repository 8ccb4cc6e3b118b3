"""The file `config.toml` in Underpaint's home, and what it says about folders of models.

`server.config` reads the rest of it; models are also looked for where no server is.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from underpaint_client.errors import BadInputError
from underpaint_client.home import home, read_trusted

SHOWN = 80
"""Characters of a wrong value that an error shows."""


def config_file() -> Path:
    """Return the path of the configuration, whether or not it exists."""
    return home() / "config.toml"


def load_config() -> dict[str, Any]:
    """Return what the configuration holds, unchecked; nothing where there is none.

    Raises
    ------
    BadInputError
        It cannot be read, or is not TOML. Names the file.
    DaemonUnavailableError
        Others can write it.
    """
    try:
        return tomllib.loads(read_trusted(config_file()).replace("\r\n", "\n"))
    except FileNotFoundError:
        return {}
    except RecursionError:
        raise BadInputError("{file} is nested too deeply; correct it", file=config_file()) from None
    except (OSError, ValueError) as error:
        raise BadInputError(
            "{file}: {error}; correct it, or remove it", file=config_file(), error=error
        ) from None


def check_folder(folder: str) -> None:
    """Check that a folder of models is named from the root or a home; it may not be there yet.

    Raises
    ------
    BadInputError
        It is relative: to what depends on who starts the daemon. Or it can be no path.
    """
    if "\0" in folder:
        raise BadInputError("{folder!r} is not a path; correct it", folder=folder[:SHOWN])
    if not (folder.startswith("~") or Path(folder).is_absolute()):
        raise BadInputError(
            "{folder!r} is relative; give the whole path, or one that begins with ~/",
            folder=folder[:SHOWN],
        )
