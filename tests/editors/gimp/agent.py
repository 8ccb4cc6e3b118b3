#!/usr/bin/env python3
"""Stands in for the file that GIMP runs: the same plug-in, and scenarios in its event loop.

Windows of other programs than GIMP's are reached as an artist reaches them, by mouse and keys.
"""

from __future__ import annotations

import importlib
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import gi

gi.require_version("Gimp", "3.0")
gi.require_version("Gdk", "3.0")
from gi.repository import Gdk, Gimp, GLib  # noqa: E402

_HERE = Path(os.environ["UNDERPAINT_SCENARIOS"])
sys.path[:0] = [str(_HERE), str(_HERE.parent)]
sys.path.append(str(_HERE.parents[1]))


def later(milliseconds: int, call: Callable[[], None]) -> None:
    def once() -> bool:
        call()
        return False

    GLib.timeout_add(milliseconds, once)


def shoot(file: Path) -> None:
    root = Gdk.get_default_root_window()
    pixels = Gdk.pixbuf_get_from_window(root, 0, 0, root.get_width(), root.get_height())
    pixels.savev(str(file), "png", [], [])


def quit_gimp() -> None:
    procedure = Gimp.get_pdb().lookup_procedure("gimp-quit")
    config = procedure.create_config()
    config.set_property("force", True)
    procedure.run(config)


def begin() -> None:
    from driver import Driver

    scenarios = importlib.import_module("scenarios")
    Driver(scenarios, later, shoot, scenarios.clear, quit_gimp).next()


def wait_for_gimp() -> None:
    """Begin once GIMP's window is there; the plug-in is started before it."""
    screen = Gdk.Screen.get_default()
    seen = screen is not None and screen.get_window_stack()
    later(2000 if seen else 200, begin if seen else wait_for_gimp)


later(200, wait_for_gimp)
runpy.run_path(str(Path(__file__).with_name("start.py")), run_name="__main__")
