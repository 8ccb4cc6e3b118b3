"""The linear map from latents to colours, which makes previews fast."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from underpaint_client.geometry import Extent

from .pixels import Floats, resize


def fit_preview_map(encode: Callable[[Floats], torch.Tensor], cell: int) -> torch.Tensor:
    """Return the map of an autoencoder.

    It is fitted by least squares to smooth gradients that the autoencoder encodes, so no family
    needs numbers of its own.

    Parameters
    ----------
    encode : callable
        As `Model.encode`.
    cell : int
        Pixels a side of a latent cell.

    Returns
    -------
    float32 tensor (C + 1, 3)
        The last row is the offset.
    """
    fields, cells = 8, 32
    spots = np.random.default_rng(0).random((fields, fields, 3), np.float32)
    colours = resize(spots, Extent(cells, cells))
    latents = encode(resize(colours, Extent(cells * cell, cells * cell)))[0].float()
    known = torch.cat([latents.flatten(1).T, torch.ones(cells**2, 1).to(latents)], dim=1)
    wanted = torch.from_numpy(colours.reshape(-1, 3)).to(known)
    ridge = 1e-3 * len(known) * torch.eye(known.shape[1]).to(known)
    found: torch.Tensor = torch.linalg.solve(known.T @ known + ridge, known.T @ wanted)
    return found


def apply_preview_map(preview_map: torch.Tensor, latents: torch.Tensor) -> Floats:
    """Return the approximate colours of latents; see `Model.sketch`."""
    found = torch.einsum("chw,cd->hwd", latents.float(), preview_map[:-1]) + preview_map[-1]
    colours: Floats = found.nan_to_num().clamp(0, 1).cpu().numpy()
    return colours
