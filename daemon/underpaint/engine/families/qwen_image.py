"""Qwen-Image, and Qwen-Image-Edit, whose text encoder sees pictures too."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import torch
from diffusers import QwenImageEditPipeline, QwenImageEditPlusPipeline, QwenImagePipeline
from diffusers.pipelines.qwenimage.pipeline_qwenimage_edit_plus import calculate_dimensions
from PIL import Image
from transformers import BatchFeature, Qwen2VLImageProcessorPil

from underpaint.engine.pixels import Floats, quantize
from underpaint_client.errors import ModelUnavailableError
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
        """Make one batch of encoded prompts."""
        return join_filled(prompts)

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


class QwenImageEdit(QwenImagePipeline):  # type: ignore[misc]
    """Qwen-Image's pipeline that takes prompts of any length: pictures in them are long."""

    def encode_prompt(
        self,
        prompt: Any,
        device: Any = None,
        num_images_per_prompt: int = 1,
        prompt_embeds: Any = None,
        prompt_embeds_mask: Any = None,
        max_sequence_length: int = 1024,
    ) -> tuple[Any, Any]:
        """Return an encoded prompt as it is, which the pipeline would cut."""
        if prompt_embeds is None:
            found: tuple[Any, Any] = super().encode_prompt(
                prompt, device, num_images_per_prompt, max_sequence_length=max_sequence_length
            )
            return found
        counts = prompt_embeds_mask is None or prompt_embeds_mask.all()
        return prompt_embeds, None if counts else prompt_embeds_mask


class _Reader:
    """Reads texts with pictures for Qwen2.5-VL; transformers' processor needs torchvision.

    Parameters
    ----------
    tokenizer : Qwen2Tokenizer
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer, self._pictures = tokenizer, Qwen2VLImageProcessorPil()

    def __call__(
        self, text: Sequence[str], images: Any, *, padding: bool, return_tensors: str
    ) -> BatchFeature:
        """Return tokens and pictures; each place of a picture becomes as many as it takes."""
        read = self._pictures(images, return_tensors=return_tensors)
        counts = iter(
            int(grid.prod()) // self._pictures.merge_size**2 for grid in read["image_grid_thw"]
        )
        filled = [re.sub(re.escape(_PLACE), lambda _: _PLACE * next(counts), one) for one in text]
        tokens = self._tokenizer(filled, padding=padding, return_tensors=return_tensors)
        return BatchFeature({**tokens, **read})


_PLACE = "<|image_pad|>"
"""Where a picture is in a text."""

_SEEN_PIXELS = 384 * 384
"""How large the text encoder of the later versions sees each picture."""

_SEEN_ALONE = 1024 * 1024
"""The same of the first version, which sees one."""


@dataclass(frozen=True)
class _QwenImageEdit(_QwenImage):
    """Qwen-Image-Edit.

    Parameters
    ----------
    seen : tuple of float32, (H, W, 3)
        The pictures that prompts are read with; set by `seeing`.
    sees_several : bool
        Whether it is one of the later versions.
    """

    picture_word: str = "Picture {number}"
    seen: tuple[Floats, ...] = field(default=(), compare=False)
    sees_several: bool = False

    def seeing(self, pictures: Sequence[Floats], most: int) -> Self:
        """Return the family with the pictures that prompts are read with."""
        return replace(self, seen=tuple(pictures), sees_several=most > 1)

    def encode_prompt(
        self, pipeline: Any, prompt: str, negative: str, *, guided: bool, device: torch.device
    ) -> Prompt:
        """Encode one prompt and, where the run is guided by it, the negative one, with pictures."""
        if not self.seen:
            return super().encode_prompt(pipeline, prompt, negative, guided=guided, device=device)
        vision = getattr(pipeline.text_encoder.config, "vision_config", None)
        if vision is None or not vision.depth:  # as a file without it is opened
            raise ModelUnavailableError(
                "the text encoder of this model lacks its vision part, so it sees no pictures; take"
                " a whole qwen_2.5_vl_7b, or another mode than edit without reference layers"
            )
        stock = QwenImageEditPlusPipeline if self.sees_several else QwenImageEditPipeline
        parts = {name: one for name, one in pipeline.components.items() if name != "processor"}
        reader = stock(**parts, processor=None)  # it shares the parts, and has the template
        reader.processor = _Reader(pipeline.tokenizer)
        pixels = _SEEN_PIXELS if self.sees_several else _SEEN_ALONE
        pictures = [_scale(one, pixels, reader.image_processor) for one in self.seen]
        encoded: Prompt = {}
        for prefix, text in (("", prompt), ("negative_", negative))[: 1 + guided]:
            embeds, mask = reader.encode_prompt(prompt=text, image=pictures, device=device)
            if mask is None:  # all of it counts
                mask = torch.ones(embeds.shape[:2], dtype=torch.long, device=embeds.device)
            encoded |= {prefix + _EMBEDS: embeds, prefix + _MASK: mask}
        return encoded


def _scale(picture: Floats, pixels: int, scaler: Any) -> Image.Image:
    """Return a picture with about so many pixels, as the pipelines scale it."""
    image = Image.fromarray(quantize(picture, np.dtype(np.uint8)))
    width, height = calculate_dimensions(pixels, image.width / image.height)[:2]
    scaled: Image.Image = scaler.resize(image, height, width)
    return scaled


def join_filled(prompts: Sequence[Prompt]) -> Prompt:
    """Make one batch of encoded prompts; the shorter ones are filled up, and masked there."""
    joined: Prompt = {}
    for name in prompts[0]:
        longest = max(prompt[name].shape[1] for prompt in prompts)
        joined[name] = torch.cat([_fill(prompt[name], longest) for prompt in prompts])
    return joined


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

EDIT = _QwenImageEdit(
    pipeline_class=QwenImageEdit,
    prompt_outputs=FAMILY.prompt_outputs,
    prompt_tokens=FAMILY.prompt_tokens,
)
