"""ICC profiles to test with."""

from __future__ import annotations

import itertools
import struct

import numpy as np
from imagecodecs import cms_profile, cms_transform

_D65 = [0.3127, 0.3290, 1.0]
_D50 = [0.3457, 0.3585, 1.0]


def rgb_profile(primaries: list[float], gamma: float) -> bytes:
    """Return the profile of an RGB space by x and y of its primaries, white being D65."""
    red, green, blue = (primaries[at : at + 2] for at in (0, 2, 4))
    listed = [*red, 1.0, *green, 1.0, *blue, 1.0]
    return bytes(cms_profile("rgb", whitepoint=_D65, primaries=listed, gamma=gamma))


def wide_profile() -> bytes:
    """Return a profile with the primaries of Rec. 2020, far outside of sRGB."""
    return rgb_profile([0.708, 0.292, 0.17, 0.797, 0.131, 0.046], 2.2)


def linear_profile() -> bytes:
    """Return a profile with sRGB's primaries and linear light."""
    return rgb_profile([0.64, 0.33, 0.3, 0.6, 0.15, 0.06], 1.0)


def grey_profile(gamma: float) -> bytes:
    """Return a profile of greys."""
    return bytes(cms_profile("gray", whitepoint=_D50, gamma=gamma))


def ink_profile() -> bytes:
    """Return a CMYK profile of ideal inks, as a table of 2 points a side (ICC.1:2010, 10.10)."""
    corners = np.array(list(itertools.product([0, 1], repeat=4)), np.float32)
    light = (1 - corners[:, :3]) * (1 - corners[:, 3:])
    lab = cms_transform(
        light[np.newaxis], cms_profile("srgb"), cms_profile("lab2"), colorspace="rgb",
        outcolorspace="lab",
    )[0]  # fmt: skip
    table = np.rint(lab * [2.55, 1, 1] + [0, 128, 128]).clip(0, 255).astype(np.uint8)
    even = bytes(range(256))
    one = struct.pack(">i", 65536)
    unchanged = b"".join(
        one if row == column else bytes(4) for row in range(3) for column in range(3)
    )
    look_up = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + unchanged + even * 4
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"inks\0" + bytes(78),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061),
        b"A2B0": look_up + table.tobytes() + even * 3,
    }
    place = 128 + 4 + 12 * len(tags)
    listed, content = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        padded = data + bytes(-len(data) % 4)
        listed += name + struct.pack(">2I", place + len(content), len(data))
        content += padded
    header = bytearray(128)
    header[0:4] = struct.pack(">I", place + len(content))
    header[8:24] = bytes([2, 0x40, 0, 0]) + b"prtrCMYKLab "
    header[36:40] = b"acsp"
    header[68:80] = struct.pack(">3i", 63190, 65536, 54061)
    return bytes(header) + listed + content
