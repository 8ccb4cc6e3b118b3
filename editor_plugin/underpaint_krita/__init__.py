"""Underpaint in Krita: a docker that repaints what was erased."""

from __future__ import annotations

from pathlib import Path

from underpaint_editor.vendored import use_vendored

use_vendored(Path(__file__).parent / "vendor")

try:
    from krita import DockWidgetFactory, DockWidgetFactoryBase, Krita
except ImportError:  # outside of Krita, where only tests import parts of this package
    pass
else:
    from .actions import Actions
    from .docker import DOCKER, UnderpaintDocker

    Krita.instance().addDockWidgetFactory(
        DockWidgetFactory(DOCKER, DockWidgetFactoryBase.DockPosition.DockRight, UnderpaintDocker)
    )
    Krita.instance().addExtension(Actions(Krita.instance()))
