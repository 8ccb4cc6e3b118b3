"""Find the settings that a picture was made with, whichever program wrote it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .comfy_settings import parse_comfy
from .errors import BadInputError
from .found_settings import FoundSettings, parse_object
from .invoke_settings import parse_invoke, parse_old_invoke
from .picture_texts import COMFY_KEY, INVOKE_KEY, OLD_INVOKE_KEY, read_texts
from .png_chunks import PARAMETERS_KEY, RECIPE_KEY
from .prompt_choices import escape_prompt
from .recipe import Recipe
from .request import Request
from .sentences import Sentence, sentence
from .webui_settings import parse_webui

LARGEST_PICTURE = 2**28
"""Bytes of the largest picture that is read."""

_OWN_CHOICE = (
    "mode", "images", "chain", "model", "style", "controls", "references", "regions",
)  # fmt: skip
"""What a recipe says of one run, and not of how a picture looks."""


def read_picture_settings(file: Path) -> FoundSettings:
    """Return the settings in a picture's file.

    Raises
    ------
    BadInputError
        It cannot be read, or has no settings. Names the file.
    """
    try:
        if not file.is_file():  # opening a pipe would wait for ever
            raise BadInputError("there is no picture {file}", file=file)
        with file.open("rb") as stream:
            content = stream.read(LARGEST_PICTURE + 1)
    except OSError as error:
        raise BadInputError(
            "picture {file} cannot be read: {reason}", file=file, reason=error.strerror or error
        ) from None
    if len(content) > LARGEST_PICTURE:
        raise BadInputError(
            "picture {file} is over {most} bytes; give a smaller copy",
            file=file,
            most=LARGEST_PICTURE,
        )
    found = find_settings(read_texts(content))
    if found is None:
        raise BadInputError(
            "picture {file} has no settings of Underpaint, Stable Diffusion WebUI, ComfyUI or"
            " InvokeAI; other programs and many web sites remove them",
            file=file,
        )
    return found


def find_settings(texts: dict[str, str]) -> FoundSettings | None:
    """Return the settings in a picture's texts; None if there are none that can be read.

    Parameters
    ----------
    texts : dict of str to str
        From `read_texts`.
    """
    for key, parse in _PARSERS.items():
        if key not in texts:
            continue
        try:
            found = parse(texts[key])
        except ValueError:
            continue
        if found is not None:
            return found
    return None


def parse_recipe(text: str) -> FoundSettings | None:
    """Return the settings of a recipe of ours; None for the picture of a control layer.

    Raises
    ------
    ValueError
        It cannot be read.
    """
    recipe = Recipe.from_dict(parse_object(text))
    return None if recipe.request.control_picture.kind else settings_of_recipe(recipe)


def settings_of_recipe(recipe: Recipe) -> FoundSettings:
    """Return what a picture was made with; its prompt is the one whose choices are made."""
    made = recipe.request.with_values(
        prompt=escape_prompt(recipe.facts.prompt), seed=recipe.facts.seed
    )
    usual = Request().values()
    values = {
        name: value
        for name, value in made.values().items()
        if name not in _OWN_CHOICE and (value != usual[name] or name == "negative_prompt")
    }
    sampling, facts = made.sampling, recipe.facts
    notes: list[Sentence] = []
    if made.conditioning.controls:
        notes.append(sentence("its control layers are not used: the picture does not hold them"))
    if made.conditioning.references:
        notes.append(sentence("its reference layers are not used: the picture does not hold them"))
    if made.conditioning.regions:
        notes.append(sentence("its regions are not used: the picture does not hold their masks"))
    return FoundSettings("Underpaint", values, tuple(notes), sampling.model, facts.model_hash)


_PARSERS: dict[str, Callable[[str], FoundSettings | None]] = {
    RECIPE_KEY: parse_recipe,
    PARAMETERS_KEY: parse_webui,
    INVOKE_KEY: parse_invoke,
    COMFY_KEY: parse_comfy,
    OLD_INVOKE_KEY: parse_old_invoke,
}
"""By the keywords of texts; the first that can be read counts."""
