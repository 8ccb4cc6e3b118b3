# The part of PyQt5 that `underpaint_krita` uses, without what PyQt6 (Krita 6) does not have too.
