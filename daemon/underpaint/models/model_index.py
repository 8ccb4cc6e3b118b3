"""What the `model_index.json` of a folder says: a model's family, purpose and classes of parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.sentences import Listing

from .families import FLOWS, Classes
from .schedulers import SCHEDULERS

INDEX = "model_index.json"


FAMILIES = {
    "StableDiffusion": "sd",
    "StableDiffusionXL": "sdxl",
    **{facts.pipeline: family for family, facts in FLOWS.items()},
}
"""Pipeline classes, less their purpose (`Img2ImgPipeline`), and the family of each."""

_OTHER_PURPOSES = {
    "FluxFill": ("flux", "inpainting"),
    "FluxKontext": ("flux", "edit"),
    "QwenImageEdit": ("qwen-image", "edit"),
    "QwenImageEditPlus": ("qwen-image", "edit"),
}
"""The same for models that have the parts of plain ones and another purpose, with that purpose."""

_PURPOSES = ("Img2ImgPipeline", "InpaintPipeline", "Pipeline")

_CLIP = frozenset({"CLIPTokenizer", "CLIPTokenizerFast"})
_SD: dict[str, Classes] = {
    "unet": ("diffusers", frozenset({"UNet2DConditionModel"})),
    "vae": ("diffusers", frozenset({"AutoencoderKL"})),
    "text_encoder": ("transformers", frozenset({"CLIPTextModel"})),
    "tokenizer": ("transformers", _CLIP),
    "scheduler": ("diffusers", SCHEDULERS["sd"]),
}
PARTS: dict[str, dict[str, Classes]] = {
    "sd": _SD,
    "sdxl": {
        **_SD,
        "text_encoder_2": ("transformers", frozenset({"CLIPTextModelWithProjection"})),
        "tokenizer_2": ("transformers", _CLIP),
        "scheduler": ("diffusers", SCHEDULERS["sdxl"]),
    },
    **{family: dict(facts.parts) for family, facts in FLOWS.items()},
}
"""The parts of each family. A model must have them all, but for `FlowFacts.optional`; others are
not opened."""


def is_tokenizer(part: str) -> bool:
    """Return whether a part reads prompts; one that reads pictures too is called a processor."""
    return part.startswith("tokenizer") or part == "processor"


def encoder_of(tokenizer: str) -> str:
    """Return the text encoder that a tokenizer reads prompts for."""
    return tokenizer.replace("tokenizer", "text_encoder").replace("processor", "text_encoder")


DENOISERS = ("unet", "transformer")
"""What the part that denoises is called."""


def read_family(model: Path, index: dict[str, Any]) -> str:
    """Return the family that a `model_index.json` names.

    Raises
    ------
    ModelUnavailableError
        The family is not supported.
    """
    family = find_family(index)
    if not family:
        class_name = str(index.get("_class_name"))
        raise ModelUnavailableError(
            "model {model} is a {class_name}, which is not supported yet (_class_name in {file});"
            " take a {families} model",
            model=model,
            class_name=class_name[:80],
            file=INDEX,
            families=" or ".join(FAMILIES),
        )
    return family


def find_family(index: dict[str, Any]) -> str:
    """Return the family that a `model_index.json` names; empty where it is not supported."""
    name = _without_purpose(str(index.get("_class_name")))
    return FAMILIES.get(name) or _OTHER_PURPOSES.get(name, ("", ""))[0]


def read_purpose(index: dict[str, Any]) -> str:
    """Return what the pipeline that a `model_index.json` names is for, as `ModelInfo` has it."""
    name = _without_purpose(str(index.get("_class_name")))
    return _OTHER_PURPOSES.get(name, ("", "plain"))[1]


def check_classes(model: Path, family: str, index: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the library and class of each part, as an index names them.

    Raises
    ------
    ModelUnavailableError
        A part is missing, or has a class that is not its family's.
    """
    given: dict[str, Any] = {name: index.get(name) for name in PARTS[family]}
    for name in FLOWS[family].optional if family in FLOWS else ():
        if given[name] in (None, [None, None]):
            del given[name]
    wanted = {name: PARTS[family][name] for name in given}
    missing = [
        name for name, value in given.items() if not (isinstance(value, list) and any(value))
    ]
    if missing:
        raise ModelUnavailableError(
            "model {model} has no {missing} in {file}; take a whole model (a refiner is not one)",
            model=model,
            missing=missing[0],
            file=INDEX,
        )
    for name, classes in wanted.items():
        _check_class(model, name, given[name], classes)
    return {name: (str(given[name][0]), str(given[name][1])) for name in wanted}


def _check_class(model: Path, part: str, given: Any, wanted: Classes) -> None:
    """Check that a part has a library and a class that its family works with."""
    library, classes = wanted
    if given in [[library, one] for one in classes]:
        return
    named = ".".join(str(one) for one in given)[:120]
    if part == "scheduler":
        raise ModelUnavailableError(
            "model {model}: its scheduler is {class_name}, whose noise levels are not those of its"
            " family; in {file}, name one that the model was trained for: {classes}",
            model=model,
            class_name=named,
            file=INDEX,
            classes=Listing(sorted(classes)),
        )
    raise ModelUnavailableError(
        "model {model}: {file} says that its {part} is a {class_name}, which is not supported; take"
        " a model whose {part} is a {library}.{classes}",
        model=model,
        file=INDEX,
        part=part,
        class_name=named,
        library=library,
        classes=" or ".join(sorted(classes)),
    )


def _without_purpose(class_name: str) -> str:
    for purpose in _PURPOSES:
        if class_name.endswith(purpose):
            return class_name.removesuffix(purpose)
    return class_name
