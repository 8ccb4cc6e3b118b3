"""Messages about what a request can name: LoRAs, wildcards and styles."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from .styles import Style
from .typed_json import SENTENCE


@dataclass(frozen=True)
class AskPromptNames:
    """Ask for `PromptNames`, if the daemon said in `Welcome` that it has them: `prompt_names`."""

    type: ClassVar[str] = "ask_prompt_names"


@dataclass(frozen=True)
class PromptLora:
    """A LoRA or an embedding, as `PromptNames` lists it.

    Parameters
    ----------
    name : str
        As it is written in a prompt: `style/ink`.
    families : tuple of str
        The families of models that it fits, such as `sdxl`; empty where the file does not tell.
    titles : tuple of str
        The models that it fits, as `ModelEntry.title` has them: `SDXL`.
    trigger_words : tuple of str
        What its maker says to write in the prompt.
    problem : str
        Why it cannot be used; empty where it can.
    """

    name: str
    families: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    trigger_words: tuple[str, ...] = ()
    problem: str = field(default="", metadata=SENTENCE)


@dataclass(frozen=True)
class PromptNames:
    """What a prompt can name, by name: LoRAs, embeddings, wildcards as between underscores.

    `styles` are those that the request can name. `control_pictures` are the kinds of control layers
    whose pictures can be made of a layer here; empty from a daemon that makes none.
    """

    type: ClassVar[str] = "prompt_names"
    loras: tuple[PromptLora, ...] = ()
    wildcards: tuple[str, ...] = ()
    styles: tuple[Style, ...] = ()
    embeddings: tuple[PromptLora, ...] = ()
    control_pictures: tuple[str, ...] = ()
