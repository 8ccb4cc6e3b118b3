"""The model families that the engine runs, a file each."""

from __future__ import annotations

import importlib

from . import stable_diffusion  # noqa: F401 - its import takes seconds: not in the first job
from .family import Family

_WHERE = {
    "sd": ("stable_diffusion", "SD"),
    "sdxl": ("stable_diffusion", "SDXL"),
    "sd3": ("sd3", "FAMILY"),
    "flux": ("flux", "FAMILY"),
    "flux inpainting": ("flux", "FILL"),
    "z-image": ("z_image", "FAMILY"),
    "flux2-klein": ("flux2_klein", "FAMILY"),
    "qwen-image": ("qwen_image", "FAMILY"),
    "qwen-image-2.1": ("qwen_image_21", "FAMILY"),
    "qwen-image edit": ("qwen_image", "EDIT"),
    "chroma": ("chroma", "FAMILY"),
    "lumina2": ("lumina2", "FAMILY"),
    "krea2": ("krea2", "FAMILY"),
}
"""The module and the name of each family; others are imported when needed.

With a purpose behind it where models of that purpose run with another pipeline.
"""


def find_family(name: str, purpose: str = "plain") -> Family:
    """Return a family.

    Parameters
    ----------
    name, purpose : str
        As `ModelInfo.family` and `ModelInfo.purpose`.
    """
    module, member = _WHERE.get(f"{name} {purpose}", _WHERE[name])
    family: Family = getattr(importlib.import_module(f"{__name__}.{module}"), member)
    return family
