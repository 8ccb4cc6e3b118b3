"""Underpaint in GIMP 3: a window, menu entries and procedures that repaint what was erased."""
