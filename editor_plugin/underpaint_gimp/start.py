#!/usr/bin/env python3
"""The program that GIMP starts. The installer puts it beside `lib`, which holds the packages."""

import sys
from pathlib import Path

import gi

gi.require_version("Gimp", "3.0")
from gi.repository import Gimp  # noqa: E402 - after its version

_LIB = Path(__file__).resolve().parent / "lib"
sys.path.insert(0, str(_LIB))
from underpaint_editor.vendored import use_vendored  # noqa: E402 - found from here on

use_vendored(_LIB / "vendor")
from underpaint_gimp.plugin import Underpaint  # noqa: E402

Gimp.main(Underpaint.__gtype__, sys.argv)
