"""Messages about models: which there are, and which can be downloaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from .model_entry import ModelEntry
from .typed_json import SENTENCE


@dataclass(frozen=True)
class AskModels:
    """Ask for `Models`."""

    type: ClassVar[str] = "ask_models"


@dataclass(frozen=True)
class AskModelPicture:
    """Ask for the `ModelPicture` of a model of `Models`; of several, the last is answered."""

    type: ClassVar[str] = "ask_model_picture"
    model: str


@dataclass(frozen=True)
class AskSuggestions:
    """Ask for `Suggestions`, and from then on for each `Download`.

    Only clients on the daemon's own machine may ask for models to be downloaded.
    """

    type: ClassVar[str] = "ask_suggestions"


@dataclass(frozen=True)
class StartDownload:
    """Download a model from the Hugging Face Hub: `OWNER/NAME` or `OWNER/NAME/FILE`."""

    type: ClassVar[str] = "start_download"
    model: str


@dataclass(frozen=True)
class StopDownload:
    """Stop that download; another `StartDownload` goes on where it ended."""

    type: ClassVar[str] = "stop_download"
    model: str


@dataclass(frozen=True)
class Models:
    """What there is to paint with, by name."""

    type: ClassVar[str] = "models"
    models: tuple[ModelEntry, ...]


@dataclass(frozen=True)
class ModelPicture:
    """What a model paints, as the frame `picture`: small, RGBA, u1. Without it there is none."""

    type: ClassVar[str] = "model_picture"
    model: str


@dataclass(frozen=True)
class Suggestion:
    """One model as `Suggestions` lists it.

    `size` and `memory` are bytes to download and to paint with, about. `is_there` says that a model
    of that name is on this machine already.
    """

    model: str
    purpose: str
    size: int
    memory: int
    licence: str
    is_there: bool = False


@dataclass(frozen=True)
class Suggestions:
    """Models to begin with, small ones first; `memory` is the bytes that models have room in.

    `device` is the GPU's name, or says where that memory is.
    """

    type: ClassVar[str] = "suggestions"
    memory: int
    device: str
    models: tuple[Suggestion, ...]


DOWNLOAD_STATES = ("waiting", "running", "done", "failed", "stopped")


@dataclass(frozen=True)
class Download:
    """How far a download is: one of `DOWNLOAD_STATES`, and bytes; `size` is 0 if not known.

    `message` says why it failed, or where the model is.
    """

    type: ClassVar[str] = "download"
    model: str
    state: str
    received: int = 0
    size: int = 0
    message: str = field(default="", metadata=SENTENCE)
