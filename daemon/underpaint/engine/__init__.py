"""The engine: a request and its rasters in, result rasters and recipes out.

Usable as a library, without the daemon. Names are imported when first used: torch and diffusers
take seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .engine import Engine
    from .inputs import Inputs
    from .model import Model
    from .reports import Picture, Preview, Progress, Viewer

__all__ = ["Engine", "Inputs", "Model", "Picture", "Preview", "Progress", "Viewer"]


def __getattr__(name: str) -> Any:
    if name == "Model":
        from .model import Model  # noqa: PLC0415

        return Model
    if name in __all__:
        from . import engine, inputs, reports  # noqa: PLC0415

        return next(getattr(one, name) for one in (engine, inputs, reports) if hasattr(one, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
