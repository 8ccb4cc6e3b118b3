"""Stable Diffusion 1.x, 2.x and XL."""

from __future__ import annotations

from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionXLImg2ImgPipeline

from underpaint.engine.denoise import _Taps


class StableDiffusion(_Taps, StableDiffusionImg2ImgPipeline):  # type: ignore[misc]
    """Stable Diffusion 1.x and 2.x, tapped."""


class StableDiffusionXL(_Taps, StableDiffusionXLImg2ImgPipeline):  # type: ignore[misc]
    """Stable Diffusion XL, tapped."""
