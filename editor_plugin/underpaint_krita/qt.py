"""PyQt5 (Krita 5) and PyQt6 (Krita 6) under one name each.

A machine may have both, and only the one that this Krita was built on can be loaded into it: the
one that `krita`, which is to be imported before, has brought along.

Enumerations are named in full (`Qt.Orientation.Horizontal`), which both understand.
"""

from __future__ import annotations

import sys

if "PyQt6.QtCore" in sys.modules:
    from PyQt6 import QtCore, QtGui, QtWidgets
else:
    from PyQt5 import QtCore, QtGui, QtWidgets

__all__ = ["QtCore", "QtGui", "QtWidgets"]
