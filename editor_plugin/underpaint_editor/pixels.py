"""Arithmetic on whole rasters in pure Python: the editors' Pythons have no numpy.

All that goes over every pixel is a call that Python carries out in C: strided slices, `translate`,
and whole numbers of millions of digits.
"""

from __future__ import annotations

_SET = bytes(1) + b"\xff" * 255
"""0 stays 0, all else becomes 255."""


def changed_pixels(before: bytes, after: bytes, pixels: int) -> bytes:
    """Compare two rasters.

    Parameters
    ----------
    before, after : bytes
        Equally long, of any format with whole bytes.
    pixels : int
        How many each has.

    Returns
    -------
    bytes
        One a pixel: 255 where any of its bytes differ, else 0.
    """
    size = len(before) // max(pixels, 1)
    different = (_number(before) ^ _number(after)).to_bytes(len(before), "little")
    found = 0
    for lane in range(size):
        found |= _number(different[lane::size].translate(_SET))
    return found.to_bytes(pixels, "little")


def choose(amounts: bytes, ones: bytes, zeros: bytes) -> bytes:
    """Return the pixels of one raster where `amounts` is 255, and of another where it is 0.

    Parameters
    ----------
    amounts : bytes
        One a pixel, 255 or 0.
    ones, zeros : bytes
        Equally long, of any format with whole bytes.
    """
    size = len(ones) // max(len(amounts), 1)
    mask = bytearray(len(ones))
    for lane in range(size):
        mask[lane::size] = amounts
    wanted = _number(bytes(mask))
    chosen = _number(zeros) ^ ((_number(ones) ^ _number(zeros)) & wanted)
    return chosen.to_bytes(len(ones), "little")


def restore_hidden(shown: bytes, stored: bytes, pixels: int, alpha: int) -> bytes:
    """Return a layer as it looks, with the colour that it holds where it is transparent.

    Parameters
    ----------
    shown : bytes
        The layer as it looks.
    stored : bytes
        What the layer holds, in the same format.
    pixels : int
        How many each has.
    alpha : int
        Bytes of a pixel's alpha, which are its last.

    Returns
    -------
    bytes
        `shown`, and where its alpha is 0 the colour of `stored` under an alpha of 0.
    """
    size = len(shown) // max(pixels, 1)
    clear, alphas = bytearray(stored), bytearray(pixels * alpha)
    for lane in range(alpha if pixels else 0):
        clear[size - alpha + lane :: size] = bytes(pixels)
        alphas[lane::alpha] = shown[size - alpha + lane :: size]
    visible = changed_pixels(bytes(alphas), bytes(len(alphas)), pixels)
    return choose(visible, shown, bytes(clear))


def keep_unchanged(sent: bytes, painted: bytes, before: bytes, after: bytes, pixels: int) -> bytes:
    """Restore the original bytes of pixels that came back as they were sent.

    Parameters
    ----------
    sent, painted : bytes
        What went to the daemon and what came back, in the format of the wire.
    before, after : bytes
        The same two in the layer's own format, which may be finer.
    pixels : int
        How many each has.

    Returns
    -------
    bytes
        `after` where the daemon painted, `before` elsewhere.
    """
    return choose(changed_pixels(sent, painted, pixels), after, before)


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")
