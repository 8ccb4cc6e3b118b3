"""`underpaint styles`: what styles there are, and adding more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from underpaint.models import list_models
from underpaint.models.find import pick_model
from underpaint.models.lora_list import find_lora, list_loras
from underpaint.styles import add_styles, list_styles, style_folder
from underpaint_client.conditioning import lora_in_prompt
from underpaint_client.errors import ModelUnavailableError
from underpaint_client.sentences import Sentence, sentence
from underpaint_client.styles import Style

from .models.tables import show_table
from .options import Parser
from .printing import say, show_json, show_path

HELP = """List the styles that are there: those that come with Underpaint, and yours."""

_LONGEST = 60  # characters of a prompt in the table


def run_styles(words: Sequence[str]) -> int:
    """Run the subcommand that is named, or list the styles."""
    if words and words[0] == "add":
        return _run_add(words[1:])
    parser = Parser("styles", HELP)
    parser.add_argument("--json", action="store_true", help="one JSON object per style")
    parser.epilog = "`underpaint styles add FILE` adds styles."
    options = parser.read(words)
    styles = list_styles()
    problems = {style.name: style.problem or _find_missing(style) for style in styles}
    if options.json:
        for style in styles:
            show_json({**asdict(style), "problem": problems[style.name]})
        return 0
    heads = ("name", "prompt", "negative prompt", "settings")
    show_table(heads, [_row(style) for style in styles if not style.problem])
    for problem in problems.values():
        if problem:
            say(f"underpaint: {problem}")
    say(f"yours go to {style_folder()}")
    return 0


def _run_add(words: Sequence[str]) -> int:
    parser = Parser("styles add", "Copy styles into Underpaint's folder of styles.")
    parser.add_argument(
        "file",
        type=Path,
        help="a style (JSON), a list of styles with names (JSON), or styles.csv of Stable Diffusion"
        " WebUI",
    )
    for file in add_styles(parser.read(words).file):
        show_path(file)
    return 0


def _find_missing(style: Style) -> Sentence | str:
    """Return which model or LoRA of a style is not there; empty if there are all."""
    if style.model and pick_model(list_models(), style.model) is None:
        return sentence(
            "style {style!r}: model {model!r} is unknown; `underpaint models` lists the models",
            style=style.name,
            model=style.model,
        )
    there = list_loras() if style.loras else ()
    for lora in style.loras:
        try:
            find_lora(lora.name, there)
        except ModelUnavailableError as error:
            return sentence("style {style!r}: {problem}", style=style.name, problem=error.sentence)
    return ""


def _row(style: Style) -> tuple[str, ...]:
    settings = {
        "model": style.model,
        "steps": style.steps,
        "guidance": style.guidance_scale,
        "sampler": "" if style.sampler == "auto" else style.sampler,
        "clip skip": style.clip_skip,
    }
    told = [f"{name} {value}" for name, value in settings.items() if value not in ("", None)]
    told += map(lora_in_prompt, style.loras)
    return style.name, _shorten(style.prompt), _shorten(style.negative_prompt), ", ".join(told)


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."
