"""pyzmq, which editors do not bring: the installer leaves one for each Python that they do."""

from __future__ import annotations

import importlib.util
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_NEWEST = 12  # the wheel for 3.12 serves all later ones


def use_vendored(folder: Path) -> None:
    """Make Python find the pyzmq that fits it below a folder, unless it has one already."""
    if importlib.util.find_spec("zmq") is None:
        suffix = f"-cp3{min(sys.version_info.minor, _NEWEST)}"
        sys.path += [str(path) for path in sorted(folder.glob("*")) if path.name.endswith(suffix)]
