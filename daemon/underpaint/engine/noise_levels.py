"""The noise levels that a model was trained at, for samplers of every class."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch

_SPACINGS = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_flow_sigmas")

_LEAST = 2.0**-24
"""The last cumulative alpha in place of 0, as diffusers has it."""


def levels_only(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a scheduler config without a choice of spacing, which is the sampler's, by its name.

    diffusers fails where two of them are asked for.
    """
    return {name: value for name, value in config.items() if name not in _SPACINGS}


def zero_snr_changes(scheduler_class: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that make a scheduler reach pure noise, for classes that cannot do it.

    Lin et al. 2024, "Common Diffusion Noise Schedules and Sample Steps are Flawed", algorithm 1:
    the square roots of the cumulative alphas are shifted and scaled such that the last is 0 and the
    first stays.

    Parameters
    ----------
    scheduler_class : type
        A diffusers scheduler.
    config : mapping
        The model's scheduler config.

    Returns
    -------
    dict
        Empty where the class reads `rescale_betas_zero_snr` itself, or the config does not ask.
    """
    known = inspect.signature(scheduler_class.__init__).parameters
    if not config.get("rescale_betas_zero_snr") or "rescale_betas_zero_snr" in known:
        return {}
    plain = {name: value for name, value in config.items() if not name.startswith("_")}
    kept = scheduler_class.from_config(plain).alphas_cumprod.double().sqrt()
    kept = (kept - kept[-1]) * kept[0] / (kept[0] - kept[-1])
    left = kept.square().clamp_min(_LEAST)
    alphas = torch.cat([left[:1], left[1:] / left[:-1]])
    return {"trained_betas": (1 - alphas).tolist()}
