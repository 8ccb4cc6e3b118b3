"""Check what a model's scheduler config says about its noise levels.

A model works at the noise levels that it was trained for. The artist chooses how to step through
them (the sampler), not the levels themselves, so that a config of another kind (EDM, flow
matching) is refused: it would paint noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.sentences import Listing, sentence

from .families import FLOWS

CONFIG = "scheduler/scheduler_config.json"

_VARIANCE_PRESERVING = frozenset({
    "DDIMScheduler",
    "DDPMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSDEScheduler",
    "DPMSolverSinglestepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "LCMScheduler",
    "LMSDiscreteScheduler",
    "PNDMScheduler",
    "TCDScheduler",
    "UniPCMultistepScheduler",
})  # fmt: skip
"""diffusers' schedulers whose levels come from betas (Ho et al. 2020): one table for them all."""

SCHEDULERS = {
    "sd": _VARIANCE_PRESERVING,
    "sdxl": _VARIANCE_PRESERVING,
    **{family: facts.parts["scheduler"][1] for family, facts in FLOWS.items()},
}
"""The scheduler classes that a model of each family may name."""

PREDICTION_TYPES = ("epsilon", "v_prediction")
"""What a denoiser of these families may predict: the noise, or velocity (Salimans and Ho 2022)."""

ZERO_SNR = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
"""The config of a model that was trained down to a signal-to-noise ratio of 0.

With another spacing, steps would leave out the last level, which is pure noise (Lin et al. 2024).
"""

_FLOW_CHOICES: dict[str, tuple[Any, ...]] = {
    "invert_sigmas": (False,),
    "num_train_timesteps": (1000,),  # the pipelines divide by it
    "stochastic_sampling": (False,),
    "time_shift_type": ("exponential", "linear"),
    "use_dynamic_shifting": (False, True),
}
"""The values that the config of a flow-matching model may have."""

_CHOICES: dict[str, tuple[Any, ...]] = {
    "prediction_type": PREDICTION_TYPES,
    "beta_schedule": ("linear", "scaled_linear", "squaredcos_cap_v2"),
    "timestep_spacing": ("leading", "linspace", "trailing"),
    "timestep_type": ("discrete",),
    "rescale_betas_zero_snr": (False, True),
    "use_flow_sigmas": (False,),
    "steps_offset": (0, 1),
}
"""The values that a config may have; for missing ones, diffusers has defaults."""

MOST_TRAIN_STEPS = 10_000
"""The most timesteps that a config may name: schedulers make tables of that length."""


def check_scheduler(model: Path, family: str, config: dict[str, Any]) -> int:
    """Check that a scheduler config has noise levels that its family works with.

    Parameters
    ----------
    model : Path
        For errors.
    family : str
        A key of `SCHEDULERS`.
    config : dict
        What `scheduler_config.json` holds.

    Returns
    -------
    int
        The timesteps that the model was trained on.

    Raises
    ------
    ModelUnavailableError
        The message names the value, and what is supported.
    """
    class_name = config.get("_class_name")
    if class_name is not None and str(class_name) not in SCHEDULERS[family]:
        raise _refusal(model, "_class_name", class_name, sorted(SCHEDULERS[family]))
    if family in FLOWS:
        _check_choices(model, config, _FLOW_CHOICES)
        _check_shifts(model, config)
        return 1000
    _check_choices(model, config, _CHOICES)
    steps = config.get("num_train_timesteps", 1000)
    if type(steps) is not int or not 1 <= steps <= MOST_TRAIN_STEPS:
        raise ModelUnavailableError(
            "model {model}: {file}: num_train_timesteps {steps} is not a whole number from 1 to"
            " {most}; fetch it again",
            model=model,
            file=CONFIG,
            steps=str(steps)[:80],
            most=MOST_TRAIN_STEPS,
        )
    _check_betas(model, config, steps)
    if config.get("rescale_betas_zero_snr") and config.get("prediction_type") != "v_prediction":
        raise ModelUnavailableError(
            "model {model}: {file}: rescale_betas_zero_snr is true, and prediction_type is"
            " {prediction_type!r}: where all is noise, predicting the noise says nothing. Take the"
            " file that came with the model; a model trained at zero terminal SNR has v_prediction",
            model=model,
            file=CONFIG,
            prediction_type=config.get("prediction_type", "epsilon"),
        )
    return steps


def _check_choices(
    model: Path, config: dict[str, Any], allowed: dict[str, tuple[Any, ...]]
) -> None:
    for name, choices in allowed.items():
        value = config.get(name)
        if value is not None and not any(
            value == one and type(value) is type(one) for one in choices
        ):
            raise _refusal(model, name, value, [str(one) for one in choices])


def _check_shifts(model: Path, config: dict[str, Any]) -> None:
    """Check how far a flow model's noise levels are shifted: by a number in a sensible range."""
    for name, least, most in (
        ("shift", 0.01, 100),
        ("base_shift", -20, 20),
        ("max_shift", -20, 20),
        ("base_image_seq_len", 1, 10**7),
        ("max_image_seq_len", 1, 10**7),
        ("shift_terminal", 1e-6, 0.999),
    ):
        value = config.get(name)
        if value is not None and not (type(value) in (int, float) and least <= value <= most):
            known = sentence("numbers from {least} to {most}", least=least, most=most)
            raise _refusal(model, name, value, [known])
    lengths = [config.get(f"{which}_image_seq_len") for which in ("base", "max")]
    if None not in lengths and lengths[0] == lengths[1]:
        raise _refusal(
            model, "max_image_seq_len", lengths[1], [sentence("more than base_image_seq_len")]
        )


def _check_betas(model: Path, config: dict[str, Any], steps: int) -> None:
    """Check that a config says how much noise each step adds; defaults are another model's."""
    trained = config.get("trained_betas")
    if trained is None:
        for name in ("beta_start", "beta_end"):
            if not _is_beta(config.get(name)):
                raise _refusal(model, name, config.get(name), [sentence("numbers between 0 and 1")])
        if config.get("beta_schedule") is None:
            raise _refusal(model, "beta_schedule", None, list(_CHOICES["beta_schedule"]))
    elif not (isinstance(trained, list) and len(trained) == steps and all(map(_is_beta, trained))):
        known = sentence("{steps} numbers between 0 and 1", steps=steps)
        raise _refusal(model, "trained_betas", "list", [known])


def _is_beta(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < 1


def _refusal(model: Path, name: str, value: Any, known: Sequence[str]) -> ModelUnavailableError:
    return ModelUnavailableError(
        "model {model}: {file}: {name} {value!r} is not what its family was trained for and would"
        " paint noise; supported: {known}. Take the file that came with the model, or another"
        " model",
        model=model,
        file=CONFIG,
        name=name,
        value=str(value)[:80],
        known=Listing(known),
    )
