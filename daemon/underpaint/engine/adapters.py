"""Apply LoRAs to an open model, beside its weights and never in them.

Each layer that a LoRA changes is wrapped by peft's layer, which adds the LoRA's own, small product
to what the layer returns. Weights are not touched: with no LoRA active, a wrapped layer returns the
bits that it returned before, whether its weights are whole, quantised or waiting elsewhere.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import peft
import torch
from peft.tuners.lora import layer as peft_layers

from underpaint.models.lora_choice import ChosenLora
from underpaint.models.stamps import FileStamp
from underpaint_client.recipe import UsedLora

from .lora_files import LayerChange, read_changes, read_lora_file
from .lora_products import Product, Unchanged

KEPT_BYTES = 2**28
"""How much of LoRAs that no image uses at present is kept beside the model."""

_WRAPPERS: tuple[tuple[type[torch.nn.Module], Any], ...] = (
    (torch.nn.Linear, peft_layers.Linear),
    (torch.nn.Conv1d, peft_layers.Conv1d),
    (torch.nn.Conv2d, peft_layers.Conv2d),
    (torch.nn.Conv3d, peft_layers.Conv3d),
)

_CONFIG = {"init_lora_weights": False, "inference_mode": True}


@dataclass(frozen=True)
class _Loaded:
    """A LoRA in a model: its adapter's name, hashes, size, and the scale of each of its layers."""

    adapter: str
    sha256: str
    tensors_sha256: str
    size: int
    scales: dict[tuple[str, str], float]

    @property
    def is_in_encoders(self) -> bool:
        return any(part.startswith("text_encoder") for part, _ in self.scales)


class Adapters:
    """The LoRAs of an open pipeline.

    Parameters
    ----------
    pipeline : diffusers pipeline
        Just opened: nothing of it is wrapped.
    denoiser : str
        The part that denoises.
    dtype : torch.dtype
        Which precision the model computes in.
    """

    def __init__(self, pipeline: Any, denoiser: str, dtype: torch.dtype) -> None:
        self._pipeline, self._denoiser, self._dtype = pipeline, denoiser, dtype
        self._loaded: OrderedDict[tuple[str, FileStamp], _Loaded] = OrderedDict()
        self._wrapped: dict[tuple[str, str], Any] = {}
        self._active: tuple[ChosenLora, ...] = ()
        self._names = (f"lora{number}" for number in itertools.count())
        self._layers = {
            name: _changeable(part)
            for name, part in pipeline.components.items()
            if isinstance(part, torch.nn.Module) and name != "vae"
        }

    @property
    def size(self) -> int:
        """Bytes of all LoRAs that are loaded."""
        return sum(one.size for one in self._loaded.values())

    def describe(self, lora: ChosenLora) -> UsedLora:
        """Return what a recipe says of a LoRA that is loaded."""
        found, strengths = self._loaded[lora.file], (lora.weight, lora.encoder_weight)
        return UsedLora(lora.name, found.sha256, *strengths, found.tensors_sha256)

    def encoder_key(self, loras: Sequence[ChosenLora]) -> tuple[object, ...]:
        """Return what of loaded LoRAs changes how prompts are encoded."""
        return tuple(
            (one.file, one.encoder_weight)
            for one in loras
            if one.encoder_weight and self._loaded[one.file].is_in_encoders
        )

    def load(self, loras: Sequence[ChosenLora]) -> bool:
        """Load LoRAs that are not there, and let go of some that are not among these.

        Returns
        -------
        bool
            Whether layers were added or taken away: the model's parts must then be placed anew.

        Raises
        ------
        ModelUnavailableError
            A file cannot be read, or does not fit the model. Those before it are loaded.
        """
        self.activate(())
        wanted = {one.file for one in loras}
        changed = False
        for one in loras:
            if one.file not in self._loaded:
                self._add(one)
                changed = True
            self._loaded.move_to_end(one.file)
        unused = [key for key in self._loaded if key not in wanted]
        kept = sum(self._loaded[key].size for key in unused)
        for key in unused:  # the one that was used longest ago comes first
            if kept <= KEPT_BYTES:
                break
            kept -= self._loaded[key].size
            self._remove(key)
            changed = True
        return changed

    def activate(self, loras: Sequence[ChosenLora]) -> bool:
        """Apply these LoRAs, which are loaded, and no others; return whether that is a change."""
        if self._active == tuple(loras):
            return False
        for layer in self._wrapped.values():
            layer.set_adapter([], inference_mode=True)
        applied: dict[tuple[str, str], list[str]] = {}
        for one in loras:
            loaded = self._loaded[one.file]
            for where, scale in loaded.scales.items():
                strength = one.weight if where[0] == self._denoiser else one.encoder_weight
                if strength:
                    self._wrapped[where].set_scale(loaded.adapter, strength * scale)
                    applied.setdefault(where, []).append(loaded.adapter)
        for where, names in applied.items():
            self._wrapped[where].set_adapter(names, inference_mode=True)
        self._active = tuple(loras)
        return True

    def _add(self, lora: ChosenLora) -> None:
        file = read_lora_file(lora)
        changes = read_changes(lora, file, self._layers, self._pipeline, self._denoiser)
        adapter = next(self._names)
        scales: dict[tuple[str, str], float] = {}
        sizes = [one.size(self._dtype) for one in changes]
        self._loaded[lora.file] = _Loaded(
            adapter, file.sha256, file.tensors_sha256, sum(sizes), scales
        )
        try:
            for one in changes:
                scales[one.part, one.layer] = one.scale
                self._add_layer(adapter, one)
        except BaseException:
            self._remove(lora.file)
            raise

    def _add_layer(self, adapter: str, change: LayerChange) -> None:
        """Add an adapter to a layer, which is wrapped by its first one."""
        where, matrices = (change.part, change.layer), change.matrices
        rank = matrices["down"].shape[0] if "down" in matrices else 1
        base = self._layers[change.part][change.layer]
        config = peft.LoraConfig(r=rank, lora_alpha=rank, **_CONFIG)
        with torch.device("meta"):  # no random weights are drawn
            if where not in self._wrapped:
                wrapper = next(found for kind, found in _WRAPPERS if isinstance(base, kind))
                layer = wrapper(base, adapter, config=config, r=rank, lora_alpha=rank)
                layer.eval()
                getattr(self._pipeline, change.part).set_submodule(change.layer, layer)
                self._wrapped[where] = layer
            else:
                layer = self._wrapped[where]
                layer.update_layer(adapter, rank, lora_alpha=rank, config=config)
        layer.set_adapter([], inference_mode=True)
        # A tensor of a file may lie anywhere in memory, and sums depend on its alignment.
        own = {
            name: one.to(self._dtype, copy=True, memory_format=torch.contiguous_format)
            for name, one in matrices.items()
        }
        if "down" in own:
            for module, name in ((layer.lora_A, "down"), (layer.lora_B, "up")):
                module[adapter].weight = torch.nn.Parameter(own[name], requires_grad=False)
        else:
            layer.lora_A[adapter] = Unchanged(self._dtype)
            layer.lora_B[adapter] = Product(base, own)

    def _remove(self, key: tuple[str, FileStamp]) -> None:
        loaded = self._loaded.pop(key)
        for where in loaded.scales:
            layer = self._wrapped.get(where)
            if layer is None:  # an error came before it was wrapped
                continue
            layer.delete_adapter(loaded.adapter)
            if not layer.lora_A:
                part, name = where
                getattr(self._pipeline, part).set_submodule(name, layer.base_layer)
                del self._wrapped[where]


def _changeable(part: torch.nn.Module) -> dict[str, torch.nn.Module]:
    kinds = tuple(kind for kind, _ in _WRAPPERS)
    return {name: one for name, one in part.named_modules() if isinstance(one, kinds)}
