"""Hold what a model paints to control layers, by ControlNets that run before its UNet.

A ControlNet is called in every step with what the UNet is called with, and with its picture; what
it returns is added to the UNet's layers. A hook on the UNet does this, so it is the same for all
pipelines, and without control layers nothing of a run differs.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from diffusers import ControlNetModel, ControlNetUnionModel
from diffusers.configuration_utils import FrozenDict
from diffusers.loaders.single_file_utils import convert_controlnet_checkpoint

from underpaint.models import read_header
from underpaint.models.controlnet_list import ChosenControl
from underpaint.models.controlnets import PREFIX
from underpaint.models.files import WEIGHTS_NAMES
from underpaint.models.hashes import hash_file
from underpaint.models.reading import read_json
from underpaint.models.stamps import stamp_status
from underpaint_client.control_layers import ControlLayer
from underpaint_client.errors import ModelUnavailableError, UnderpaintError
from underpaint_client.recipe import UsedControl
from underpaint_client.reference_layers import ReferenceLayer

from .loaded_nets import LoadedNets, NetFile
from .memory import is_out_of_memory
from .placing import bring, take_away
from .savings import Placement
from .single_file import choose_own, fill, make_empty, read_tensors

KEPT_BYTES = 4 * 2**30
"""How much of ControlNets that no image uses at present waits in the computer's memory."""

_CLASSES = {"ControlNetModel": ControlNetModel, "ControlNetUnionModel": ControlNetUnionModel}

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Control:
    """A control layer of a run.

    Parameters
    ----------
    chosen : ChosenControl
        What reads it, which is loaded.
    picture : tensor (1, 3, H, W)
        0..1, at the size that the model works at.
    picture_hash : str
        Of it.
    """

    chosen: ChosenControl
    picture: torch.Tensor
    picture_hash: str

    def holds(self, call: int, calls: int) -> bool:
        """Return whether it holds in one of so many calls of the UNet."""
        return is_within(self.chosen.layer, call, calls)

    def describe(self) -> UsedControl:
        """Return what a recipe says of it. Its file is read if that was never done."""
        layer, chosen = self.chosen.layer, self.chosen
        return UsedControl(
            layer.kind,
            layer.strength,
            layer.start,
            layer.end,
            chosen.name,
            hash_file(Path(chosen.path), chosen.stamp),
            self.picture_hash,
        )


def is_within(layer: ControlLayer | ReferenceLayer, call: int, calls: int) -> bool:
    """Return whether one of so many calls of the UNet lies between a layer's start and end."""
    return layer.start <= call / calls and (call + 1) / calls <= layer.end


class ControlNets:
    """The ControlNets that were loaded for a model.

    Parameters
    ----------
    device : torch.device
        Where to compute.
    dtype : torch.dtype
        Which precision to compute in.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self._device, self._dtype = device, dtype
        self._nets: LoadedNets[Any] = LoadedNets()

    @property
    def used_bytes(self) -> int:
        """The size of those that the current request uses."""
        return self._nets.used_bytes

    def load(self, chosen: Sequence[ChosenControl], unet: Any) -> None:
        """Load ControlNets that are not there; all others wait, or go where they are too many.

        Parameters
        ----------
        chosen : sequence of ChosenControl
            What the current request uses.
        unet : UNet2DConditionModel
            The model's, which tells what a file does not.

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
    def steering(
        self, unet: Any, controls: Sequence[Control], placement: Placement, calls: int
    ) -> Iterator[Sequence[torch.nn.Module]]:
        """Hold what a UNet paints to control layers for a while, and yield the ControlNets.

        Parameters
        ----------
        unet : UNet2DConditionModel
            The model's.
        controls : sequence of Control
            Their ControlNets are loaded. Without any, nothing is done.
        placement : Placement
            Where the model's parts are. ControlNets are where the UNet is.
        calls : int
            How often the UNet will be called.
        """
        if not controls:
            yield ()
            return
        groups: dict[NetFile, list[Control]] = {}
        for one in controls:
            groups.setdefault(one.chosen.file, []).append(one)
        numbers = itertools.count()

        def steer(_unet: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            call = next(numbers)
            found = [
                _call(self._nets[key], holding, args, kwargs)
                for key, group in groups.items()
                if (holding := [one for one in group if one.holds(call, calls)])
            ]
            return (args, {**kwargs, **_add_up(found)}) if found else None

        nets = [self._nets[key] for key in groups]
        try:
            for net in nets:
                bring(net, placement, self._device)
            handle = unet.register_forward_pre_hook(steer, with_kwargs=True)
            try:
                yield nets
            finally:
                handle.remove()
        finally:
            for net in nets:
                take_away(net, placement)


_SHARED = ("encoder_hidden_states", "timestep_cond", "added_cond_kwargs", "class_labels")
"""What a UNet's call gives a ControlNet too."""


def _call(
    net: Any, controls: Sequence[Control], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[Sequence[torch.Tensor], torch.Tensor]:
    """Call a ControlNet as its UNet is called, and return what to add to the UNet's layers."""
    sample, timestep = args
    sample = sample[:, : net.config.in_channels]  # without what an inpainting model is shown
    pictures = [one.picture.to(sample).expand(len(sample), -1, -1, -1) for one in controls]
    strengths = [one.chosen.layer.strength for one in controls]
    shared = {name: kwargs[name] for name in _SHARED if kwargs.get(name) is not None}
    if isinstance(net, ControlNetUnionModel):
        numbers = [one.chosen.number for one in controls]
        is_given = sample.new_zeros(len(sample), net.config.num_control_type)
        is_given[:, numbers] = 1
        shared |= {"control_type": is_given, "control_type_idx": numbers}
        found = net(
            sample,
            timestep,
            controlnet_cond=pictures,
            conditioning_scale=strengths,
            return_dict=False,
            **shared,
        )
        return found[0], found[1]
    each = [
        net(
            sample,
            timestep,
            controlnet_cond=picture,
            conditioning_scale=strength,
            return_dict=False,
            **shared,
        )
        for picture, strength in zip(pictures, strengths, strict=True)
    ]
    summed = _add_up(each)
    return summed[_DOWN], summed[_MID]


_DOWN, _MID = "down_block_additional_residuals", "mid_block_additional_residual"


def _add_up(found: Sequence[Any]) -> dict[str, Any]:
    """Add up what several ControlNets returned, by the names of the UNet's arguments."""
    downs, mids = zip(*found, strict=True)
    return {_DOWN: tuple(sum(each[1:], each[0]) for each in zip(*downs, strict=True)),
            _MID: sum(mids[1:], mids[0])}  # fmt: skip


# ---- files ----------------------------------------------------------------------------------


def _open(chosen: ChosenControl, unet: Any, dtype: torch.dtype) -> Any:
    """Open a ControlNet in the computer's memory.

    Raises
    ------
    ModelUnavailableError
        It cannot be read, is damaged, was changed since its header was read, or does not fit.
    """
    file = Path(chosen.path)
    try:
        _check_unchanged(chosen)
        net, missing = _build(file, unet, dtype)
        _check_unchanged(chosen)
    except UnderpaintError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ModelUnavailableError(
            "ControlNet {path} cannot be opened ({error}); fetch it again, or name another one",
            path=chosen.path,
            error=(str(error).strip().splitlines() or [type(error).__name__])[0],
        ) from error
    if missing:
        raise ModelUnavailableError(
            "ControlNet {path} does not fit the model: it lacks {tensor}; name another one",
            path=chosen.path,
            tensor=missing[0],
        )
    _check_fits(chosen, net, unet)
    return net.requires_grad_(False)


def _check_unchanged(chosen: ChosenControl) -> None:
    if stamp_status(Path(chosen.path).stat()) != chosen.stamp:
        raise ModelUnavailableError(
            "ControlNet {path} was changed while it was opened; try again when it is complete",
            path=chosen.path,
        )


def _build(file: Path, unet: Any, dtype: torch.dtype) -> tuple[Any, list[str]]:
    """Open a file, and return it with the names of the weights that it lacks."""
    found = (PREFIX.match(name) for name in read_header(file).tensors)
    prefix = next((one[0] for one in found if one), "")
    tensors = read_tensors(file, prefix, dtype)
    converted = convert_controlnet_checkpoint(tensors, unet.config)
    tensors = {name: one for name, one in converted.items() if one is not None}
    config = _read_config(file, tensors, unet)
    net = make_empty(_CLASSES[config["_class_name"]], config)
    own, missing = choose_own(net, tensors)
    return (None, missing) if missing else (fill(net, own, dtype), [])


def _read_config(file: Path, tensors: Tensors, unet: Any) -> dict[str, Any]:
    """Return the config of a ControlNet; what its tensors tell counts.

    The rest is in a `config.json` beside the weights of a folder in the diffusers format. Others
    are a copy of their model's encoder, as most are.
    """
    config: dict[str, Any] = {}
    is_folder = file.stem.startswith(WEIGHTS_NAMES["diffusers"])
    if is_folder and (file.parent / "config.json").exists():
        config = read_json(file.parent, "config.json")
    if config.get("_class_name") not in _CLASSES:
        channels = tensors["conv_in.weight"].shape[1]
        like = SimpleNamespace(config=FrozenDict({**unet.config, "in_channels": channels}))
        with torch.device("meta"):
            made = ControlNetModel.from_unet(like, load_weights_from_unet=False)
        config = {**made.config, "_class_name": "ControlNetModel"}
    hint = "controlnet_cond_embedding"
    blocks = (f"{hint}.blocks.{number}.weight" for number in itertools.count(1, 2))
    sides = [f"{hint}.conv_in.weight", *itertools.takewhile(tensors.__contains__, blocks)]
    config["conditioning_embedding_out_channels"] = [tensors[name].shape[0] for name in sides]
    if "task_embedding" in tensors:
        types, width = tensors["task_embedding"].shape
        layers = {name.split(".")[1] for name in tensors if name.startswith("transformer_layes.")}
        config |= {
            "_class_name": "ControlNetUnionModel",
            "num_control_type": types,
            "num_trans_channel": width,
            "num_trans_layer": len(layers),
            "num_proj_channel": tensors["spatial_ch_projs.weight"].shape[0],
        }
    return config


def _check_fits(chosen: ChosenControl, net: Any, unet: Any) -> None:
    """Check that what a ControlNet returns can be added to a UNet's layers."""
    names = ("block_out_channels", "layers_per_block", "cross_attention_dim")
    for name in names:
        has, takes = (getattr(one.config, name) for one in (net, unet))
        if has != takes and list(_listed(has)) != list(_listed(takes)):
            raise ModelUnavailableError(
                "ControlNet {path} does not fit the model: {name} is {found}, and the model's UNet"
                " has {wanted}; name another one",
                path=chosen.path,
                name=name,
                found=str(has),
                wanted=str(takes),
            )


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else [value]
