"""The pictures of the artists' guide: `cd tests && python guide_pictures.py [krita|gimp]`.

Both editors fill a sketch with the starter model, and the screen is kept as it looks then.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from PIL import Image

from real_editors import Gimp, Krita, find_gimp, find_krita

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "editor_plugin"

PICTURES = {"krita": ("portrait docker", "meanwhile meanwhile"), "gimp": ("portrait window",)}
"""For each editor, what its scenario calls a picture, and what the guide does."""

WIDTH = 1200
"""Pixels that a picture has at most."""


def take(editor: Krita | Gimp) -> None:
    """Run the scenario in an editor whose default is the starter model, and keep the pictures."""
    if editor.home is not None:
        shutil.rmtree(editor.home / "models")
    # Where the editor sees it: GIMP may be in a folder of its own.
    sketch = shutil.copy(ROOT / "install" / "sketch.png", editor.folder)
    os.environ["UNDERPAINT_SKETCH"] = str(sketch)
    editor.serve()
    try:
        said = editor.run("portrait")["portrait"]
        if said["error"]:
            raise SystemExit(f"{editor.name}: {said['error']}")
        for names in PICTURES[editor.name]:
            taken, kept = names.split()
            with Image.open(editor.found / f"{taken}.png") as picture:
                shown = picture.convert("RGB")
                shown = shown.crop(shown.getbbox())  # without the empty screen below the windows
                shown.thumbnail((WIDTH, WIDTH))
                shown.save(GUIDE / f"{kept}.png", optimize=True)
    finally:
        editor.close()


def main(names: list[str]) -> None:
    """Take the pictures of the editors that are named, or of both."""
    if not names or "krita" in names:
        take(Krita(*find_krita()))
    if not names or "gimp" in names:
        take(Gimp(*find_gimp()))


if __name__ == "__main__":
    main(sys.argv[1:])
