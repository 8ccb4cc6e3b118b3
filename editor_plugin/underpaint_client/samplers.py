"""Samplers: their names, and the diffusers scheduler behind each."""

from __future__ import annotations

import re

from .errors import BadInputError
from .sentences import Listing

TRAIN_STEPS = 1000
"""Timesteps that Stable Diffusion models are trained on: the longest schedule there is."""


SAMPLERS: dict[str, str] = {
    "ddim": "DDIMScheduler",
    "ddpm": "DDPMScheduler",
    "deis": "DEISMultistepScheduler",
    "dpmpp_2m": "DPMSolverMultistepScheduler",
    "dpmpp_2m_karras": "DPMSolverMultistepScheduler",
    "dpmpp_2m_sde": "DPMSolverMultistepScheduler",
    "dpmpp_2m_sde_karras": "DPMSolverMultistepScheduler",
    "k_dpm_2": "KDPM2DiscreteScheduler",
    "k_dpm_2_a": "KDPM2AncestralDiscreteScheduler",
    "k_euler": "EulerDiscreteScheduler",
    "k_euler_a": "EulerAncestralDiscreteScheduler",
    "k_euler_karras": "EulerDiscreteScheduler",
    "k_heun": "HeunDiscreteScheduler",
    "k_lms": "LMSDiscreteScheduler",
    "k_lms_karras": "LMSDiscreteScheduler",
    "lcm": "LCMScheduler",
    "plms": "PNDMScheduler",
    "tcd": "TCDScheduler",
    "unipc": "UniPCMultistepScheduler",
}
"""Sampler names, after InvokeAI's, and the diffusers scheduler behind each.

Left out are schedulers that cannot begin anywhere in their schedule, as half-erased pixels ask
(DPMSolverSinglestep steps in pairs), add no noise of their own (IPNDM) or need more packages (SDE).
"""


SAMPLER_LABELS = {
    "ddim": "DDIM",
    "ddpm": "DDPM",
    "deis": "DEIS",
    "dpmpp_2m": "DPM++ 2M",
    "dpmpp_2m_karras": "DPM++ 2M Karras",
    "dpmpp_2m_sde": "DPM++ 2M SDE",
    "dpmpp_2m_sde_karras": "DPM++ 2M SDE Karras",
    "k_dpm_2": "DPM2",
    "k_dpm_2_a": "DPM2 a",
    "k_euler": "Euler",
    "k_euler_a": "Euler a",
    "k_euler_karras": "Euler Karras",
    "k_heun": "Heun",
    "k_lms": "LMS",
    "k_lms_karras": "LMS Karras",
    "lcm": "LCM",
    "plms": "PLMS",
    "tcd": "TCD",
    "unipc": "UniPC",
}
"""What Stable Diffusion WebUI calls the samplers; `choose_sampler` reads these too."""


DEFAULT_SAMPLER = "dpmpp_2m"
"""What `auto` means for models that recommend none."""


def choose_sampler(name: str, recommended: str = DEFAULT_SAMPLER) -> str:
    """Return the sampler that a name means.

    Parameters
    ----------
    name : str
        A name of `SAMPLERS`, with or without its `k_`, a label of `SAMPLER_LABELS`, or the class
        name of a diffusers scheduler. Case does not count, nor whether words are separated by a
        space, `_` or `-`. `auto` is the recommended one.
    recommended : str
        A name of `SAMPLERS`: the model's.

    Returns
    -------
    str
        The name in `SAMPLERS`.

    Raises
    ------
    BadInputError
        No sampler is called that.
    """
    wanted = _joined(name)
    if wanted == "auto":
        return recommended
    for sampler in SAMPLERS:
        if wanted in (sampler, sampler.replace("k_", "", 1), f"k_{sampler}"):
            return sampler
        if wanted == _joined(SAMPLER_LABELS[sampler]):
            return sampler
    plain = (s for s in SAMPLERS if SAMPLERS[s].lower() == wanted)
    for sampler in plain:
        return sampler
    if wanted == "pndm":
        return "plms"
    raise BadInputError(
        "sampler {name!r} is unknown; choose one of auto, {known}",
        name=name,
        known=Listing(SAMPLERS),
    )


def _joined(name: str) -> str:
    return re.sub(r"[\s_-]+", "_", name.strip().lower())


_SHORT_SCHEDULES = {"lcm": 50, "tcd": 50}


def longest_schedule(sampler: str, train_steps: int = TRAIN_STEPS) -> int:
    """Return the most steps that a sampler's schedule can have.

    Latent consistency samplers take theirs from the 50 steps they were distilled on.
    """
    return min(train_steps, _SHORT_SCHEDULES.get(sampler, train_steps))
