"""The autoencoder: pictures to latents of an eighth of their side, and back."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import nn

from .config import Config
from .data import list_shards, open_shard
from .loop import Loop, autocast

_ENCODED = 8  # pictures encoded at once
_GUIDE_SAMPLE = 2000  # pieces of pictures that the principal components are computed from
_GUIDE_SPREAD = 0.1  # deviation of the noise on them


def build_vae(config: Config) -> Any:
    """Build the autoencoder with random weights."""
    stage = config.vae
    levels = len(stage.channels)
    return AutoencoderKL(
        block_out_channels=stage.channels,
        down_block_types=("DownEncoderBlock2D",) * levels,
        up_block_types=("UpDecoderBlock2D",) * levels,
        layers_per_block=stage.layers,
        latent_channels=stage.latent_channels,
        norm_num_groups=stage.groups,
        sample_size=config.native,
        scaling_factor=1.0,
        force_upcast=False,
        mid_block_add_attention=False,
    )


def train_vae(config: Config, folder: Path, device: torch.device, seconds: float) -> Any:
    """Train the autoencoder on random pieces of the pictures that are painted by now.

    Returns
    -------
    AutoencoderKL
        Its latents have mean 0 and deviation 1 in every channel, over those pictures.
    """
    stage = config.vae
    torch.manual_seed(config.seed)
    rng = np.random.default_rng([config.seed, 1])
    vae = build_vae(config).to(device, memory_format=torch.channels_last)
    halves = _Encoder(vae), _Decoder(vae)
    encoder, decoder = map(torch.compile, halves) if config.compiled else halves
    crops = _Crops(folder / "data", rng)
    guide = _Patches.of(crops, 2 ** (len(stage.channels) - 1), stage.latent_channels).to(device)

    def losses(progress: float) -> dict[str, torch.Tensor]:
        pixels = crops.draw(stage.batch, stage.crop).to(device, memory_format=torch.channels_last)
        guided = progress < stage.guided
        with autocast(device, half=config.half):
            mean, logvar = encoder(pixels)
            known = guide(pixels)
            spread = torch.full_like(known, _GUIDE_SPREAD) if guided else (logvar / 2).exp()
            centre = known if guided else mean
            decoded = decoder(centre + torch.randn_like(centre) * spread)
        found = {"error": (decoded - pixels).square().mean()}
        if guided:
            off = (logvar - 2 * math.log(_GUIDE_SPREAD)).square().mean()
            found["guide"] = (mean - known).square().mean() + 0.01 * off
        else:
            divergence = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
            found["divergence"] = stage.kl_weight * divergence
        return found

    # The guide has nothing to learn; it is kept with the checkpoint, as it follows from a sample.
    modules = nn.ModuleDict({"vae": vae, "guide": guide})
    Loop("vae", folder, modules, stage, seconds, rng).run(losses)
    _normalise(vae, crops, device)
    return vae


class _Encoder(nn.Module):
    """Returns mean and logarithm of the variance of the latents."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        moments = self.vae.quant_conv(self.vae.encoder(pixels)).float()
        mean, logvar = moments.chunk(2, dim=1)
        return mean, logvar.clamp(-20, 10)


class _Decoder(nn.Module):
    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, latents: torch.Tensor) -> torch.Tensor:
        decoded: torch.Tensor = self.vae.decoder(self.vae.post_quant_conv(latents)).float()
        return decoded


class _Patches(nn.Module):
    """The linear autoencoder: a patch's principal components, each scaled to deviation 1.

    What a deep one is guided by at first. Left to themselves, encoder and decoder have to agree on
    a code before either can learn, which takes most of a short training.
    """

    weight: torch.Tensor
    bias: torch.Tensor

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    @classmethod
    def of(cls, crops: _Crops, cell: int, channels: int) -> _Patches:
        pixels = crops.draw(_GUIDE_SAMPLE, 8 * cell)
        patches = nn.functional.unfold(pixels, cell, stride=cell).transpose(1, 2).flatten(0, 1)
        mean = patches.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov(patches.T))
        first = vectors[:, -channels:].flip(1) / values[-channels:].flip(0).sqrt()
        return cls(first.T.reshape(channels, 3, cell, cell), -first.T @ mean)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        cell = self.weight.shape[-1]
        return nn.functional.conv2d(pixels, self.weight, self.bias, stride=cell).float()


class _Crops:
    """Draws random pieces of pictures, half of them mirrored."""

    def __init__(self, folder: Path, rng: np.random.Generator) -> None:
        self.folder = folder
        self.rng = rng
        self.shards: list[Any] = []
        self.drawn = 0

    def draw(self, count: int, size: int) -> torch.Tensor:
        """Return float32 (count, 3, size, size), -1..1."""
        if self.drawn % 500 == 0:  # more may have been painted
            self.shards = [open_shard(self.folder, n).pictures for n in list_shards(self.folder)]
        self.drawn += 1
        pieces = np.empty((count, size, size, 3), np.uint8)
        for piece in pieces:
            shard = self.shards[self.rng.integers(len(self.shards))]
            top, left = self.rng.integers(0, shard.shape[1] - size + 1, 2)
            cut = shard[self.rng.integers(len(shard)), top : top + size, left : left + size]
            piece[:] = cut[:, ::-1] if self.rng.random() < 0.5 else cut
        return torch.from_numpy(pieces).permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.no_grad()
def encode(vae: Any, pictures: np.ndarray[Any, np.dtype[np.uint8]], *, half: bool) -> torch.Tensor:
    """Encode pictures.

    Parameters
    ----------
    pictures : uint8, (n, H, W, 3)
    half : bool
        Whether to multiply in bfloat16.

    Returns
    -------
    float32 tensor (n, C, H / 8, W / 8)
        The modes of the latents' distributions, on the CPU.
    """
    parts = []
    vae.to(memory_format=torch.channels_last)  # twice as fast on a CPU
    for start in range(0, len(pictures), _ENCODED):
        piece = torch.from_numpy(np.array(pictures[start : start + _ENCODED]))
        pixels = piece.to(vae.device).permute(0, 3, 1, 2).float() / 127.5 - 1
        pixels = pixels.to(memory_format=torch.channels_last)
        with autocast(vae.device, half=half):
            parts.append(vae.encode(pixels).latent_dist.mode().float().cpu())
    return torch.cat(parts)


@torch.no_grad()
def _normalise(vae: Any, crops: _Crops, device: torch.device) -> None:
    """Work the latents' mean and deviation into the weights of the convolutions around them."""
    size = vae.config.sample_size
    pixels = [crops.draw(1, size).to(device) for _ in range(64)]
    latents = torch.cat([vae.encode(one).latent_dist.mode() for one in pixels])
    mean, deviation = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    before, after = vae.quant_conv, vae.post_quant_conv
    channels = len(mean)
    after.bias += after.weight[:, :, 0, 0] @ mean
    after.weight *= deviation[None, :, None, None]
    before.weight[:channels] /= deviation[:, None, None, None]
    before.bias[:channels] = (before.bias[:channels] - mean) / deviation
    before.bias[channels:] -= 2 * deviation.log()  # the logarithm of the variance
