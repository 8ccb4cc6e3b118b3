"""Underpaint in Krita: a docker that repaints what was erased."""

from __future__ import annotations

import sys
from pathlib import Path

# pyzmq, for as many Pythons as there are wheels; Krita brings one of them.
for _folder in sorted((Path(__file__).parent / "vendor").glob("*")):
    _minor = _folder.name.rpartition("-")[2]
    if _minor == f"cp3{min(sys.version_info.minor, 12)}":
        sys.path.append(str(_folder))

try:
    from krita import DockWidgetFactory, DockWidgetFactoryBase, Krita
except ImportError:  # outside of Krita, where tests look at the parts
    pass
else:
    from .actions import Actions
    from .docker import DOCKER, UnderpaintDocker

    Krita.instance().addDockWidgetFactory(
        DockWidgetFactory(DOCKER, DockWidgetFactoryBase.DockPosition.DockRight, UnderpaintDocker)
    )
    Krita.instance().addExtension(Actions(Krita.instance()))
