"""PyQt5 (Krita 5) and PyQt6 (Krita 6) under one name each.

Enumerations are named in full (`Qt.Orientation.Horizontal`), which both understand.
"""

from __future__ import annotations

try:
    from PyQt6 import QtCore, QtGui, QtWidgets
except ImportError:
    from PyQt5 import QtCore, QtGui, QtWidgets

__all__ = ["QtCore", "QtGui", "QtWidgets"]
