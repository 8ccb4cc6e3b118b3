"""The names of the tensors in a weight file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .tensors import Header, Tensor

UNET_INPUT = ("input_blocks.0.0.weight", "conv_in.weight")
"""A UNet's first layer, in the layout of its authors and in diffusers'."""

_PREFIXES = ("model.diffusion_model.", "diffusion_model.", "net.", "unet.", "transformer.")
"""The prefixes of a denoiser's names, if any."""


class TensorNames:
    """The names in a header, those of its denoiser without their prefix."""

    def __init__(self, header: Header) -> None:
        self.all: Mapping[str, Tensor] = header.tensors
        starts = {name.split(".", 1)[0] for name in self.all}
        self.prefix = next(
            (one for one in _PREFIXES if one.split(".", 1)[0] in starts and self._starts(one)), ""
        )

    def _starts(self, prefix: str) -> bool:
        return any(name.startswith(prefix) for name in self.all)

    def get(self, *names: str) -> Tensor | None:
        """Return the first of these tensors that the denoiser has."""
        return next((found for one in names if (found := self.all.get(self.prefix + one))), None)

    def has(self, *names: str) -> bool:
        """Return whether the denoiser has all of these tensors."""
        return all(self.prefix + name in self.all for name in names)

    def width(self, *names: str) -> int:
        """Return the number of inputs of a tensor of the denoiser; 0 if it is missing."""
        found = self.get(*names)
        return found.shape[1] if found is not None and len(found.shape) > 1 else 0

    def denoiser(self) -> Iterable[str]:
        """Return the names of the denoiser's tensors."""
        if self.prefix:
            return [name for name in self.all if name.startswith(self.prefix)]
        return [name for name in self.all if not name.startswith(_OTHER_PARTS)]


_OTHER_PARTS = (
    "first_stage_model.", "vae.", "cond_stage_model.", "conditioner.", "text_encoders.",
    "model_ema.", "text_model.",
)  # fmt: skip
