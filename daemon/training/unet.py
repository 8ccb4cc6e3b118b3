"""The denoiser: taught on latents and captions to tell noise from picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from numpy.typing import NDArray
from torch import nn

from .config import Config
from .data import list_shards, open_shard, whole_file
from .loop import Loop, autocast
from .text import tokenize
from .vae import encode

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


_REFRESH = 1000  # steps after which newly painted pictures are looked for
_HIDING = 0.05  # deviation of the noise on what is kept: its cells saw a little of their neighbours


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
    """Tell a denoiser that sees noisy latents alone."""
    return bool(unet.config.in_channels == unet.config.out_channels)


def widen(unet: Any) -> None:
    """Give a plain denoiser eyes for what is kept, of which it makes nothing yet."""
    narrow, channels = unet.conv_in, unet.config.out_channels
    unet.register_to_config(in_channels=2 * channels + 1)
    unet.conv_in = nn.Conv2d(2 * channels + 1, narrow.out_channels, 3, padding=1)
    with torch.no_grad():
        unet.conv_in.weight.zero_()
        unet.conv_in.weight[:, :channels] = narrow.weight
        unet.conv_in.bias.copy_(narrow.bias)


def draw_holes(
    rng: np.random.Generator, count: int, size: tuple[int, int], whole: float
) -> NDArray[np.bool_]:
    """Draw what is erased from each picture: roundish, ragged or in pieces, small or large.

    Parameters
    ----------
    rng : numpy.random.Generator
    count : int
    size : tuple of int
        Rows and columns, in latent cells.
    whole : float
        How often all is erased.

    Returns
    -------
    bool, (count, 1, rows, columns)
        True where erased: some cells at least.
    """
    y, x = np.meshgrid(*(np.linspace(0, 1, side) for side in size), indexing="ij")
    holes = np.ones((count, 1, *size), bool)
    for hole in holes:
        if rng.random() < whole:
            continue
        grain = int(rng.integers(2, 9))
        coarse = rng.standard_normal((grain, grain)).astype(np.float32)
        height = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC).astype(np.float64)
        centre_y, centre_x = rng.random(2)
        height -= rng.exponential(6) * np.hypot(y - centre_y, x - centre_x)
        hole[0] = height >= np.quantile(height, 1 - rng.uniform(0.03, 0.8))
    return holes


class Latents:
    """The pictures that are painted by now, encoded, with their captions.

    Parameters
    ----------
    folder : Path
        Of the training run; latents are kept there in half precision.
    vae : AutoencoderKL
        Encodes them.
    shrink : int
        How many times smaller the pictures are made first.
    half : bool
        Whether to multiply in bfloat16.
    """

    def __init__(self, folder: Path, vae: Any, shrink: int, *, half: bool) -> None:
        self._pictures = folder / "data"
        self._store = folder / f"latents-{shrink}"
        self._vae = vae
        self._shrink = shrink
        self._half = half
        self._latents: dict[int, NDArray[np.float16]] = {}
        self._captions: dict[int, tuple[tuple[str, ...], ...]] = {}
        self._store.mkdir(exist_ok=True)

    def refresh(self) -> int:
        """Encode what was painted since; give the number of pictures there are."""
        for number in list_shards(self._pictures):
            if number not in self._latents:
                shard = open_shard(self._pictures, number)
                self._latents[number] = self._encoded(number, shard.pictures)
                self._captions[number] = shard.captions
        return sum(map(len, self._captions.values()))

    def draw(self, rng: np.random.Generator, count: int) -> tuple[torch.Tensor, list[str]]:
        """Give latents, float32 (count, C, h, w), and one caption for each."""
        shards = rng.choice(list(self._latents), count)
        indices = [rng.integers(len(self._latents[shard])) for shard in shards]
        chosen = list(zip(shards, indices, strict=True))
        latents = np.stack([self._latents[shard][index] for shard, index in chosen])
        told = [self._captions[shard][index] for shard, index in chosen]
        captions = [some[rng.integers(len(some))] for some in told]
        return torch.from_numpy(latents).float(), captions

    def _encoded(self, number: int, pictures: NDArray[np.uint8]) -> NDArray[np.float16]:
        file = self._store / f"{number:05}.npy"
        if not file.exists():
            if self._shrink > 1:
                size = (pictures.shape[2] // self._shrink, pictures.shape[1] // self._shrink)
                area = [cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in pictures]
                pictures = np.stack(area).astype(np.uint8)
            with whole_file(file) as draft, draft.open("wb") as stream:
                np.save(stream, encode(self._vae, pictures, half=self._half).half().numpy())
        found: NDArray[np.float16] = np.load(file)
        return found


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
) -> None:
    """Train the denoiser, and the text encoder on with it; `name` is the stage's in the log."""
    stage, vae = config.unet, parts.vae
    tokenizer, text_encoder = parts.tokenizer, parts.text_encoder
    torch.manual_seed(config.seed)
    rng = np.random.default_rng([config.seed, 4])
    unet = parts.unet.to(device, memory_format=torch.channels_last)
    forward = torch.compile(unet) if config.compiled else unet
    levels = DDIMScheduler(**NOISE_LEVELS)
    last = levels.config.num_train_timesteps - 1
    grey = encode(vae, np.full((1, config.native, config.native, 3), 127, np.uint8), half=False)
    hidden = grey.mean((2, 3), keepdim=True).to(device)  # what an inpainting model sees in holes
    small, whole = (Latents(folder, vae, shrink, half=config.half) for shrink in (2, 1))
    for data in (small, whole):  # not on the clock
        data.refresh()
    modules = nn.ModuleDict({"unet": unet, "text_encoder": text_encoder})
    loop = Loop(name, folder, modules, stage, seconds, rng)

    def losses(progress: float) -> dict[str, torch.Tensor]:
        data = small if progress < stage.small else whole
        if loop.step % _REFRESH == 0:
            data.refresh()
        latents, captions = data.draw(rng, stage.batch)
        clean = latents.to(device).float()
        told = ["" if rng.random() < stage.caption_dropout else words for words in captions]
        noise = torch.randn_like(clean)
        timesteps = torch.randint(0, last + 1, (stage.batch,), device=device)
        blank = torch.rand(stage.batch, device=device) < stage.blank
        timesteps = torch.where(blank, last, timesteps)
        noisy = levels.add_noise(clean, noise, timesteps)
        noisy = torch.where(blank[:, None, None, None], noise, noisy)
        target = levels.get_velocity(clean, noise, timesteps)
        holes = draw_holes(rng, stage.batch, (clean.shape[2], clean.shape[3]), stage.whole)
        erased = torch.from_numpy(holes).to(device)
        kept = clean + _HIDING * torch.randn_like(clean)
        seen = torch.cat([noisy, erased.float(), torch.where(erased, hidden, kept)], dim=1)
        with autocast(device, half=config.half):
            states = text_encoder(tokenize(tokenizer, told, device)).last_hidden_state
            seen = seen.contiguous(memory_format=torch.channels_last)
            velocity = forward(seen, timesteps, encoder_hidden_states=states).sample
        off = (velocity.float() - target).square().mean(1, keepdim=True)
        return {"error": (off * erased).sum() / erased.sum()}

    loop.run(losses)
