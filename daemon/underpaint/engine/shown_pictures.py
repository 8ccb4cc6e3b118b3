"""Show pictures to models that edit: their tokens go behind the noisy ones in every call.

What FLUX.1 Kontext, FLUX.2 klein and Qwen-Image-Edit share: the transformer is given the latents of
pictures beside those that it denoises, at places of their own, and what it puts out for them is not
used. Hooks on the transformer do this, so that a family's pipeline is the same with pictures.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from underpaint.models import ModelInfo
from underpaint.models.facts import family_facts
from underpaint_client.errors import BadInputError
from underpaint_client.geometry import Extent
from underpaint_client.prompt_language import name_layers
from underpaint_client.recipe import UsedReference
from underpaint_client.request import Request
from underpaint_client.seeds import ImagePrompt
from underpaint_client.sentences import sentence

from .families import find_family
from .families.family import Family
from .inputs import Inputs
from .pixels import Floats, resize
from .plan import MULTIPLE
from .reference_pictures import ReferencePicture


@dataclass(frozen=True, eq=False)
class ShownPicture:
    """A picture that a model sees beside the prompt.

    Parameters
    ----------
    colour : float32, (H, W, 3)
        RGB, 0..1, sides that are multiples of 16.
    latents : tensor (1, C, h, w)
        Of it.
    reference : ReferencePicture or None
        The reference layer that it is of; None for the layer that is edited.
    """

    colour: Floats
    latents: torch.Tensor
    reference: ReferencePicture | None = None

    def describe(self) -> UsedReference | None:
        """Return what a recipe says of a reference layer."""
        if self.reference is None:
            return None
        layer = self.reference.layer
        return UsedReference(
            layer.kind, layer.strength, layer.start, layer.end, layer.name, self.reference.hash
        )


def fit_picture(colour: Floats, native: int) -> Floats:
    """Scale a picture down to as many pixels as a model was trained at, and cut it to whole tokens.

    Parameters
    ----------
    colour : float32, (H, W, 3)
        RGB, 0..1.
    native : int
        The side the model was trained at, in pixels.
    """
    height, width = colour.shape[:2]
    scale = min(1.0, math.sqrt(native * native / (width * height)))
    scale = max(scale, MULTIPLE / min(width, height))  # no side may be less than a token
    size = Extent(max(MULTIPLE, round(width * scale)), max(MULTIPLE, round(height * scale)))
    scaled = resize(colour, size)
    wide, high = size.width // MULTIPLE * MULTIPLE, size.height // MULTIPLE * MULTIPLE
    left, top = (size.width - wide) // 2, (size.height - high) // 2
    cut: Floats = scaled[top : top + high, left : left + wide].clip(0, 1)
    return cut


def shown_share(
    info: ModelInfo, taken: Sequence[ReferencePicture], size: Extent, *, edits: bool
) -> float:
    """Return how many pixels a model is shown, as a share of those that it works on.

    Parameters
    ----------
    info, taken, edits
        As in `check_pictures`.
    size : Extent
        What it works at.
    """
    if not info.recommended.pictures:
        return 0.0
    shown = sum(math.prod(fit_picture(one.colour, info.native).shape[:2]) for one in taken)
    return edits + shown / size.pixels


def describe_shown(pictures: Sequence[ShownPicture]) -> tuple[str, ...]:
    """Return what of reference layers a model that sees them whole does not use."""
    layers = [one.reference.layer for one in pictures if one.reference is not None]
    if all((one.strength, one.start, one.end) == (1, 0, 1) for one in layers):
        return ()
    return (
        sentence(
            "this model sees reference layers whole: their strength, start and end were not used"
        ),
    )


# ---- before the model is loaded -------------------------------------------------------------


def check_editable(request: Request, inputs: Inputs) -> None:
    """Check that a request that edits has something to edit.

    Raises
    ------
    BadInputError
        There is no layer, or an empty one over nothing.
    """
    layer, below = inputs.layer, inputs.rasters.get("context")
    if request.mode != "edit" or (layer is not None and layer.any()):
        return
    if layer is None or below is None or not below.any():
        raise BadInputError(
            "the layer is empty, so there is nothing to edit; choose another layer, or another mode"
        )


def check_pictures(
    info: ModelInfo,
    prompts: Iterable[ImagePrompt],
    taken: Sequence[ReferencePicture],
    *,
    edits: bool,
) -> None:
    """Check that a model can be shown what is asked for.

    Parameters
    ----------
    info : ModelInfo
        The model.
    prompts : iterable of ImagePrompt
        Of all images.
    taken : sequence of ReferencePicture
        The reference layers.
    edits : bool
        Whether it is shown the layer first.

    Raises
    ------
    BadInputError
        It cannot edit, sees fewer pictures, or a prompt names a layer that it does not see.
    """
    most, count = info.recommended.pictures, len(taken) + edits
    if edits and not most:
        raise BadInputError(
            "the mode edit needs a model that edits by instruction, and {model!r} is {family};"
            " choose FLUX.1 Kontext, FLUX.2 klein or Qwen-Image-Edit, or another mode",
            model=info.name,
            family=family_facts(info.family).title,
        )
    if most and count > most:
        raise BadInputError(
            "the model {model!r} sees {most} at once of the layer that is edited and reference"
            " layers, and there are {count}; leave some out",
            model=info.name,
            most=most,
            count=count,
        )
    for prompt in prompts:
        name_pictures(info, prompt, taken, edits=edits)


def name_pictures(
    info: ModelInfo, prompt: ImagePrompt, taken: Sequence[ReferencePicture], *, edits: bool
) -> ImagePrompt:
    """Return a prompt in which reference layers are called as the model knows them.

    Parameters
    ----------
    info, taken, edits
        As in `check_pictures`.
    prompt : ImagePrompt
        Of one image.

    Raises
    ------
    PromptError
        It names a layer that the model does not see.
    """
    if not info.recommended.pictures:
        return prompt
    word = find_family(info.family, info.purpose).picture_word
    numbered = enumerate(taken, 1 + edits)
    called = {
        one.layer.name.casefold(): word.format(number=number)
        for number, one in reversed(list(numbered))  # of one name, the first counts
    }
    return ImagePrompt(
        name_layers(prompt.positive, called),
        name_layers(prompt.negative, called),
        tuple(name_layers(one, called) for one in prompt.regions),
    )


# ---- while it runs --------------------------------------------------------------------------


@contextmanager
def showing(family: Family, denoiser: Any, latents: Sequence[torch.Tensor]) -> Iterator[None]:
    """Show pictures to a transformer for a while.

    Parameters
    ----------
    family : Family
        The model's.
    denoiser : torch.nn.Module
        The model's transformer.
    latents : sequence of tensor (1, C, h, w)
        Of each picture. Without any, nothing is done.
    """
    if not latents:
        yield
        return
    own = 0

    def add(_denoiser: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        nonlocal own
        own = kwargs["hidden_states"].shape[1]
        return args, family.add_pictures(kwargs, latents)

    def cut(_denoiser: Any, _args: Any, output: tuple[torch.Tensor, ...]) -> Any:
        return (output[0][:, :own], *output[1:])

    handles = [
        denoiser.register_forward_pre_hook(add, with_kwargs=True),
        denoiser.register_forward_hook(cut),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
