"""How a model is best run, until the artist chooses otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .parameters import parameters_of
from .request import Request
from .samplers import DEFAULT_SAMPLER, choose_sampler, longest_schedule

FEW_STEPS = 8
"""Models that are run with so many steps or fewer start exactly at their strength."""


@dataclass(frozen=True)
class Recommended:
    """What suits a model. The defaults suit most models of Stable Diffusion.

    A parameter of the request that is declared `by_model` has its value from the field of its name.

    Parameters
    ----------
    steps : int
        1 or more.
    guidance_scale : float
        1 for a model that is run without classifier-free guidance.
    sampler : str
        A name of `samplers.SAMPLERS`.
    takes_negative : bool
        Whether it can be guided by a negative prompt, at a guidance scale over 1.
    clip_skip : int
        As Stable Diffusion WebUI counts it: 1 is the last layer of CLIP.
    edits : bool
        Whether it was made to edit a picture by an instruction.
    pictures : int
        How many pictures it sees beside the prompt: the one to edit, and reference layers. 0 for a
        model that sees none.
    """

    steps: int = 20
    guidance_scale: float = 7.5
    sampler: str = DEFAULT_SAMPLER
    takes_negative: bool = True
    clip_skip: int = 1
    edits: bool = False
    pictures: int = 0

    @property
    def few_steps(self) -> bool:
        """Whether the steps are so few that a share of them would be a coarse strength."""
        return self.steps <= FEW_STEPS


USUAL = Recommended()
"""What suits most models, for one that nothing is known of."""


def settle_request(request: Request, recommended: Recommended) -> Request:
    """Return a request with a value for each parameter that it leaves to the model.

    What the artist has chosen stays as it is.

    Parameters
    ----------
    request : Request
        A checked one.
    recommended : Recommended
        What suits its model.
    """
    values: dict[str, Any] = {
        name: getattr(recommended, name)
        for name, one in parameters_of(Request).items()
        if one.is_left_to_model(one.value_in(request))
    }
    values["sampler"] = choose_sampler(request.sampling.sampler, recommended.sampler)
    if "steps" in values:  # a sampler that was chosen may have a shorter schedule
        values["steps"] = min(recommended.steps, longest_schedule(values["sampler"]))
    return request.with_values(**values)
