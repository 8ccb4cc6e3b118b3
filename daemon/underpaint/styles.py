"""The files of styles: `NAME.json` in the folder `styles` of Underpaint's home, or shipped.

``{"prompt": "{prompt}, watercolour", "negative_prompt": "photo", "loras": ["ink:0.8"]}``
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from underpaint.models import find_model
from underpaint.models.reading import parse_json
from underpaint.text_files import read_text_file
from underpaint_client.conditioning import read_lora
from underpaint_client.errors import BadInputError, ModelUnavailableError
from underpaint_client.home import home, make_folder
from underpaint_client.parameters import parameters_of
from underpaint_client.prompt_check import find_prompt_error
from underpaint_client.prompt_choices import strip_comments
from underpaint_client.request import Request
from underpaint_client.rules import check_request
from underpaint_client.sentences import Listing, Sentence, sentence
from underpaint_client.styles import LEFT_TO_STYLE, PLACE, Style, apply_style, find_style
from underpaint_client.typed_json import read_value, shorten

SHIPPED = Path(__file__).parent / "starter" / "styles"
"""The folder of the styles that come with Underpaint."""

LARGEST = 2**20
"""Bytes of the largest file of styles that is read."""

MOST = 1000
"""Styles of a folder that are listed, and of a file that are added."""

LONGEST_NAME = 200
"""Characters of the longest name of a style."""

_KEYS = ("prompt", "negative_prompt", *LEFT_TO_STYLE, "loras")
_NOT_IN_NAMES = re.compile(r'[\\/:*?"<>|\x00-\x1f\x7f]')


def style_folder() -> Path:
    """Return the folder of the user's own styles, whether or not it is there."""
    return home() / "styles"


def list_styles() -> tuple[Style, ...]:
    """Return every style by name; one that cannot be used says why.

    One of the user's own replaces one that is shipped.
    """
    found: dict[str, Style] = {}
    for folder in (style_folder(), SHIPPED):
        for file in sorted(folder.glob("*.json"))[:MOST]:
            name = file.stem.encode("utf-8", "backslashreplace").decode()
            if name.casefold() not in found:
                found[name.casefold()] = _describe(name, file)
    return tuple(style for _, style in sorted(found.items()))


def _describe(name: str, file: Path) -> Style:
    try:
        return read_style(name, _load(file))
    except BadInputError as error:
        return Style(name, problem=_problem(name, error.sentence))


def _problem(name: str, reason: Sentence) -> Sentence:
    return sentence(
        "style {name!r}: {problem}; correct its file, or remove it", name=name, problem=reason
    )


def resolve_style(request: Request) -> Request:
    """Return a request with what the style says that it names, checked.

    Raises
    ------
    BadInputError
        There is no such style, it cannot be used, or makes a value that is out of range.
    ModelUnavailableError
        Its model is missing, or cannot be used.
    """
    if not request.style:
        return request
    style = find_style(request.style, list_styles())
    resolved = apply_style(request, style)
    check_request(resolved)
    if resolved.sampling.model != request.sampling.model:
        _find_model_of(style)
    return resolved


def _find_model_of(style: Style) -> None:
    try:
        find_model(style.model)
    except ModelUnavailableError as error:
        raise ModelUnavailableError(
            "style {style!r} is for a model that cannot be used: {problem}",
            style=style.name,
            problem=error.sentence,
        ) from None


def read_style(name: str, found: Any) -> Style:
    """Return a style from the JSON value of its file.

    Raises
    ------
    BadInputError
        It is no object, has an unknown key, a value that cannot be used, or a prompt without
        `{prompt}`. Names the key, and not the style.
    """
    if not isinstance(found, dict):
        raise BadInputError("{value} is not a JSON object", value=shorten(found))
    if unknown := sorted(found.keys() - set(_KEYS)):
        raise BadInputError(
            "{key!r} is unknown; there are {known}", key=unknown[0][:80], known=Listing(_KEYS)
        )
    values = {key: _read(key, value) for key, value in found.items()}
    style = Style(name, **values)
    if PLACE not in strip_comments(style.prompt):
        raise BadInputError(
            "its prompt {prompt!r} has no {place}, which stands for what you write",
            prompt=style.prompt[:80],
            place=PLACE,
        )
    for prompt in (style.prompt.replace(PLACE, ""), style.negative_prompt):
        if (error := find_prompt_error(prompt)) is not None:
            raise error
    check_request(apply_style(Request(), style))
    return style


def _read(key: str, value: Any) -> Any:
    parameter = parameters_of(Request)[key]
    try:
        if key == "loras":
            texts: tuple[str, ...] = read_value(key, tuple[str, ...], value)
            read: Any = tuple(map(read_lora, texts))
        else:
            read = read_value(key, parameter.kind, value)
    except ValueError as error:
        raise BadInputError(str(error)) from None
    parameter.check_value(read)
    return read


def _load(file: Path) -> Any:
    """Return the content of a JSON file.

    Raises
    ------
    BadInputError
        It cannot be read.
    """
    try:
        return parse_json(read_text_file(file, LARGEST))
    except OSError as error:
        raise BadInputError(error.strerror or str(error)) from None
    except ValueError as error:
        raise BadInputError("it is not JSON ({error})", error=error) from None


# ---- adding --------------------------------------------------------------------------------


def add_styles(file: Path) -> list[Path]:
    """Copy styles into the user's folder.

    Parameters
    ----------
    file : Path
        A style; a JSON list of styles with their `name`, as other tools share them; or the
        `styles.csv` of Stable Diffusion WebUI.

    Returns
    -------
    list of Path
        The files that were written: all, or none.

    Raises
    ------
    BadInputError
        It cannot be read, one of the styles cannot be used, or there is one of that name.
    """
    try:
        found = list(_read_csv(file) if file.suffix.lower() == ".csv" else _read_json(file))
        styles = [read_style(name, values) for name, values in found]
    except BadInputError as error:
        raise BadInputError("{file}: {problem}", file=file, problem=error.sentence) from None
    if not styles or len(styles) > MOST:
        raise BadInputError(
            "{file} has {count} styles; give a file with 1 to {most}",
            file=file,
            count=len(styles),
            most=MOST,
        )
    targets = [style_folder() / f"{style.name}.json" for style in styles]
    for target in targets:
        if target.exists() or targets.count(target) > 1:
            raise BadInputError(
                "there is a style {name!r} already; remove {file}, or choose another name",
                name=target.stem,
                file=target,
            )
    make_folder(style_folder())
    for target, (_, values) in zip(targets, found, strict=True):
        target.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return targets


def _read_json(file: Path) -> Iterator[tuple[str, Any]]:
    found = _load(file)
    if not isinstance(found, list):
        yield _file_name(file.stem), found
        return
    for one in found:
        if not isinstance(one, dict) or not isinstance(one.get("name"), str):
            raise BadInputError("{value} in its list has no name", value=shorten(one))
        yield _file_name(one["name"]), _with_place({**one})


def _read_csv(file: Path) -> Iterator[tuple[str, Any]]:
    try:
        text = read_text_file(file, LARGEST)
        for row in csv.DictReader(io.StringIO(text)):
            name = row.get("name")
            if name and (row.get("prompt") or row.get("negative_prompt")):
                named = {key: row.get(key) or "" for key in ("prompt", "negative_prompt")}
                yield _file_name(name), _with_place(named)
    except OSError as error:
        raise BadInputError(error.strerror or str(error)) from None
    except csv.Error as error:
        raise BadInputError("it is not CSV ({error})", error=error) from None


def _with_place(values: dict[str, Any]) -> dict[str, Any]:
    """Return what other tools know of a style; they append a prompt that has no place."""
    values.pop("name", None)
    prompt = values.get("prompt", "")
    if isinstance(prompt, str) and PLACE not in prompt:
        values["prompt"] = f"{PLACE}, {prompt}" if prompt.strip() else PLACE
    return values


def _file_name(name: str) -> str:
    """Return a name that a file can have everywhere."""
    plain = _NOT_IN_NAMES.sub("-", name).strip(" .")[:LONGEST_NAME]
    if not plain:
        raise BadInputError("{name!r} is no name for a style", name=name[:80])
    return plain
