"""Qwen-Image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import QwenImagePipeline

from underpaint_client.geometry import Extent

from .family import Prompt
from .flow import FlowFamily

_EMBEDS, _MASK = "prompt_embeds", "prompt_embeds_mask"


@dataclass(frozen=True)
class FilmFamily(FlowFamily):
    """A family whose autoencoder is Qwen-Image's: it takes a picture for a film of one frame."""

    packs: bool = True

    def channels(self, vae: Any) -> int:
        """Return how many channels a latent has."""
        return int(vae.config.z_dim)

    def encode(self, vae: Any, pixels: torch.Tensor) -> torch.Tensor:
        """Encode a picture as a film of one frame."""
        mean, deviation = _statistics(vae)
        latents = vae.encode(pixels[:, :, None]).latent_dist.mode()[:, :, 0]
        scaled: torch.Tensor = (latents - mean.to(latents)) / deviation.to(latents)
        return scaled

    def decode(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents, as `encode` returns them."""
        mean, deviation = _statistics(vae)
        scaled = latents * deviation.to(latents) + mean.to(latents)
        decoded: torch.Tensor = vae.decode(scaled[:, :, None], return_dict=False)[0][:, :, 0]
        return decoded


@dataclass(frozen=True)
class _QwenImage(FilmFamily):
    def encode_prompt(
        self, pipeline: Any, prompt: str, negative: str, *, guided: bool, device: torch.device
    ) -> Prompt:
        """Encode one prompt, and the negative one where the run is guided by it."""
        encoded: Prompt = {}
        for prefix, text in (("", prompt), ("negative_", negative))[: 1 + guided]:
            embeds, mask = pipeline.encode_prompt(prompt=text, device=device)
            if mask is None:  # all of it counts
                mask = torch.ones(embeds.shape[:2], dtype=torch.long, device=embeds.device)
            encoded |= {prefix + _EMBEDS: embeds, prefix + _MASK: mask}
        return encoded

    def join_prompts(self, prompts: Sequence[Prompt]) -> Prompt:
        """Make one batch of encoded prompts; the shorter ones are filled up, and masked there."""
        joined: Prompt = {}
        for name in prompts[0]:
            longest = max(prompt[name].shape[1] for prompt in prompts)
            joined[name] = torch.cat([_fill(prompt[name], longest) for prompt in prompts])
        return joined

    def place_pictures(self, call: dict[str, Any], sizes: Sequence[Extent]) -> dict[str, Any]:
        """Return the arguments that say where tokens are."""
        shown = [(1, size.height, size.width) for size in sizes]
        return {"img_shapes": [[*own, *shown] for own in call["img_shapes"]]}

    def frame_prompt(self, pipeline: Any, text: str) -> str:
        """Return a prompt in the words that the pipeline puts around it."""
        framed: str = pipeline.prompt_template_encode.format(text)
        return framed

    def guidance(self, pipeline: Any, guidance_scale: float) -> dict[str, Any]:
        """Return the pipeline's arguments for a guidance scale."""
        guided = self.guided(pipeline, guidance_scale)
        return {"true_cfg_scale": guidance_scale if guided else 1.0}


def _fill(values: torch.Tensor, length: int) -> torch.Tensor:
    """Fill (1, L, ...) with zeros to a length."""
    missing = values.new_zeros((len(values), length - values.shape[1], *values.shape[2:]))
    return torch.cat([values, missing], dim=1)


def _statistics(vae: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and deviation of each channel, (1, C, 1, 1)."""
    mean, deviation = (
        torch.tensor(values).view(1, -1, 1, 1)
        for values in (vae.config.latents_mean, vae.config.latents_std)
    )
    return mean, deviation


FAMILY = _QwenImage(
    pipeline_class=QwenImagePipeline,
    prompt_outputs=(_EMBEDS, _MASK),
    prompt_tokens=34 + 512,  # the pipeline leaves out the first 34, which it has put before
)
