"""The denoiser: taught on latents and captions to tell noise from picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import nn

from .config import Config
from .loop import Loop, autocast
from .pairs import Batch, Pairs, open_held_out
from .text import tokenize

NOISE_LEVELS = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
    "timestep_spacing": "trailing",
    "steps_offset": 1,  # without a meaning here, but diffusers wants it
    "clip_sample": False,
}
"""Stable Diffusion's noise, so that a strength means here what it means there. Velocity is
predicted (Salimans and Ho 2022), which weighs all noise levels alike, and schedules begin at the
last timestep, where training has shown noise alone: so dark pictures are dark from the start
(Lin et al. 2023)."""


_REFRESH = 20  # steps after which newly painted pictures are looked for


def build_unet(config: Config) -> Any:
    """Build the denoiser with random weights.

    Laid out as Stable Diffusion's inpainting models: what is kept comes in beside the noisy
    latents, clean, so that a hole can follow its surroundings from the first step on.
    """
    stage = config.unet
    looks = list(stage.attention)
    return UNet2DConditionModel(
        sample_size=config.native // 2 ** (len(config.vae.channels) - 1),
        in_channels=2 * config.vae.latent_channels + 1,
        out_channels=config.vae.latent_channels,
        block_out_channels=stage.channels,
        layers_per_block=stage.layers,
        down_block_types=tuple("CrossAttnDownBlock2D" if a else "DownBlock2D" for a in looks),
        up_block_types=tuple("CrossAttnUpBlock2D" if a else "UpBlock2D" for a in reversed(looks)),
        cross_attention_dim=config.text.hidden,
        # By its name the number of heads' channels; diffusers reads it as the number of heads.
        attention_head_dim=tuple(channels // stage.head for channels in stage.channels),
        norm_num_groups=stage.groups,
    )


def is_plain(unet: Any) -> bool:
    """Return whether a denoiser sees noisy latents alone."""
    return bool(unet.config.in_channels == unet.config.out_channels)


def widen(unet: Any) -> None:
    """Return a plain denoiser eyes for what is kept, of which it makes nothing yet."""
    narrow, channels = unet.conv_in, unet.config.out_channels
    unet.register_to_config(in_channels=2 * channels + 1)
    unet.conv_in = nn.Conv2d(2 * channels + 1, narrow.out_channels, 3, padding=1)
    with torch.no_grad():
        unet.conv_in.weight.zero_()
        unet.conv_in.weight[:, :channels] = narrow.weight
        unet.conv_in.bias.copy_(narrow.bias)


@dataclass(frozen=True)
class Parts:
    """What a model is made of."""

    vae: Any
    unet: Any
    tokenizer: Any
    text_encoder: Any


def train_unet(
    config: Config,
    folder: Path,
    parts: Parts,
    device: torch.device,
    seconds: float,
    name: str = "unet",
    paint: Callable[[], bool] = lambda: False,
) -> None:
    """Train the denoiser, and the text encoder on with it.

    Parameters
    ----------
    name : str
        The stage's in the log.
    paint : callable
        From `painters`; called now and then while not all pictures are there.
    """
    stage = config.unet
    torch.manual_seed(config.seed)
    rng = np.random.default_rng([config.seed, 4])
    small, whole = (Pairs(folder, parts.vae, shrink, config) for shrink in (2, 1))
    for data in (small, whole) if stage.small else (whole,):
        data.refresh(most=1)  # the others are encoded between steps
    held_out = open_held_out(folder, parts.vae, config)
    goal = _Objective(config, parts, device)

    def losses(progress: float) -> dict[str, torch.Tensor]:
        data = small if progress < stage.small else whole
        if loop.step % _REFRESH == 0 and not data.refresh(most=1):
            paint()
        return goal.losses(data.draw(rng, stage.batch), rng)

    loop = Loop(
        name,
        folder,
        nn.ModuleDict({"unet": goal.unet, "text_encoder": parts.text_encoder}),
        stage,
        seconds,
        rng,
        rates={"text_encoder.": stage.text_rate},
        validate=lambda: goal.validate(held_out),
    )
    loop.run(losses)


class _Objective:
    """What the denoiser learns: to tell noise from picture in the holes it is shown."""

    def __init__(self, config: Config, parts: Parts, device: torch.device) -> None:
        self._config = config
        self._parts = parts
        self._device = device
        self.unet = parts.unet.to(device, memory_format=torch.channels_last)
        self._forward = torch.compile(self.unet) if config.compiled else self.unet
        self._levels = DDIMScheduler(**NOISE_LEVELS)
        self._last = self._levels.config.num_train_timesteps - 1

    def losses(self, batch: Batch, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """Return the losses of a batch, by name; captions are left out by `rng`."""
        stage, count = self._config.unet, len(batch.captions)
        told = tuple("" if rng.random() < stage.caption_dropout else c for c in batch.captions)
        batch = replace(batch, captions=told)
        noise = torch.randn_like(batch.clean)
        timesteps = torch.randint(0, self._last + 1, (count,))
        blank = torch.rand(count) < stage.blank
        timesteps = torch.where(blank, self._last, timesteps)
        off = self._error(batch, noise, timesteps, blank)
        if stage.snr:
            weights = _weights(self._levels, timesteps, stage.snr).to(off)
            off = off * weights[:, None, None, None]
        erased = batch.erased.to(self._device)
        found = {"error": (off * erased).sum() / erased.sum()}
        if stage.outside:
            found["outside"] = stage.outside * off.mean()
        return found

    @torch.no_grad()
    def validate(self, held_out: Batch) -> float:
        """Return the mean squared error of the velocity inside of holes: always the same noise."""
        generator, count = torch.Generator().manual_seed(0), len(held_out.captions)
        noise = torch.randn(held_out.clean.shape, generator=generator)
        evenly = (torch.arange(count) + torch.rand(count, generator=generator)) / count
        timesteps = (evenly * (self._last + 1)).long().clamp(max=self._last)
        total = 0.0
        for start in range(0, count, self._config.unet.batch):
            part = slice(start, start + self._config.unet.batch)
            batch = held_out.part(part)
            off = self._error(batch, noise[part], timesteps[part])
            total += (off * batch.erased.to(off)).sum().item()
        return total / held_out.erased.sum().item()

    def _error(
        self,
        batch: Batch,
        noise: torch.Tensor,
        timesteps: torch.Tensor,
        blank: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return each cell's squared error, (n, 1, h, w); where `blank`, all input is noise."""
        noisy = self._levels.add_noise(batch.clean, noise, timesteps)
        if blank is not None:
            noisy = torch.where(blank[:, None, None, None], noise, noisy)
        target = self._levels.get_velocity(batch.clean, noise, timesteps)
        seen = torch.cat([noisy, batch.erased.float(), batch.shown], dim=1).to(self._device)
        with autocast(self._device, half=self._config.half):
            tokens = tokenize(self._parts.tokenizer, list(batch.captions), self._device)
            states = self._parts.text_encoder(tokens).last_hidden_state
            velocity = self._forward(
                seen.contiguous(memory_format=torch.channels_last),
                timesteps.to(self._device),
                encoder_hidden_states=states,
            ).sample
        error = velocity.float() - target.to(self._device)
        squared: torch.Tensor = error.square().mean(1, keepdim=True)
        return squared


def _weights(levels: Any, timesteps: torch.Tensor, most: float) -> torch.Tensor:
    """Weigh the error of the velocity by its timestep.

    The error of the clean latents implied by it counts by the signal-to-noise ratio, at least 1
    (Salimans and Ho 2022), so that composition and light are learned, and at most so much (Hang et
    al. 2023), so that steps with next to no noise do not crowd out the others.

    Parameters
    ----------
    timesteps : int64 tensor (n,)
    most : float

    Returns
    -------
    float32 tensor (n,)
    """
    left = levels.alphas_cumprod[timesteps.cpu()]
    ratio = left / (1 - left)
    weights: torch.Tensor = ratio.clamp(1, most) / (ratio + 1)
    return weights
