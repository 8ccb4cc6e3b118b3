"""In which order the files of tests run, where several run at a time."""

from __future__ import annotations

FIRST = ("editors/test_krita.py", "editors/test_gimp.py", "training")
"""What takes longest: begun last, it would run on alone. The editors wait for most of the time,
in which the processes beside them compute."""


def find_rank(file: str) -> int:
    """Return when a file's tests run: those of a lower rank come first, and else all as they are.

    Parameters
    ----------
    file : str
        From the folder of the tests, with slashes.
    """
    found = (n for n, one in enumerate(FIRST) if file == one or file.startswith(f"{one}/"))
    return next(found, len(FIRST))
