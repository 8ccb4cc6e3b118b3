"""Stable Diffusion 1.x, 2.x and XL: diffusers' Img2Img pipelines with two small taps.

The taps are two methods of a pipeline subclass: which steps run, and from what latents. No pipeline
is patched, so nothing needs restoring after a cancel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionXLImg2ImgPipeline

from underpaint.engine.clip_prompts import (
    count_tokens,
    encode_chunks,
    is_stock,
    to_length,
    without_layers,
)
from underpaint.engine.prompt_notes import Reading
from underpaint.engine.textual_inversion import NO_EMBEDDINGS
from underpaint.models.clip_skip import count_skipped
from underpaint_client.errors import BadInputError
from underpaint_client.parsed_prompt import ParsedPrompt

from .family import Family, Prompt, Start


class _Taps:
    """The two methods of an Img2Img pipeline that make it begin with a `Start`."""

    start: Start
    named_embeddings = NO_EMBEDDINGS

    def get_timesteps(self, *_args: object, **_kwargs: object) -> tuple[torch.Tensor, int]:
        """Take exactly the steps of the plan, whatever the family's own rounding."""
        return self.start.timesteps, self.start.steps

    def prepare_latents(self, *_args: object, **_kwargs: object) -> torch.Tensor:
        """Start from our latents."""
        return self.start.latents


class StableDiffusion(_Taps, StableDiffusionImg2ImgPipeline):  # type: ignore[misc]
    """Stable Diffusion 1.x and 2.x, tapped."""


class StableDiffusionXL(_Taps, StableDiffusionXLImg2ImgPipeline):  # type: ignore[misc]
    """Stable Diffusion XL, tapped."""


_EMBEDS = {"": "prompt_embeds", "negative_": "negative_prompt_embeds"}
"""Embeddings of tokens, by what is put before the names of a negative prompt's."""


@dataclass(frozen=True)
class _StableDiffusion(Family):
    """Stable Diffusion 1.x, 2.x or XL.

    Parameters
    ----------
    penultimate : bool
        Whether a prompt is taken from the last layer but one of the text encoders.
    """

    weighs_words: bool = True
    penultimate: bool = False

    def skipping(self, pipeline: Any, clip_skip: int) -> Self:
        config = pipeline.text_encoder.config
        is_xl = getattr(pipeline, "text_encoder_2", None) is not None
        skipped = count_skipped(clip_skip, config.hidden_size, is_xl=is_xl)
        layers = config.num_hidden_layers
        if skipped >= layers:
            raise BadInputError(
                "clip skip {clip_skip} is too large for this model; set it to at most {most}",
                clip_skip=clip_skip,
                most=clip_skip - skipped + layers - 1,
            )
        return replace(self, skipped=skipped)

    def encode_prompt(
        self, pipeline: Any, prompt: str, negative: str, *, guided: bool, device: torch.device
    ) -> Prompt:
        """Encode as every family, without the layers that are skipped.

        diffusers skips layers for the prompt alone. The WebUI does so for the negative prompt too.
        """

        def encode() -> Prompt:
            return super(_StableDiffusion, self).encode_prompt(
                pipeline, prompt, negative, guided=guided, device=device
            )

        if not self.skipped:
            return encode()
        if not self.penultimate:
            with without_layers(pipeline.text_encoder, self.skipped):
                return encode()
        encoded = encode()  # for the pooled outputs, which are of the last layer
        encoded["prompt_embeds"] = self._encode_hidden(pipeline, prompt, device)
        zeros = not negative and pipeline.config.force_zeros_for_empty_prompt
        if guided and not zeros:
            encoded["negative_prompt_embeds"] = self._encode_hidden(pipeline, negative, device)
        return encoded

    def _encode_hidden(self, pipeline: Any, text: str, device: torch.device) -> Any:
        """Encode a text with SDXL's two encoders, without the layers that are skipped."""
        return pipeline.encode_prompt(
            prompt=text,
            device=device,
            num_images_per_prompt=1,
            do_classifier_free_guidance=False,
            clip_skip=self.skipped,
        )[0]

    def encode_parsed(
        self,
        pipeline: Any,
        prompt: ParsedPrompt,
        negative: ParsedPrompt,
        *,
        guided: bool,
        device: torch.device,
    ) -> Prompt:
        """Encode one prompt and, where the run is guided by it, the negative one.

        Where all words weigh the same and fit into one chunk, it is the pipeline that encodes them.
        """
        wanted = {"": prompt, "negative_": negative} if guided else {"": prompt}
        own = {prefix: one for prefix, one in wanted.items() if not is_stock(pipeline, one)}
        words = {prefix: one.words for prefix, one in wanted.items() if prefix not in own}
        encoded = self.encode_prompt(
            pipeline, words.get("", ""), words.get("negative_", ""), guided=guided, device=device
        )
        for prefix, one in own.items():
            embeds, pooled = encode_chunks(
                pipeline, one, device, penultimate=self.penultimate, skipped=self.skipped
            )
            encoded[_EMBEDS[prefix]] = embeds
            if pooled is not None:
                encoded[f"{prefix}pooled_prompt_embeds"] = pooled
        names = [name for name in _EMBEDS.values() if name in encoded]
        lengthened = to_length(*(encoded[name] for name in names))
        return {**encoded, **dict(zip(names, lengthened, strict=True))}

    def join_prompts(self, prompts: Sequence[Prompt]) -> Prompt:
        """Make one batch of encoded prompts, which may have different numbers of chunks."""
        names = [name for name in _EMBEDS.values() if name in prompts[0]]
        lengthened = {name: to_length(*(one[name] for one in prompts)) for name in names}
        return super().join_prompts(
            [
                {**one, **{name: embeds[index] for name, embeds in lengthened.items()}}
                for index, one in enumerate(prompts)
            ]
        )

    def read_prompt(self, pipeline: Any, prompt: ParsedPrompt) -> Reading:
        """Return how much of a prompt the model reads: of several chunks, all but very many."""
        tokens, limit = count_tokens(pipeline, prompt)
        return replace(super().read_prompt(pipeline, prompt), tokens=tokens, limit=limit)

    @contextmanager
    def begin(self, pipeline: Any, start: Start) -> Iterator[dict[str, Any]]:
        pipeline.start = start
        pipeline.scheduler.kept = start.kept  # goes behind the noisy latents in every call
        try:
            # The image is taken for latents, and replaced by what `prepare_latents` returns.
            yield {"image": start.clean, "strength": 1.0}
        finally:
            del pipeline.start  # and with it the tensors of this run


SD = _StableDiffusion(
    pipeline_class=StableDiffusion,
    prompt_outputs=("prompt_embeds", "negative_prompt_embeds"),
    has_clip_skip=True,
    has_embeddings=True,
)

SDXL = _StableDiffusion(
    pipeline_class=StableDiffusionXL,
    prompt_outputs=(
        "prompt_embeds",
        "negative_prompt_embeds",
        "pooled_prompt_embeds",
        "negative_pooled_prompt_embeds",
    ),
    full_precision_vae=True,
    has_clip_skip=True,
    has_embeddings=True,
    penultimate=True,
)
