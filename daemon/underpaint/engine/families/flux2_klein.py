"""FLUX.2 klein, distilled and base."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import Flux2KleinPipeline
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu

from underpaint_client.geometry import Extent

from .family import Prompt
from .flow import FlowFamily, token_places


@dataclass(frozen=True)
class _Klein(FlowFamily):
    def takes_negative(self, pipeline: Any) -> bool:
        """Return whether the model can be guided by a negative prompt: the base models can."""
        return not pipeline.config.is_distilled

    def encode_prompt(
        self, pipeline: Any, prompt: str, negative: str, *, guided: bool, device: torch.device
    ) -> Prompt:
        """Encode one prompt, and the negative one where the run is guided by it."""
        texts = {"prompt_embeds": prompt}
        if guided:
            texts["negative_prompt_embeds"] = negative
        return {
            name: pipeline.encode_prompt(prompt=text, device=device)[0]
            for name, text in texts.items()
        }

    def frame_prompt(self, pipeline: Any, text: str) -> str:
        """Return a prompt as a question in a chat."""
        framed: str = pipeline.tokenizer.apply_chat_template(
            [{"role": "user", "content": text}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
        )
        return framed

    def guidance(self, pipeline: Any, guidance_scale: float) -> dict[str, Any]:
        """Return the pipeline's arguments for a guidance scale."""
        return {"guidance_scale": guidance_scale if self.takes_negative(pipeline) else 1.0}

    def encode(self, vae: Any, pixels: torch.Tensor) -> torch.Tensor:
        """Encode a picture; every channel of each corner of a token is scaled by itself."""
        mean, deviation = _statistics(vae)
        corners = hand_over(vae.encode(pixels).latent_dist.mode())
        return _spread((corners - mean.to(corners)) / deviation.to(corners))

    def decode(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        """Decode latents, as `encode` returns them."""
        mean, deviation = _statistics(vae)
        corners = hand_over(latents) * deviation.to(latents) + mean.to(latents)
        decoded: torch.Tensor = vae.decode(_spread(corners), return_dict=False)[0]
        return decoded

    def hand_over(self, latents: torch.Tensor) -> torch.Tensor:
        """Bring latents into the shape in which the pipeline is given them."""
        return hand_over(latents)

    def place_pictures(self, call: dict[str, Any], sizes: Sequence[Extent]) -> dict[str, Any]:
        """Return the arguments that say where tokens are: pictures count in tens."""
        own = call["img_ids"]
        shown = [token_places(size, 10 * number, 4, own) for number, size in enumerate(sizes, 1)]
        return {"img_ids": torch.cat([own, torch.cat(shown).expand(len(own), -1, -1)], dim=1)}

    def shift(self, pipeline: Any, config: dict[str, Any], cells: Extent, steps: int) -> float:
        """Return how far the noise levels are shifted at a size and with so many steps."""
        del pipeline, config
        return float(compute_empirical_mu((cells.height // 2) * (cells.width // 2), steps))


def hand_over(latents: torch.Tensor) -> torch.Tensor:
    """Make channels of the four corners of each token: (B, C, h, w) to (B, 4 C, h / 2, w / 2)."""
    return torch.nn.functional.pixel_unshuffle(latents, 2)


def _spread(corners: torch.Tensor) -> torch.Tensor:
    """Undo `hand_over`."""
    return torch.nn.functional.pixel_shuffle(corners, 2)


def _statistics(vae: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and deviation of each corner's channels, (1, 4 C, 1, 1)."""
    mean, variance = (values.view(1, -1, 1, 1) for values in (vae.bn.running_mean,
                                                              vae.bn.running_var))  # fmt: skip
    return mean, torch.sqrt(variance + vae.config.batch_norm_eps)


FAMILY = _Klein(
    pipeline_class=Flux2KleinPipeline,
    prompt_outputs=("prompt_embeds",),
    packs=True,
)
