"""List the IP-Adapters, and choose those by which a model reads reference layers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.home import home
from underpaint_client.reference_layers import ReferenceLayer
from underpaint_client.sentences import NO_TEXT, Sentence, as_sentence, sentence

from .additions import Addition, check_base, find_addition
from .controlnet_list import text_width
from .describe import ModelInfo
from .facts import family_facts
from .ip_adapters import IpAdapterFacts, VisionFacts
from .kinds import IP_ADAPTER, VISION_MODEL, fits_base
from .roots import ip_adapter_roots, vision_roots
from .scanning import Scanned, scan
from .stamps import FileStamp

FAMILIES = ("sd", "sdxl")
"""The families whose models read reference layers by IP-Adapters."""


@dataclass(frozen=True)
class VisionModel:
    """A CLIP vision model that is there.

    Parameters
    ----------
    name, path, stamp
        As `Addition`.
    facts : VisionFacts
        What its header says.
    """

    name: str
    path: str
    stamp: FileStamp
    facts: VisionFacts


@dataclass(frozen=True)
class ListedIpAdapter(Addition):
    """An IP-Adapter as `underpaint ip-adapters` lists it.

    Parameters
    ----------
    facts : IpAdapterFacts
        What its header says.
    encoder : VisionModel or None
        What reads pictures for it.
    """

    title = "IP-Adapter"
    folder = "ip_adapters"

    facts: IpAdapterFacts
    encoder: VisionModel | None = None

    @property
    def made_for(self) -> tuple[str, ...]:
        """The models that it was made for."""
        return self.facts.bases

    @property
    def is_for_faces(self) -> bool:
        """Whether it was trained on faces alone, as its name says."""
        return "face" in f"{self.name.rpartition('/')[2]} {self.facts.title}".lower()

    @property
    def lacks_encoder(self) -> Sentence:
        """Why it cannot be used without a CLIP vision model; empty where there is one."""
        if self.encoder is not None:
            return NO_TEXT
        folder, width = home() / "clip_vision", self.facts.width
        if self.facts.reads == "projection":
            return sentence(
                "IP-Adapter {name!r} reads pictures by a CLIP vision model with a projection of"
                " {width} numbers, and there is none; put one into {folder}",
                name=self.name,
                width=width,
                folder=folder,
            )
        return sentence(
            "IP-Adapter {name!r} reads pictures by a CLIP vision model with patches of {width}"
            " numbers, and there is none; put one into {folder}",
            name=self.name,
            width=width,
            folder=folder,
        )


def list_ip_adapters(
    scanned: Iterable[Scanned] | None = None, encoders: Sequence[VisionModel] | None = None
) -> tuple[ListedIpAdapter, ...]:
    """Describe every IP-Adapter, by name; one that cannot be used says why.

    Parameters
    ----------
    scanned : iterable of Scanned, optional
        What was found in `ip_adapter_roots`, which are scanned if it is not given.
    encoders : sequence of VisionModel, optional
        What `list_vision_models` returned, if it was called before.
    """
    there = list_vision_models() if encoders is None else encoders
    found = scan(ip_adapter_roots()) if scanned is None else scanned
    listed = (_describe(one, there) for one in found)
    return tuple(sorted(filter(None, listed), key=lambda one: one.name))


def list_vision_models() -> tuple[VisionModel, ...]:
    """Return the CLIP vision models that can be used, by name."""
    found = (
        VisionModel(one.found.name, str(one.found.path), one.found.stamp, one.contents.vision)
        for one in scan(vision_roots(), kind=VISION_MODEL)
        if one.contents is not None and one.contents.vision is not None
    )
    usable = (one for one in found if not one.facts.problem)
    return tuple(sorted(usable, key=lambda one: one.name))


def _describe(one: Scanned, encoders: Sequence[VisionModel]) -> ListedIpAdapter | None:
    if one.contents is None:
        return ListedIpAdapter.damaged(one, IP_ADAPTER, facts=IpAdapterFacts())
    facts = one.contents.ip_adapter
    if facts is None:
        return None
    reading = (it for it in encoders if facts.reads and it.facts.width(facts.reads) == facts.width)
    return ListedIpAdapter.of(
        one, IP_ADAPTER, as_sentence(facts.problem), facts=facts, encoder=next(reading, None)
    )


@dataclass(frozen=True)
class ChosenReference:
    """A reference layer, and the IP-Adapter that reads it.

    Parameters
    ----------
    index : int
        Of the reference layer in the request.
    layer : ReferenceLayer
        What was asked for.
    name, path : str
        The IP-Adapter, as `ListedIpAdapter`.
    stamp : FileStamp
        Of the file whose header was read.
    reads : str
        As `IpAdapterFacts`.
    encoder : VisionModel
        What reads the picture for it.
    """

    index: int
    layer: ReferenceLayer
    name: str
    path: str
    stamp: FileStamp
    reads: str
    encoder: VisionModel

    @property
    def file(self) -> tuple[str, FileStamp]:
        """What tells its file from others, and from what it becomes later."""
        return self.path, self.stamp


def choose_references(
    wanted: Sequence[ReferenceLayer], info: ModelInfo
) -> tuple[ChosenReference, ...]:
    """Choose an IP-Adapter for each reference layer, and check that it is for the model.

    Parameters
    ----------
    wanted : sequence of ReferenceLayer
        Those of a request. The folders of IP-Adapters are only read if there are any.
    info : ModelInfo
        The model that paints.

    Returns
    -------
    tuple of ChosenReference
        Without those of strength 0.

    Raises
    ------
    ModelUnavailableError
        There is no such IP-Adapter, it or its CLIP vision model cannot be used, it was made for
        other models, or the model is of a family that has none.
    """
    if not any(one.strength for one in wanted):
        return ()
    if info.family not in FAMILIES:
        raise ModelUnavailableError(
            "reference layers work with Stable Diffusion 1 and XL, and with models that edit by"
            " instruction; the model {model!r} is {family}; choose another model, or paint without"
            " reference layers",
            model=info.name,
            family=family_facts(info.family).title,
        )
    there, width = list_ip_adapters(), text_width(info)
    chosen = []
    for index, layer in enumerate(wanted):
        if layer.strength:
            one = _choose(layer, there, info, width)
            if one.encoder is None:
                raise ModelUnavailableError(one.lacks_encoder)
            chosen.append(
                ChosenReference(
                    index, layer, one.name, one.path, one.stamp, one.facts.reads, one.encoder
                )
            )
    return tuple(chosen)


def _choose(
    layer: ReferenceLayer, there: Sequence[ListedIpAdapter], info: ModelInfo, width: int
) -> ListedIpAdapter:
    variant = {768: "1", 1024: "2"}.get(width, "") if info.family == "sd" else ""
    if layer.model:
        found = find_addition(ListedIpAdapter, layer.model, there)
        check_base(found, info, variant)
        return found
    usable = [
        one
        for one in there
        if not one.problem
        and fits_base(one.made_for, info.family, variant)
        and one.facts.text_width in (0, width)
    ]
    if not usable:
        raise ModelUnavailableError(
            "no IP-Adapter fits the model {model!r} ({family}); put one into {folder}, or choose"
            " another model; `underpaint ip-adapters` lists those that are there",
            model=info.name,
            family=family_facts(info.family, variant).title,
            folder=home() / ListedIpAdapter.folder,
        )
    return min(usable, key=lambda one: _order(one, layer.kind))


def _order(one: ListedIpAdapter, kind: str) -> tuple[bool, bool, bool]:
    """Return the place of an IP-Adapter among those that fit.

    A subject is read in detail, by the vectors of all its parts; style and composition without, by
    the one of the whole picture.
    """
    wanted = "patches" if kind == "subject" else "projection"
    return one.encoder is None, one.is_for_faces, one.facts.reads != wanted
