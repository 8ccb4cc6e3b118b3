#!/usr/bin/env python3
"""What GIMP runs; the installer puts it beside `lib`, which holds the packages."""

import sys
from pathlib import Path

_LIB = Path(__file__).resolve().parent / "lib"
sys.path.insert(0, str(_LIB))
try:
    import zmq  # noqa: F401 - the distribution's, where there is one
except ImportError:
    for _folder in sorted((_LIB / "vendor").glob("*")):
        if _folder.name.endswith(f"-cp3{min(sys.version_info.minor, 12)}"):
            sys.path.append(str(_folder))

import gi  # noqa: E402

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402

from underpaint_gimp.plugin import Underpaint  # noqa: E402

Gimp.main(Underpaint.__gtype__, sys.argv)
