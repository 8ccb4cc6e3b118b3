"""What the families that work by flow matching share.

Their text-to-image pipelines take latents to begin with, and run all steps of their scheduler: ours
has only those that run (`flow_sampler`). So no pipeline needs a tap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.flux.pipeline_flux import calculate_shift

from underpaint.engine.flow_sampler import FlowSampler
from underpaint.engine.prompt_notes import Reading
from underpaint.engine.samplers import Sampler
from underpaint_client.geometry import Extent
from underpaint_client.parsed_prompt import ParsedPrompt
from underpaint_client.steps import StepPlan

from .family import Family, Start


@dataclass(frozen=True)
class FlowFamily(Family):
    """A family that works by flow matching; the defaults are those of most.

    Parameters
    ----------
    packs : bool
        Whether the pipeline steps its latents as tokens (B, h w / 4, 4 C) of 2 x 2 cells.
    steps_in_float32 : bool
        Whether it steps them in float32, whatever the precision of the transformer.
    tokenizer : str
        The part that reads most of a prompt.
    prompt_tokens : int
        How many tokens of it the model reads, with those that the pipeline adds.
    """

    denoiser: str = "transformer"
    half: torch.dtype = torch.bfloat16
    starts_exactly: bool = True
    mixes_prompts: bool = True
    packs: bool = False
    steps_in_float32: bool = False
    tokenizer: str = "tokenizer"
    prompt_tokens: int = 512

    # ---- prompts ---------------------------------------------------------------------------

    def read_prompt(self, pipeline: Any, prompt: ParsedPrompt) -> Reading:
        """Return how much of a prompt the model reads."""
        tokenizer, text = getattr(pipeline, self.tokenizer, None), prompt.words
        if tokenizer is None:  # a model without its longest encoder
            return super().read_prompt(pipeline, prompt)
        frame, whole = (
            len(tokenizer(self.frame_prompt(pipeline, one), verbose=False)["input_ids"])
            for one in ("", text)
        )
        return Reading(whole - frame, self.longest_prompt(pipeline) - frame)

    def frame_prompt(self, pipeline: Any, text: str) -> str:  # noqa: ARG002 - some ask it
        """Return a prompt in the words that the pipeline puts around it."""
        return text

    def longest_prompt(self, pipeline: Any) -> int:  # noqa: ARG002 - some ask it
        """Return how many tokens the model reads, with those that the pipeline adds."""
        return self.prompt_tokens

    # ---- latents ---------------------------------------------------------------------------

    def sees_kept(self, pipeline: Any) -> bool:  # noqa: ARG002
        """Return whether this is an inpainting model, which is shown what is kept."""
        return False

    def pack(self, latents: torch.Tensor) -> torch.Tensor:
        """Bring latents (B, C, h, w) into the shape in which the pipeline steps them."""
        return pack(latents) if self.packs else latents

    def unpack(self, packed: torch.Tensor, cells: Extent) -> torch.Tensor:
        """Bring the pipeline's latents back into the shape (B, C, h, w)."""
        return unpack(packed, cells) if self.packs else packed

    def pack_cells(self, cells: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """Bring a map of cells (h, w) into a shape that goes with packed latents."""
        return self.pack(cells.expand(latents.shape)) if self.packs else cells

    def hand_over(self, latents: torch.Tensor) -> torch.Tensor:
        """Bring latents into the shape in which the pipeline is given them."""
        return self.pack(latents)

    # ---- pictures that are shown -----------------------------------------------------------

    def add_pictures(
        self, call: dict[str, Any], pictures: Sequence[torch.Tensor]
    ) -> dict[str, Any]:
        """Return the arguments of a call of the denoiser with pictures behind the noisy tokens."""
        noisy = call["hidden_states"]
        shown = [self.pack(one.to(noisy)).expand(len(noisy), -1, -1) for one in pictures]
        sizes = [Extent(one.shape[-1] // 2, one.shape[-2] // 2) for one in pictures]
        places = self.place_pictures(call, sizes)
        return {**call, "hidden_states": torch.cat([noisy, *shown], dim=1), **places}

    def place_pictures(self, call: dict[str, Any], sizes: Sequence[Extent]) -> dict[str, Any]:
        """Return the arguments that say where tokens are, with those of pictures.

        Parameters
        ----------
        call : dict
            By the denoiser's own argument names.
        sizes : sequence of Extent
            Of each picture, in tokens.
        """
        raise NotImplementedError

    # ---- a run -----------------------------------------------------------------------------

    def spacing(self, steps: int) -> Sequence[float] | None:
        """Return the schedule's noise levels before they are shifted, as the pipeline does."""
        spaced: Sequence[float] = np.linspace(1.0, 1 / steps, steps).tolist()
        return spaced

    def shift(self, pipeline: Any, config: dict[str, Any], cells: Extent, steps: int) -> float:
        """Return how far the noise levels are shifted at a size, as the pipeline does."""
        del pipeline, steps
        return shift_by_tokens(config, (cells.height // 2) * (cells.width // 2))

    def make_sampler(
        self, pipeline: Any, name: str, config: dict[str, Any], plan: StepPlan, cells: Extent
    ) -> Sampler:
        """Make a sampler for one run."""
        mu = self.shift(pipeline, config, cells, plan.schedule)
        return FlowSampler.make_flow(name, config, self.spacing(plan.schedule), mu)

    @contextmanager
    def begin(self, pipeline: Any, start: Start) -> Iterator[dict[str, Any]]:
        """Make a pipeline begin with our latents, and lend the arguments for its call."""
        height, width = start.latents.shape[-2:]
        cell = pipeline.vae_scale_factor
        latents = start.latents.float() if self.steps_in_float32 else start.latents
        yield {
            "latents": self.hand_over(latents),
            "height": height * cell,
            "width": width * cell,
        }


def token_places(size: Extent, number: int, axes: int, like: torch.Tensor) -> torch.Tensor:
    """Return the places (N, axes) of a picture's tokens: its number, row and column, then zeros."""
    rows, columns = (torch.arange(side, device=like.device) for side in (size.height, size.width))
    places = like.new_zeros((size.height, size.width, axes))
    places[..., 0] = number
    places[..., 1] = rows[:, None]
    places[..., 2] = columns[None]
    return places.reshape(-1, axes)


def shift_by_tokens(config: dict[str, Any], tokens: int, most: float = 1.15) -> float:
    """Return a shift that grows evenly with the number of tokens, as a scheduler config says."""
    return float(
        calculate_shift(
            tokens,
            config.get("base_image_seq_len", 256),
            config.get("max_image_seq_len", 4096),
            config.get("base_shift", 0.5),
            config.get("max_shift", most),
        )
    )


def pack(latents: torch.Tensor) -> torch.Tensor:
    """Make a token of every 2 x 2 cells: (B, C, h, w) to (B, h w / 4, 4 C)."""
    batch, channels, height, width = latents.shape
    parts = latents.reshape(batch, channels, height // 2, 2, width // 2, 2)
    return parts.permute(0, 2, 4, 1, 3, 5).reshape(batch, height * width // 4, 4 * channels)


def unpack(packed: torch.Tensor, cells: Extent) -> torch.Tensor:
    """Undo `pack`, for latents of a size."""
    batch, _, channels = packed.shape
    parts = packed.reshape(batch, cells.height // 2, cells.width // 2, channels // 4, 2, 2)
    return parts.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels // 4, cells.height, cells.width)
