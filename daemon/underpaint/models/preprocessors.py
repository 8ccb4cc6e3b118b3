"""List the preprocessors: models that make the picture of a control layer from any picture.

Two forms can be opened. A folder in the format of transformers (`config.json`,
`preprocessor_config.json`, `model.safetensors`) says in `architectures` what it is. An ONNX file
draws lines: nothing else of its kind says what its numbers mean.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from underpaint_client.control_layers import COMPUTED
from underpaint_client.errors import ModelUnavailableError
from underpaint_client.home import home
from underpaint_client.sentences import NO_TEXT, Label, Sentence, as_sentence, sentence
from underpaint_client.typed_json import read_fields

from .additions import Addition, find_addition
from .reading import read_json
from .roots import Root, preprocessor_roots
from .scanning import Scanned, scan
from .stamps import stamp_status
from .walking import SIDECAR, Found

WEIGHTS = "model.safetensors"
"""The weights of a folder in the format of transformers."""

ONNX = ".onnx"

ADE20K_CLASSES = 150
"""The classes whose colours the ControlNets for segmentation know."""

DETECTOR = "detector"
"""What finds people in a picture, for a preprocessor that draws poses."""

_ARCHITECTURES = {
    "DepthAnythingForDepthEstimation": "depth",
    "DepthProForDepthEstimation": "depth",
    "DPTForDepthEstimation": "depth",
    "GLPNForDepthEstimation": "depth",
    "ZoeDepthForDepthEstimation": "depth",
    "BeitForSemanticSegmentation": "segmentation",
    "DPTForSemanticSegmentation": "segmentation",
    "SegformerForSemanticSegmentation": "segmentation",
    "UperNetForSemanticSegmentation": "segmentation",
    "MaskFormerForInstanceSegmentation": "segmentation",
    "Mask2FormerForUniversalSegmentation": "segmentation",
    "VitPoseForPoseEstimation": "pose",
    "ConditionalDetrForObjectDetection": DETECTOR,
    "DetrForObjectDetection": DETECTOR,
    "RTDetrForObjectDetection": DETECTOR,
    "RTDetrV2ForObjectDetection": DETECTOR,
}
"""What models of transformers compute, by the class that they are opened with."""

COMPUTES = {
    "lines": ("lines", "scribble"),
    "depth": ("depth", "normal"),
    "pose": ("pose",),
    "segmentation": ("segmentation",),
    DETECTOR: (),
}
"""The control layers that come of what a model computes."""

WANTED: dict[str, Label] = {
    "lines": "an ONNX file that draws lines, such as an export of Informative Drawings",
    "depth": "the folder of a depth model for transformers, such as Depth Anything V2",
    "pose": "the folder of a ViTPose model for transformers",
    "segmentation": "the folder of a segmentation model for transformers that was trained on"
    " ADE20K, such as SegFormer or Mask2Former",
}
"""What to get where there is no preprocessor."""


@dataclass(frozen=True)
class PreprocessorFacts:
    """What is known of a preprocessor beside its name.

    Parameters
    ----------
    architecture : str
        The class of transformers that it is opened with; empty for an ONNX file.
    """

    architecture: str = ""


@dataclass(frozen=True)
class ListedPreprocessor(Addition):
    """A preprocessor as `underpaint preprocessors` lists it.

    Parameters
    ----------
    kind : str
        One of `COMPUTES`.
    path : str
        The file of its weights.
    """

    title = "preprocessor"
    folder = "preprocessors"

    facts: PreprocessorFacts = PreprocessorFacts()

    @property
    def made_for(self) -> tuple[str, ...]:
        """No models: it knows none."""
        return ()

    @property
    def computes(self) -> tuple[str, ...]:
        """The kinds of control layers whose pictures it computes."""
        return COMPUTES[self.kind]


def list_preprocessors(
    scanned: Iterable[Scanned] | None = None,
) -> tuple[ListedPreprocessor, ...]:
    """Describe every preprocessor, by name; one that cannot be used says why.

    Parameters
    ----------
    scanned : iterable of Scanned, optional
        What was found in `preprocessor_roots`, which are scanned if it is not given.
    """
    found = scan(preprocessor_roots()) if scanned is None else scanned
    folders = (_describe_folder(one) for one in found if one.found.path.name == WEIGHTS)
    listed = [*filter(None, folders), *_list_onnx(preprocessor_roots()[0])]
    return tuple(sorted(listed, key=lambda one: one.name))


def _describe_folder(one: Scanned) -> ListedPreprocessor | None:
    path = one.found.path
    config: dict[str, Any] = {}
    with contextlib.suppress(ModelUnavailableError):
        config = read_json(path.parent, "config.json")
    named = config.get("architectures")
    architecture = str(named[0]) if isinstance(named, list) and named else ""
    kind = _ARCHITECTURES.get(architecture)
    if kind is None:
        return None
    name = one.found.name.rpartition("/")[0] or one.found.name
    return ListedPreprocessor.of(
        one._replace(found=one.found._replace(name=name)),
        kind,
        _find_problem(path.parent, kind, config),
        facts=PreprocessorFacts(architecture),
        damage=as_sentence(one.problem),
    )


def _find_problem(folder: Path, kind: str, config: dict[str, Any]) -> Sentence:
    if not os.path.lexists(folder / "preprocessor_config.json"):
        return sentence("it lacks preprocessor_config.json; fetch the whole folder")
    labels = config.get("id2label")
    count = len(labels) if isinstance(labels, dict) else config.get("num_labels")
    if kind == "segmentation" and count != ADE20K_CLASSES:
        return sentence(
            "it tells {count} classes apart, and ControlNets know the {known} of ADE20K; take one"
            " that was trained on these",
            count=str(count or "unknown"),
            known=ADE20K_CLASSES,
        )
    return NO_TEXT


def _list_onnx(own: Root) -> Iterator[ListedPreprocessor]:
    """Yield the ONNX files in Underpaint's own folder: elsewhere they are of any purpose."""
    for path in sorted(own.path.rglob(f"*{ONNX}")):
        name = path.relative_to(own.path).with_suffix("").as_posix()
        try:
            stamp = stamp_status(path.stat())
        except OSError:
            continue
        found = Found(name, path, own, stamp=stamp)
        yield ListedPreprocessor.of(Scanned(found), "lines", NO_TEXT)


@dataclass(frozen=True)
class OnnxInput:
    """What an ONNX file takes: (value x scale - mean) / std for each channel of RGB, 0..1.

    A file `NAME.underpaint.json` beside `NAME.onnx` may say it.

    Parameters
    ----------
    scale : float
        What white is: 1 or 255.
    mean, std : tuple of float
        One for each channel, in the order of RGB.
    bgr : bool
        Whether blue comes first.
    size : int
        The side in pixels of the square that it takes; 0 for any size.
    """

    scale: float = 1.0
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    bgr: bool = False
    size: int = 0


_LARGEST_SIDE = 4096


def read_onnx_input(file: Path) -> OnnxInput:
    """Return what an ONNX file takes, from the file beside it; as by default if there is none.

    Raises
    ------
    ModelUnavailableError
        The file beside it cannot be read, or says what cannot be.
    """
    name = f"{file.stem}{SIDECAR}"
    if not os.path.lexists(file.with_name(name)):
        return OnnxInput()
    try:
        found: OnnxInput = read_fields(name, OnnxInput, read_json(file.parent, name))
        if len(found.mean) != 3 or len(found.std) != 3 or 0 in found.std:
            raise ValueError("mean and std need three numbers each, and std none that is 0")  # noqa: TRY301
        if not 0 <= found.size <= _LARGEST_SIDE:
            raise ValueError(f"size {found.size} goes from 0 to {_LARGEST_SIDE}")  # noqa: TRY301
    except ValueError as error:
        raise ModelUnavailableError(
            "{file}: {error}; correct it, or remove it", file=file.with_name(name), error=error
        ) from None
    return found


def choose_preprocessor(
    kind: str, name: str = "", there: Sequence[ListedPreprocessor] | None = None
) -> ListedPreprocessor | None:
    """Return what computes a kind of control layer; None where no model is needed.

    Parameters
    ----------
    kind : str
        One of `control_layers.CONTROL_PICTURES`.
    name : str
        From the list; empty for the first that can be used.
    there : sequence of ListedPreprocessor, optional
        From `list_preprocessors`, which is called if it is not given.

    Raises
    ------
    ModelUnavailableError
        There is none, or it cannot be used, or computes something else.
    """
    if kind in COMPUTED:
        return None
    there = list_preprocessors() if there is None else there
    if name:
        found = find_addition(ListedPreprocessor, name, there)
        if kind not in found.computes:
            raise ModelUnavailableError(
                "preprocessor {name!r} does not compute {kind}; choose another one",
                name=found.name,
                kind=kind,
            )
        return found
    usable = [one for one in there if kind in one.computes]
    for one in usable:
        if not one.problem:
            return one
    if usable:
        raise ModelUnavailableError(usable[0].problem)
    computed = next(one for one, kinds in COMPUTES.items() if kind in kinds)
    raise ModelUnavailableError(
        "no model here computes {kind}; put {wanted}, into {folder}, or draw the layer yourself",
        kind=kind,
        wanted=as_sentence(WANTED[computed]),
        folder=home() / ListedPreprocessor.folder,
    )


def find_detector(there: Sequence[ListedPreprocessor]) -> ListedPreprocessor | None:
    """Return what finds people in a picture; None if there is nothing that does."""
    return next((one for one in there if one.kind == DETECTOR and not one.problem), None)
