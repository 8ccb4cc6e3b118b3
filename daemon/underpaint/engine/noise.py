"""Noise: drawn on the CPU from seeds alone, and interpolated towards that of other seeds."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from underpaint_client.variations import Variation


def draw_noise(seed: int, shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Generator]:
    """Draw a picture's noise, on the CPU and from its seed alone (promise 7).

    Parameters
    ----------
    seed : int
        0 .. 2**32 - 1.
    shape : tuple of int
        channels, latent height, latent width.

    Returns
    -------
    noise : float32, (1, *shape)
        Normal, mean 0, variance 1; the same on any device, in any batch.
    generator : torch.Generator
        A sampler that adds noise as it goes draws from it.
    """
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn((1, *shape), generator=generator), generator


def vary(
    seed: int, variations: Sequence[Variation], shape: tuple[int, ...]
) -> tuple[torch.Tensor, torch.Generator]:
    """Draw a picture's noise, and interpolate it towards that of other seeds (promise 8).

    Spherical interpolation (Shoemake 1985) keeps it normal, where a mean would lose variance.

    Parameters
    ----------
    seed : int
        Of the noise to begin with.
    variations : sequence of Variation
        Applied in turn.
    shape : tuple of int
        channels, latent height, latent width.

    Returns
    -------
    noise, generator
        As `draw_noise`. The generator is the first seed's, so that a small variation stays near
        with samplers that add noise as they go; after a weight of 1, that one's own.
    """
    noise, generator = draw_noise(seed, shape)
    for one in variations:
        if one.weight:
            other, own = draw_noise(one.seed, shape)
            noise = slerp(noise, other, one.weight)
            generator = own if one.weight == 1 else generator
    return noise, generator


def slerp(start: torch.Tensor, stop: torch.Tensor, share: float) -> torch.Tensor:
    """Go a share (0..1) of the way from one noise to another, along the sphere."""
    if share in (0, 1):
        return stop if share else start
    first, second = start.double(), stop.double()
    cosine = (first * second).sum() / (first.norm() * second.norm()).clamp_min(1e-12)
    angle = torch.acos(cosine.clamp(-1, 1))
    if torch.sin(angle) < 1e-6:  # the same direction, or opposite ones: interpolate along the line
        return torch.lerp(first, second, share).to(start.dtype)
    near, far = torch.sin((1 - share) * angle), torch.sin(share * angle)
    return ((near * first + far * second) / torch.sin(angle)).to(start.dtype)
