"""Read reference layers by IP-Adapters, whose attention runs beside that of a UNet's prompt.

An IP-Adapter makes tokens of a picture, and gives each cross-attention of a UNet a second one, over
these tokens, whose result is added (Ye et al. 2023). diffusers converts the files and computes it.
Its attention processors stand in for the UNet's own while images are painted that have reference
layers, and go again: nothing of the model is changed, so without them it paints the same bits.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0, IPAdapterAttnProcessor2_0
from diffusers.models.embeddings import MultiIPAdapterImageProjection

from underpaint.models.hashes import hash_file
from underpaint.models.ip_adapter_list import ChosenReference
from underpaint.models.stamps import stamp_status
from underpaint_client.errors import ModelUnavailableError, UnderpaintError
from underpaint_client.recipe import UsedReference

from .controlnets import is_within
from .loaded_nets import LoadedNets
from .memory import is_out_of_memory
from .savings import Placement
from .single_file import read_tensors

KEPT_BYTES = 2 * 2**30
"""How much of IP-Adapters that no image uses at present waits in the computer's memory."""


@dataclass(frozen=True, eq=False)
class Reference:
    """A reference layer of a run.

    Parameters
    ----------
    chosen : ChosenReference
        What reads it, which is loaded.
    read : float32 tensor (2, D) or (2, N, D)
        From `reference_pictures.read_picture`.
    picture_hash : str
        Of the picture.
    """

    chosen: ChosenReference
    read: torch.Tensor
    picture_hash: str

    def describe(self) -> UsedReference:
        """Return what a recipe says of it. Its files are read if that was never done."""
        layer, chosen, encoder = self.chosen.layer, self.chosen, self.chosen.encoder
        return UsedReference(
            layer.kind,
            layer.strength,
            layer.start,
            layer.end,
            layer.name,
            self.picture_hash,
            chosen.name,
            hash_file(Path(chosen.path), chosen.stamp),
            encoder.name,
            hash_file(Path(encoder.path), encoder.stamp),
        )


class IpAdapters:
    """The IP-Adapters that were loaded for a model.

    Parameters
    ----------
    device : torch.device
        Where to compute.
    dtype : torch.dtype
        Which precision to compute in.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._device, self._dtype = device, dtype
        self._nets: LoadedNets[_Adapter] = LoadedNets()

    @property
    def used_bytes(self) -> int:
        """The size of those that the current request uses."""
        return self._nets.used_bytes

    def load(self, chosen: Sequence[ChosenReference], unet: Any) -> None:
        """Load IP-Adapters that are not there; all others wait, or go where they are too many.

        Parameters
        ----------
        chosen : sequence of ChosenReference
            What the current request uses.
        unet : UNet2DConditionModel
            The model's.

        Raises
        ------
        ModelUnavailableError
            A file cannot be read, is damaged, or does not fit the model.
        """
        by_file = {one.file: one for one in chosen}
        self._nets.use(by_file, lambda file: _open(by_file[file], unet, self._dtype), KEPT_BYTES)

    def forget_unused(self) -> None:
        """Let go of those that wait."""
        self._nets.forget_unused()

    @contextmanager
    def reading(
        self,
        unet: Any,
        references: Sequence[Reference],
        placement: Placement,
        calls: int,
        *,
        guided: bool,
    ) -> Iterator[None]:
        """Have a UNet read reference layers for a while.

        Parameters
        ----------
        unet : UNet2DConditionModel
            The model's.
        references : sequence of Reference
            Their IP-Adapters are loaded. Without any, nothing is done.
        placement : Placement
            Where the model's parts are. IP-Adapters are small, and on the device meanwhile.
        calls : int
            How often the UNet will be called.
        guided : bool
            Whether the first half of a batch is of the negative prompt.
        """
        if not references:
            yield
            return
        adapters = [self._nets[one.chosen.file] for one in references]
        own = dict(unet.attn_processors)
        numbers = itertools.count()
        try:
            for adapter in adapters:
                adapter.to(self._device)
            states = [
                adapter.project(one.read if guided else one.read[1:])
                for adapter, one in zip(adapters, references, strict=True)
            ]
            processors = _join(adapters)
            scales = [_scales(one, own) for one in references]

            def read(_unet: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
                call = next(numbers)
                held = [is_within(one.chosen.layer, call, calls) for one in references]
                for name, processor in processors.items():
                    processor.scale = [
                        scale[name] if holds else 0.0
                        for scale, holds in zip(scales, held, strict=True)
                    ]
                prompt = kwargs["encoder_hidden_states"]
                seen = [one.repeat_interleave(len(prompt) // len(one), dim=0) for one in states]
                return args, {**kwargs, "encoder_hidden_states": (prompt, seen)}

            unet.set_attn_processor({**own, **processors})
            handle = unet.register_forward_pre_hook(read, with_kwargs=True)
            try:
                yield
            finally:
                handle.remove()
        finally:
            unet.set_attn_processor(own)
            if placement in ("offload", "group_offload"):
                for adapter in adapters:
                    adapter.to("cpu")


def _scales(reference: Reference, names: Iterable[str]) -> dict[str, float]:
    """Return the strength of a reference layer in each attention of a UNet."""
    layer = reference.chosen.layer
    place = find_place(layer.kind, names)
    return {name: layer.strength if name.startswith(place) else 0.0 for name in names}


_BLOCK = re.compile(r"^(?P<way>down|up)_blocks\.(?P<block>\d+)\.attentions\.(?P<layer>\d+)\.")


def find_place(kind: str, names: Iterable[str]) -> str:
    """Return how the names of the attentions begin that an image takes something from.

    InstantStyle (Wang et al. 2024) found that SDXL takes the style from the second attention of its
    first upper block, and the composition from the second of its last lower one; Stable Diffusion 1
    takes the style from its first upper block that has attention. Its composition is taken from the
    last lower one here, as SDXL's. A subject is taken from all.

    Parameters
    ----------
    kind : str
        One of `reference_layers.REFERENCE_KINDS`.
    names : iterable of str
        Of all attentions of a UNet.
    """
    if kind == "subject":
        return ""
    names = list(names)
    way = "up" if kind == "style" else "down"
    found = [one for one in map(_BLOCK.match, names) if one and one["way"] == way]
    numbers = {int(one["block"]) for one in found}
    block = min(numbers) if way == "up" else max(numbers)
    begin = f"{way}_blocks.{block}."
    if not _is_xl(names):
        return begin
    layers = {int(one["layer"]) for one in found if int(one["block"]) == block}
    return f"{begin}attentions.{min(1, max(layers))}."


def _is_xl(names: Iterable[str]) -> bool:
    """Return whether these are the attentions of SDXL, of which some have several layers."""
    return any(".transformer_blocks.1." in name for name in names)


# ---- files ----------------------------------------------------------------------------------


class _Adapter(torch.nn.Module):
    """An IP-Adapter: what makes tokens of a picture, and what each attention makes of them."""

    def __init__(self, projection: Any, processors: dict[str, Any]) -> None:
        super().__init__()
        self.projection = MultiIPAdapterImageProjection([projection])
        self.processors = torch.nn.ModuleList(processors.values())
        self.names = tuple(processors)
        self.requires_grad_(False)

    def project(self, read: torch.Tensor) -> torch.Tensor:
        """Make tokens (B, 1, N, D) of what was read of a picture."""
        like = next(self.parameters())
        found: torch.Tensor = self.projection([read[:, None].to(like)])[0]
        return found


def _join(adapters: Sequence[_Adapter]) -> dict[str, Any]:
    """Return processors that read several pictures, each by its own adapter."""
    joined = {}
    for name, *each in zip(adapters[0].names, *(one.processors for one in adapters), strict=True):
        first = each[0]
        with torch.device("meta"):
            processor = IPAdapterAttnProcessor2_0(
                first.hidden_size,
                first.cross_attention_dim,
                [one.num_tokens[0] for one in each],
                [0.0] * len(each),
            )
        processor.to_k_ip = torch.nn.ModuleList([one.to_k_ip[0] for one in each])
        processor.to_v_ip = torch.nn.ModuleList([one.to_v_ip[0] for one in each])
        joined[name] = processor
    return joined


def _open(chosen: ChosenReference, unet: Any, dtype: torch.dtype) -> _Adapter:
    """Open an IP-Adapter in the computer's memory.

    Raises
    ------
    ModelUnavailableError
        It cannot be read, is damaged, was changed since its header was read, or does not fit.
    """
    file = Path(chosen.path)
    try:
        adapter = _build(file, unet, dtype)
        unchanged = stamp_status(file.stat()) == chosen.stamp
    except UnderpaintError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ModelUnavailableError(
            "IP-Adapter {path} cannot be opened, or does not fit the model ({error}); fetch it"
            " again, or name another one",
            path=chosen.path,
            error=(str(error).strip().splitlines() or [type(error).__name__])[0],
        ) from error
    if not unchanged:
        raise ModelUnavailableError(
            "IP-Adapter {path} was changed while it was opened; try again when it is complete",
            path=chosen.path,
        )
    return adapter


def _build(file: Path, unet: Any, dtype: torch.dtype) -> _Adapter:
    """Open a file, converted by diffusers."""
    # A tensor of a file may lie anywhere in memory, and sums depend on its alignment.
    image, layers = (
        {
            name: one.to(dtype, copy=True, memory_format=torch.contiguous_format)
            for name, one in read_tensors(file, prefix, dtype).items()
        }
        for prefix in ("image_proj.", "ip_adapter.")
    )
    found = {"image_proj": image, "ip_adapter": layers}
    names = dict.fromkeys(unet.attn_processors, AttnProcessor2_0())
    wanted = {name for name in names if name.endswith("attn2.processor")}
    given = {name.partition(".")[0] for name in layers if name.endswith(".to_k_ip.weight")}
    if len(given) != len(wanted):
        raise ModelUnavailableError(
            "IP-Adapter {path} does not fit the model: it is for {count} layers, and the model's"
            " UNet has {wanted}; name another one",
            path=file,
            count=len(given),
            wanted=len(wanted),
        )
    # The converters are methods of a UNet, of which they need no more than this.
    like = SimpleNamespace(
        attn_processors=names, config=unet.config, dtype=dtype, device=torch.device("cpu")
    )
    processors = UNet2DConditionModel._convert_ip_adapter_attn_to_diffusers(like, [found])
    projection = UNet2DConditionModel._convert_ip_adapter_image_proj_to_diffusers(like, image)
    own = {name: one for name, one in processors.items() if name in wanted}
    return _Adapter(projection, own).to(dtype).eval()
