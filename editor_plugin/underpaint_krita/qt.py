"""PyQt5 (Krita 5) or PyQt6 (Krita 6) under the same names.

A machine may have both, but only the one that Krita itself was built on can be loaded into it.
Importing `krita` loads that one, so `krita` must be imported before this module.

Enumerations are written in full (`Qt.Orientation.Horizontal`), which both versions understand.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING or "PyQt6.QtCore" not in sys.modules:
    from PyQt5 import QtCore, QtGui, QtWidgets
else:
    from PyQt6 import QtCore, QtGui, QtWidgets

__all__ = ["QtCore", "QtGui", "QtWidgets"]
