"""What the scenarios of both editors need for styles, and for settings of a picture."""

from __future__ import annotations

import json
import os
import struct
import zlib
from pathlib import Path

PARAMETERS = (
    "a pond\nNegative prompt: people\nSteps: 9, Sampler: Euler a, CFG scale: 5.5, Seed: 42,"
    " Size: 64x64, Model: sd-few, Eta: 0.5"
)
USED = {
    "prompt": "a pond", "negative_prompt": "people", "steps": 9, "sampler": "k_euler_a",
    "guidance_scale": 5.5, "seed": 42, "model": "sd-few", "style": "",
}  # fmt: skip
"""What the form has then."""


def write_style() -> None:
    """Write the style `Few` into the daemon's home."""
    folder = Path(os.environ["UNDERPAINT_HOME"], "styles")
    folder.mkdir(exist_ok=True)
    style = {"prompt": "{prompt}, ink", "negative_prompt": "fog", "model": "sd-few", "steps": 5}
    (folder / "Few.json").write_text(json.dumps(style), encoding="utf-8")
    (folder / "Torn.json").write_text("{", encoding="utf-8")


def write_picture(file: Path) -> Path:
    """Write a picture with the parameters of another program, without an image library."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    text = b"parameters\0" + PARAMETERS.encode("latin-1")
    chunks = ((b"IHDR", header), (b"tEXt", text), (b"IDAT", zlib.compress(b"\0\0")), (b"IEND", b""))
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        check = struct.pack(">I", zlib.crc32(kind + data))
        content += struct.pack(">I", len(data)) + kind + data + check
    file.write_bytes(content)
    return file
