"""Clip skip, as Stable Diffusion WebUI counts it."""

from __future__ import annotations

_OPEN_CLIP_WIDTH = 1024
"""The width of Stable Diffusion 2's text encoder, whose last layer diffusers leaves out."""


def count_skipped(clip_skip: int, width: int, *, is_xl: bool) -> int:
    """Return how many layers a clip skip leaves out at the end of CLIP.

    A prompt is taken from the last layer in Stable Diffusion 1, and from the last but one in 2 and
    XL: there, 1 and 2 mean what the model was trained for, as in Stable Diffusion WebUI Forge.

    Parameters
    ----------
    clip_skip : int
        1 or more.
    width : int
        The text encoder's hidden size.
    is_xl : bool
        Whether the model is of Stable Diffusion XL.
    """
    return max(0, clip_skip - (2 if is_xl or width == _OPEN_CLIP_WIDTH else 1))
