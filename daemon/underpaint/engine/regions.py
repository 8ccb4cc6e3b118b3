"""Paint parts of an image from prompts of their own, in one of two ways.

- A UNet reads prompts by cross-attention alone. Each of its layers is given all prompts at once,
  and every position gets the mean of what they give, weighted by their shares there. It costs a
  little more cross-attention. What an image is guided away from stays as it is.
- A transformer reads its prompt together with the image. It is called with each prompt, and after
  each step the latents are the mean, weighted likewise (after MultiDiffusion, Bar-Tal et al. 2023).
  That costs as much as an image for each prompt. Samplers of flow models are linear in what the
  model returns, so that this is the step for the mean of what it returned.

A prompt that has a share nowhere is left out, and those that say the same are one. If one is left,
it is the prompt of the whole image, and the run is one without regions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.attention_processor import Attention

from .clip_prompts import to_length
from .families.family import Prompt
from .pixels import Floats
from .region_masks import RegionShares

Texts = tuple[str, ...]
"""What one prompt says for each image of a batch."""


@dataclass(frozen=True, eq=False)
class Part:
    """A prompt, and its share of each latent cell: float32, (h, w), 0..1."""

    texts: Texts
    share: Floats


def divide(shares: RegionShares, whole: Texts, regions: Sequence[Texts]) -> tuple[Part, ...]:
    """Return the prompts that have a share, each once.

    Parameters
    ----------
    shares : RegionShares
    whole : tuple of str
        What the request's own prompt says for each image.
    regions : sequence of tuple of str
        What those of its regions say.
    """
    found: dict[Texts, Floats] = {}
    given = [(whole, shares.rest)]
    given += [(regions[index], share) for index, share in sorted(shares.regions.items())]
    for texts, share in given:
        if share.any():
            found[texts] = found[texts] + share if texts in found else share
    return tuple(Part(texts, share) for texts, share in found.items())


# ---- UNets --------------------------------------------------------------------------------------


class AttentionRegions:
    """Makes the cross-attention of UNets read several prompts, each where it has a share.

    Parameters
    ----------
    prompts : sequence of Prompt
        Those of a batch, one for each share, by the pipeline's own argument names.
    shares : float32 tensor (K, h, w)
        Of each prompt, on the device of the embeddings.

    Attributes
    ----------
    prompt : Prompt
        What the pipeline is to be given.
    """

    def __init__(self, prompts: Sequence[Prompt], shares: torch.Tensor) -> None:
        evened = _even_out(prompts)
        self.prompt = _mean_pooled(evened, shares.mean(dim=(1, 2), dtype=torch.float64))
        self._others = [one["prompt_embeds"] for one in evened[1:]]
        self._images = len(self._others[0])
        self._shares = shares
        self._at: dict[int, torch.Tensor] = {}

    @contextmanager
    def steering(self, nets: Iterable[torch.nn.Module]) -> Iterator[None]:
        """Do so for a while, in UNets and what has their layers, such as ControlNets."""
        with ExitStack() as stack:
            for net in nets:
                for layer in net.modules():
                    if isinstance(layer, Attention) and layer.is_cross_attention:
                        before = layer.register_forward_pre_hook(self._give_all, with_kwargs=True)
                        stack.callback(before.remove)
                        stack.callback(layer.register_forward_hook(self._mix).remove)
            yield

    def _give_all(
        self, _layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Repeat the images behind the batch, for each of the other prompts."""
        (positions,) = args
        mask = kwargs.get("attention_mask")
        return (self._repeated(positions),), {
            **kwargs,
            "encoder_hidden_states": self._with_others(kwargs["encoder_hidden_states"]),
            "attention_mask": None if mask is None else self._repeated(mask),
        }

    def _with_others(self, given: Any) -> Any:
        """Return the batch's prompts with the others; what an IP-Adapter reads goes with them."""
        if isinstance(given, tuple):
            text, pictures = given
            return self._with_others(text), [self._repeated(one) for one in pictures]
        return torch.cat([given, *(one.to(given) for one in self._others)])

    def _repeated(self, values: torch.Tensor) -> torch.Tensor:
        """Repeat the last images of a batch, which are those that the prompt is for."""
        return torch.cat([values, *[values[-self._images :]] * len(self._others)])

    def _mix(self, _layer: Any, _args: Any, output: torch.Tensor) -> torch.Tensor:
        """Return the batch as it was, the images being the mean of what the prompts gave."""
        others = len(self._others) * self._images
        unguided = output[: len(output) - others - self._images]
        rest = output[len(unguided) :]
        given = rest.reshape(-1, self._images, *rest.shape[1:])
        shares = self._shares_of(given.shape[2]).to(given)
        return torch.cat([unguided, (given * shares[:, None, :, None]).sum(dim=0)])

    def _shares_of(self, positions: int) -> torch.Tensor:
        """Return the shares at a layer with so many positions, (K, positions).

        A UNet halves the size of the latents again and again, rounding up.
        """
        if positions not in self._at:
            height, width = self._shares.shape[-2:]
            while height * width > positions:
                height, width = -(-height // 2), -(-width // 2)
            if height * width != positions:
                raise ValueError(f"a layer of {positions} positions has no size of the latents")
            pooled = torch.nn.functional.adaptive_avg_pool2d(self._shares, (height, width))
            self._at[positions] = pooled.flatten(1)
        return self._at[positions]


def _even_out(prompts: Sequence[Prompt]) -> list[Prompt]:
    """Return prompts whose embeddings all have one length, as `to_length` makes them."""
    names = ("prompt_embeds", "negative_prompt_embeds")
    keys = [(index, name) for index, one in enumerate(prompts) for name in names if name in one]
    lengthened = to_length(*(prompts[index][name] for index, name in keys))
    evened = [dict(one) for one in prompts]
    for (index, name), embeds in zip(keys, lengthened, strict=True):
        evened[index][name] = embeds
    return evened


def _mean_pooled(prompts: Sequence[Prompt], weights: torch.Tensor) -> Prompt:
    """Return the first prompt, with pooled embeddings that are the mean of all by their weights.

    A pooled embedding is of the whole image, so it cannot differ from place to place.
    """
    first, name = dict(prompts[0]), "pooled_prompt_embeds"
    if name in first:
        each = torch.stack([one[name] for one in prompts])
        shares = (weights / weights.sum()).to(each)
        first[name] = (each * shares[:, None, None]).sum(dim=0)
    return first


# ---- transformers -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Mixing:
    """Makes one batch of latents of those that several prompts led to.

    Parameters
    ----------
    shares : float32 tensor (K, h, w)
        Of each prompt, on the device of the latents.
    """

    shares: torch.Tensor

    @classmethod
    def none(cls, like: torch.Tensor) -> Mixing:
        """Return what leaves latents (B, C, h, w) as they are: one prompt has all of them."""
        return cls(torch.ones((1, *like.shape[-2:]), device=like.device))

    @property
    def prompts(self) -> int:
        """How many prompts there are."""
        return len(self.shares)

    def spread(self, latents: torch.Tensor) -> torch.Tensor:
        """Repeat latents (B, C, h, w) for each prompt: (K B, C, h, w)."""
        if self.prompts == 1:
            return latents
        return latents.repeat(self.prompts, 1, 1, 1)

    def mix(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the mean of latents (K B, C, h, w) by their prompts' shares: (B, C, h, w)."""
        if self.prompts == 1:
            return latents
        each = latents.reshape(self.prompts, -1, *latents.shape[1:]).float()
        return (each * self.shares[:, None, None]).sum(dim=0).to(latents.dtype)
