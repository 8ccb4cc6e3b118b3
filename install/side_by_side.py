"""Put an erased picture, its alpha and the result side by side: `side_by_side.py BEFORE AFTER OUT`.

The alpha is white where the picture is kept, black where everything may change, grey where a part
may.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

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
    columns = {
        "before: partly erased": on_checks(before),
        "its alpha: white is kept": before.getchannel("A").convert("RGB"),
        "after": on_checks(after),
    }
    width = MARGIN + sum(column.width + MARGIN for column in columns.values())
    height = TITLE + max(column.height for column in columns.values()) + MARGIN
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(13)
    x = MARGIN
    for title, column in columns.items():
        draw.text((x, 5), title, INK, font)
        sheet.paste(column, (x, TITLE))
        x += column.width + MARGIN
    return sheet


if __name__ == "__main__":
    first, second, out = map(Path, sys.argv[1:])
    with Image.open(first) as picture, Image.open(second) as result:
        side_by_side(picture, result).save(out, quality=90)
