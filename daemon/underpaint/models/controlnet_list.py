"""List the ControlNets, and choose those that a model paints with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from underpaint_client.control_layers import ControlLayer
from underpaint_client.errors import ModelUnavailableError
from underpaint_client.home import home
from underpaint_client.sentences import as_sentence

from .additions import Addition, check_base, find_addition
from .controlnets import UNION_KINDS, ControlNetFacts, tell_kinds
from .describe import ModelInfo
from .facts import family_facts
from .files import WEIGHTS_NAMES, read_config
from .kinds import fits_base
from .roots import controlnet_roots
from .scanning import Scanned, scan
from .stamps import FileStamp

FAMILIES = ("sd", "sdxl")
"""The families whose models paint with control layers."""


@dataclass(frozen=True)
class ListedControlNet(Addition):
    """A ControlNet as `underpaint controlnets` lists it.

    Parameters
    ----------
    facts : ControlNetFacts
        What its header says.
    reads : tuple of str
        The kinds of control layers that it reads; empty where neither header nor name tells.
    """

    title = "ControlNet"
    folder = "controlnets"

    facts: ControlNetFacts
    reads: tuple[str, ...] = ()

    @property
    def made_for(self) -> tuple[str, ...]:
        """The models that it was made for."""
        return self.facts.bases


def list_controlnets(scanned: Iterable[Scanned] | None = None) -> tuple[ListedControlNet, ...]:
    """Describe every ControlNet, by name; one that cannot be used says why.

    Parameters
    ----------
    scanned : iterable of Scanned, optional
        What was found in `controlnet_roots`, which are scanned if it is not given.
    """
    found = list(scan(controlnet_roots()) if scanned is None else scanned)
    taken = {one.found.name for one in found}
    listed = (_describe(_named_by_folder(one, taken)) for one in found)
    return tuple(sorted(filter(None, listed), key=lambda one: one.name))


def _named_by_folder(one: Scanned, taken: AbstractSet[str]) -> Scanned:
    """Call the weights of a folder in the diffusers format by the folder."""
    folder, _, file = one.found.name.rpartition("/")
    if file != WEIGHTS_NAMES["diffusers"] or not folder or folder in taken:
        return one
    return one._replace(found=one.found._replace(name=folder))


def _describe(one: Scanned) -> ListedControlNet | None:
    contents = one.contents
    if contents is None:
        return ListedControlNet.damaged(one, "ControlNet", facts=ControlNetFacts())
    facts = contents.controlnet
    if facts is None:
        return None
    return ListedControlNet.of(
        one,
        "union" if facts.union else contents.kind,
        as_sentence(facts.problem),
        facts=facts,
        reads=tell_kinds(one.found.name, facts),
    )


@dataclass(frozen=True)
class ChosenControl:
    """A control layer, and the ControlNet that reads it.

    Parameters
    ----------
    index : int
        Of the control layer in the request.
    layer : ControlLayer
        What was asked for.
    name, path : str
        The ControlNet, as `ListedControlNet`.
    stamp : FileStamp
        Of the file whose header was read.
    number : int
        Which kind of a union this is; -1 for a ControlNet of one kind.
    """

    index: int
    layer: ControlLayer
    name: str
    path: str
    stamp: FileStamp
    number: int = -1

    @property
    def file(self) -> tuple[str, FileStamp]:
        """What tells its file from others, and from what it becomes later."""
        return self.path, self.stamp


def choose_controls(wanted: Sequence[ControlLayer], info: ModelInfo) -> tuple[ChosenControl, ...]:
    """Choose a ControlNet for each control layer, and check that it is for the model.

    Parameters
    ----------
    wanted : sequence of ControlLayer
        Those of a request. The folders of ControlNets are only read if there are any.
    info : ModelInfo
        The model that paints.

    Returns
    -------
    tuple of ChosenControl
        Without those of strength 0.

    Raises
    ------
    ModelUnavailableError
        There is no such ControlNet, it cannot be used, it was made for other models, or the model
        is of a family that has none.
    """
    if not any(one.strength for one in wanted):
        return ()
    if info.family not in FAMILIES:
        raise ModelUnavailableError(
            "control layers work with Stable Diffusion 1, 2 and XL, and the model {model!r} is"
            " {family}; choose another model, or paint without control layers",
            model=info.name,
            family=family_facts(info.family).title,
        )
    there = list_controlnets()
    width = text_width(info)
    chosen = []
    for index, layer in enumerate(wanted):
        if layer.strength:
            found = _choose(layer, there, info, width)
            number = _union_number(layer.kind) if found.facts.union else -1
            chosen.append(ChosenControl(index, layer, found.name, found.path, found.stamp, number))
    return tuple(chosen)


def text_width(info: ModelInfo) -> int:
    """Return how many numbers of a prompt's token the model's UNet takes."""
    unet = next(part for part in info.parts if part.name == "unet")
    config = next(one for one in unet.files if not (one.is_weights or one.is_index))
    width: int = read_config(info.path, config).get("cross_attention_dim", 1280)
    return width


def _choose(
    layer: ControlLayer, there: Sequence[ListedControlNet], info: ModelInfo, width: int
) -> ListedControlNet:
    variant = {768: "1", 1024: "2"}.get(width, "") if info.family == "sd" else ""
    if layer.model:
        found = find_addition(ListedControlNet, layer.model, there)
        check_base(found, info, variant)
        if found.facts.union and layer.kind not in found.reads:
            raise ModelUnavailableError(
                "ControlNet {name!r} does not read {kind}; choose another one",
                name=found.name,
                kind=layer.kind,
            )
        return found
    usable = [
        one
        for one in there
        if layer.kind in one.reads
        and not one.problem
        and fits_base(one.made_for, info.family, variant)
        and one.facts.text_width in (0, width)
    ]
    if not usable:
        raise ModelUnavailableError(
            "no ControlNet for {kind} fits the model {model!r} ({family}); put one into {folder},"
            " or choose another kind or model; `underpaint controlnets` lists those that are there",
            kind=layer.kind,
            model=info.name,
            family=family_facts(info.family, variant).title,
            folder=home() / ListedControlNet.folder,
        )
    # One that was made for the kind alone comes before one that reads it too.
    return min(usable, key=lambda one: (one.reads.index(layer.kind), len(one.reads)))


def _union_number(kind: str) -> int:
    return next(number for number, kinds in enumerate(UNION_KINDS) if kind in kinds)
