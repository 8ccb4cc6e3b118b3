"""Store a denoiser's weights in fewer bits than they are computed with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import torch
from diffusers.hooks import HookRegistry
from diffusers.hooks.layerwise_casting import DEFAULT_SKIP_MODULES_PATTERN, LayerwiseCastingHook

from underpaint_client.errors import ModelUnavailableError

from .savings import Quantised

PACKAGES: dict[Quantised, str] = {"int8": "torchao", "nf4": "bitsandbytes"}
"""The package that each kind of quantisation needs. The extra of the same name installs it."""


def can_quantise(way: Quantised) -> bool:
    """Return whether the package that a kind of quantisation needs is installed."""
    return way not in PACKAGES or find_spec(PACKAGES[way]) is not None


def check_quantiser(way: Quantised) -> None:
    """Check that the package that a kind of quantisation needs is installed.

    Raises
    ------
    ModelUnavailableError
        Names the package, and how to install it.
    """
    if not can_quantise(way):
        package = PACKAGES[way]
        raise ModelUnavailableError(
            "`quantise` under [memory] in config.toml is {method!r}, which needs the package"
            " {package}, and it is not installed; run `pip install 'underpaint[{package}]'`, or"
            ' set quantise to "fp8" or "auto"',
            method=way,
            package=package,
        )


def is_exact(way: Quantised, precision: str) -> bool:
    """Return whether weights that are stored in a way are those of the model's files.

    Parameters
    ----------
    way : Quantised
    precision : str
        How the files store the denoiser, as `ModelInfo.precision`.
    """
    return way == "" or (way == "half" and precision in ("fp16", "bf16"))


def quantise(denoiser: Any, way: Quantised, compute: torch.dtype, precision: str = "") -> None:
    """Store the weights of a denoiser in fewer bits, in place.

    Norms, embeddings and other parts that the model's authors name as sensitive stay as they are.

    Parameters
    ----------
    denoiser : diffusers model
        In the computer's memory, in the precision that it computes with.
    way : Quantised
        `fp8`: rounded to 8 bits, each layer cast back when it runs. `int8`: 8 bits, scaled by
        rows. `nf4`: 4 bits, scaled by blocks of 64. Only linear layers become `int8` and `nf4`.
        `half`: 16 bits, float16 where the files have it and bfloat16 else, each layer widened
        while it runs.
    compute : torch.dtype
        Which precision to compute in.
    precision : str
        As `is_exact` has it.
    """
    if way == "half":
        half = torch.float16 if precision == "fp16" else torch.bfloat16
        _to_half(denoiser, half, compute)
    elif way == "fp8":
        denoiser.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=compute)
    elif way == "int8":
        _to_int8(denoiser)
    elif way == "nf4":
        _to_nf4(denoiser, compute)


def _is_sensitive(denoiser: Any, name: str) -> bool:
    more = (denoiser._skip_layerwise_casting_patterns, denoiser._keep_in_fp32_modules)
    patterns = (*DEFAULT_SKIP_MODULES_PATTERN, *(one for named in more for one in named or ()))
    return any(re.search(pattern, name) for pattern in patterns)


_WIDENED = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)


def _to_half(denoiser: Any, half: torch.dtype, compute: torch.dtype) -> None:
    """Store the weights of layers in 16 bits; widen a copy of them while a layer runs.

    diffusers' layerwise casting casts them back as well. On a CPU that takes longer, and the pieces
    of memory that it leaves were 2.5 GB with SDXL.
    """
    for _, layer in _layers(denoiser, _WIDENED):
        registry = HookRegistry.check_if_exists_or_initialize(layer)
        registry.register_hook(_Widening(half, compute), "layerwise_casting")


class _Widening(LayerwiseCastingHook):  # type: ignore[misc]
    """Widens a copy of a layer's weights while it runs."""

    def __init__(self, half: torch.dtype, compute: torch.dtype) -> None:
        super().__init__(half, compute, non_blocking=False)
        self._stored: dict[str, torch.Tensor] = {}

    def initialize_hook(self, module: torch.nn.Module) -> torch.nn.Module:
        for name, value in module.named_parameters(recurse=False):
            self._stored[name] = value.data = value.data.to(self.storage_dtype)
        return module

    def pre_forward(self, module: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        for name, value in module.named_parameters(recurse=False):
            value.data = self._stored[name].to(self.compute_dtype)
        return args, kwargs

    def post_forward(self, module: torch.nn.Module, output: Any) -> Any:
        for name, value in module.named_parameters(recurse=False):
            value.data = self._stored[name]
        return output


def _layers(denoiser: Any, kinds: tuple[type[torch.nn.Module], ...]) -> Iterator[tuple[str, Any]]:
    """Yield the layers of these classes, by name; without those that are sensitive."""
    for name, module in denoiser.named_modules():
        if type(module) in kinds and not _is_sensitive(denoiser, name):
            yield name, module


def _to_int8(denoiser: Any) -> None:
    from torchao.quantization import Int8WeightOnlyConfig, quantize_  # noqa: PLC0415 - optional

    chosen = {name for name, _ in _layers(denoiser, (torch.nn.Linear,))}
    quantize_(denoiser, Int8WeightOnlyConfig(), filter_fn=lambda _, name: name in chosen)


def _to_nf4(denoiser: Any, compute: torch.dtype) -> None:
    from bitsandbytes.nn import Linear4bit, Params4bit  # noqa: PLC0415 - optional

    for name, layer in list(_layers(denoiser, (torch.nn.Linear,))):
        stored = Linear4bit(
            layer.in_features,
            layer.out_features,
            bias=layer.bias is not None,
            compute_dtype=compute,
            quant_type="nf4",
            device="meta",
        )
        stored.weight = Params4bit(layer.weight.data, requires_grad=False, quant_type="nf4")
        stored.bias = layer.bias
        denoiser.set_submodule(name, stored.to("cpu"))  # which quantises it
