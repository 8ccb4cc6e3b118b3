"""Qwen-Image 2.1, which paints transparency too.

Its latents are not packed: a token is one cell of 16 x 16 pixels. Its transformer counts the tokens
of a prompt to tell where the picture begins, those that fill it up too, so that a batch must have
prompts of one length. Here it has one prompt, unless the image has regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers import QwenImage21Pipeline

from underpaint.engine.flow_sampler import FlowSampler
from underpaint.engine.prompt_notes import Reading
from underpaint.engine.samplers import Sampler
from underpaint_client.geometry import Extent
from underpaint_client.parsed_prompt import ParsedPrompt
from underpaint_client.steps import StepPlan

from .family import Prompt
from .flow import shift_by_tokens
from .qwen_image import FilmFamily, join_filled

_EMBEDS, _MASK = "prompt_embeds", "prompt_embeds_mask"


@dataclass(frozen=True)
class _QwenImage21(FilmFamily):
    packs: bool = False
    joins_prompts: bool = False

    # ---- prompts ---------------------------------------------------------------------------

    def encode_prompt(
        self, pipeline: Any, prompt: str, negative: str, *, guided: bool, device: torch.device
    ) -> Prompt:
        """Encode one prompt, and the negative one where the run is guided by it."""
        encoded: Prompt = {}
        for prefix, text in (("", prompt), ("negative_", negative))[: 1 + guided]:
            shortened = self._shorten(pipeline.processor.tokenizer, text)
            embeds, _, _ = pipeline.encode_prompt(prompt=shortened, device=device)
            mask = torch.ones(embeds.shape[:2], dtype=torch.long, device=embeds.device)
            encoded |= {prefix + _EMBEDS: embeds, prefix + _MASK: mask}
        return encoded

    def join_prompts(self, prompts: Sequence[Prompt]) -> Prompt:
        """Make one batch of encoded prompts, which moves the picture of the shorter ones."""
        return join_filled(prompts)

    def _shorten(self, tokenizer: Any, text: str) -> str:
        tokens = tokenizer(text, verbose=False)["input_ids"]
        if len(tokens) <= self.prompt_tokens:
            return text
        shortened: str = tokenizer.decode(tokens[: self.prompt_tokens])
        return shortened

    def read_prompt(self, pipeline: Any, prompt: ParsedPrompt) -> Reading:
        """Return how much of a prompt the model reads."""
        tokens = pipeline.processor.tokenizer(prompt.words, verbose=False)["input_ids"]
        return Reading(len(tokens), self.prompt_tokens)

    def guidance(self, pipeline: Any, guidance_scale: float) -> dict[str, Any]:
        """Return the pipeline's arguments for a guidance scale."""
        guided = self.guided(pipeline, guidance_scale)
        return {"true_cfg_scale": guidance_scale if guided else 1.0}

    # ---- latents ---------------------------------------------------------------------------

    def encode(self, vae: Any, pixels: torch.Tensor) -> torch.Tensor:
        """Encode an opaque picture."""
        opaque = torch.ones_like(pixels[:, :1])
        return super().encode(vae, torch.cat([pixels, opaque], dim=1))

    def pack(self, latents: torch.Tensor) -> torch.Tensor:
        """Make a token of each cell: (B, C, h, w) to (B, h w, C)."""
        return latents.flatten(2).transpose(1, 2)

    def unpack(self, packed: torch.Tensor, cells: Extent) -> torch.Tensor:
        """Undo `pack`, for latents of a size."""
        batch, _, channels = packed.shape
        return packed.transpose(1, 2).reshape(batch, channels, cells.height, cells.width)

    def pack_cells(self, cells: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """Bring a map of cells (h, w) into a shape that goes with packed latents."""
        return self.pack(cells.expand(latents.shape))

    # ---- a run -----------------------------------------------------------------------------

    def make_sampler(
        self, pipeline: Any, name: str, config: dict[str, Any], plan: StepPlan, cells: Extent
    ) -> Sampler:
        """Make a sampler for one run; a distilled model has noise levels of its own."""
        spaced = space_steps(pipeline.config.sample_sigmas, plan.schedule)
        mu = shift_by_tokens(config, cells.width * cells.height)
        return FlowSampler.make_flow(name, config, spaced, mu)


def space_steps(own: Sequence[float] | None, steps: int) -> list[float]:
    """Return a schedule's noise levels before they are shifted.

    Parameters
    ----------
    own : sequence of float or None
        Those of the model's author, falling, without the last 0; None for evenly spaced ones.
    steps : int
        How many are wanted. Another number than the author's lies on the curve through them.
    """
    if not own:
        evenly: list[float] = np.linspace(1.0, 1 / steps, steps).tolist()
        return evenly
    places = np.linspace(0, len(own), steps, endpoint=False)
    found: list[float] = np.interp(places, range(len(own) + 1), [*own, 0.0]).tolist()
    return found


FAMILY = _QwenImage21(
    pipeline_class=QwenImage21Pipeline,
    prompt_outputs=(_EMBEDS, _MASK),
    prompt_tokens=4096,
)
