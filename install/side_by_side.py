"""Put before, mask and after of an erased picture side by side: `side_by_side.py BEFORE AFTER OUT`.

The mask is white where everything may change, grey where a part, black where nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw

MARGIN = 12  # pixels around and between
TITLE = 24  # pixels above
CHECKS = 16  # pixels of a check's side
PAPER, INK = (247, 246, 243), (60, 58, 54)


def on_checks(picture: Image.Image) -> Image.Image:
    """Lay a picture on the grey checks that editors show where it is erased."""
    tile = Image.new("RGB", (2, 2), (204, 204, 204))
    tile.putpixel((0, 0), (255, 255, 255))
    tile.putpixel((1, 1), (255, 255, 255))
    checks = Image.new("RGB", picture.size)
    small = tile.resize((2 * CHECKS, 2 * CHECKS), Image.Resampling.NEAREST)
    for x in range(0, picture.width, 2 * CHECKS):
        for y in range(0, picture.height, 2 * CHECKS):
            checks.paste(small, (x, y))
    checks.paste(picture.convert("RGB"), mask=picture.getchannel("A"))
    return checks


def side_by_side(before: Image.Image, after: Image.Image) -> Image.Image:
    """Compose the picture of a change, titles and all."""
    before, after = before.convert("RGBA"), after.convert("RGBA")
    mask = ImageChops.invert(before.getchannel("A")).convert("RGB")
    columns = {"before": on_checks(before), "mask": mask, "after": on_checks(after)}
    width = MARGIN + sum(column.width + MARGIN for column in columns.values())
    height = TITLE + max(column.height for column in columns.values()) + MARGIN
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    x = MARGIN
    for title, column in columns.items():
        draw.text((x, 6), title, INK)
        sheet.paste(column, (x, TITLE))
        x += column.width + MARGIN
    return sheet


if __name__ == "__main__":
    first, second, out = map(Path, sys.argv[1:])
    side_by_side(Image.open(first), Image.open(second)).save(out)
