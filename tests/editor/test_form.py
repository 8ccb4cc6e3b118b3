from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from underpaint_client.errors import BadInputError
from underpaint_client.parameters import parameters_of
from underpaint_client.request import Request
from underpaint_client.rules import check_request
from underpaint_client.seeds import draw_seed
from underpaint_editor.form import FIELDS, Choice, Form, Number, describe_strength, read_number
from underpaint_editor.launch import start_command, write_start_command


def asked(**values: Any) -> Request:
    return Request.of(**values)


def test_every_field_of_the_form_has_one_control() -> None:
    names = [field.name for field in FIELDS]
    kept = set(json.loads(Form().to_text())) - {"version"}
    assert sorted([*names, "seed_locked"]) == sorted(kept)
    without = parameters_of(Form).keys() - kept
    labelled = {name for name, one in parameters_of(Form).items() if one.label}
    assert not without & labelled
    assert all(Form().value(name) == Request().value(name) for name in without)
    assert all(field.label and len(field.tip) > 20 for field in FIELDS)


def test_the_form_asks_for_what_it_shows() -> None:
    form = Form.of(prompt="a lake", strength=0.4, seed=3)
    assert form.request(9).sampling.seed == 9
    assert form.with_values(seed_locked=True).request(9).sampling.seed == 3
    request = form.request(9)
    assert (request.prompt.positive, request.sampling.strength) == ("a lake", 0.4)
    assert request.output.result == "patch"
    check_request(request)


def test_what_controls_can_show_is_allowed_and_nothing_else() -> None:
    for field in FIELDS:
        if isinstance(field, Number) and field.name in parameters_of(Request):
            whole = type(Form().value(field.name)) is int
            for value in (field.minimum, field.maximum):
                check_request(asked(**{field.name: int(value) if whole else value}))
            with pytest.raises(BadInputError):
                check_request(asked(**{field.name: field.maximum + 1}))
        if isinstance(field, Choice) and field.name != "model":
            for option in field.options:
                check_request(asked(**{field.name: option}))


def test_forms_travel_as_text() -> None:
    form = Form.of(prompt="ein Schloß\nim Nebel", seed=2**32 - 1, seed_locked=True, mode="inpaint")
    assert Form.from_text(form.to_text()) == form


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("", {}),
        ("[]", {}),
        ("null", {}),
        ('{"prompt": 3, "steps": "many", "strength": 7, "mode": "sideways", "new": 1}', {}),
        ('{"steps": true}', {}),
        ('{"steps": 7, "strength": 1}', {"steps": 7, "strength": 1}),
        ('{"model": "not here just now"}', {"model": "not here just now"}),
        ('{"seed": -1, "images": 65, "prompt": "kept"}', {"prompt": "kept"}),
        ('{"seed": null, "width": 64, "height": 64, "chain": true, "variations": []}', {}),
        ('{"sampler": "Euler a", "strength": 1e999, "vary_amount": 0.01, "previews": 1}', {}),
    ],
)
def test_what_cannot_be_used_is_as_it_was(text: str, changed: dict[str, object]) -> None:
    default = Form.of(prompt="before", steps=11)
    assert Form.from_text(text, default).values() == {**default.values(), **changed}


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        (
            '{"version": 1, "steps": 20, "guidance_scale": 7.5}',
            {"steps": None, "guidance_scale": None},
        ),
        (
            '{"version": 1, "steps": 30, "guidance_scale": 7.5}',
            {"steps": 30, "guidance_scale": None},
        ),
        (
            '{"version": 1, "steps": 20, "guidance_scale": 4.0}',
            {"steps": None, "guidance_scale": 4},
        ),
        ('{"version": 1, "prompt": "x"}', {"prompt": "x"}),
        (
            '{"version": 2, "steps": 20, "guidance_scale": 7.5}',
            {"steps": 20, "guidance_scale": 7.5},
        ),
        (
            '{"version": 2, "steps": null, "guidance_scale": null}',
            {"steps": None, "guidance_scale": None},
        ),
        ('{"version": 2, "strength": null, "images": null, "sampler": null}', {}),
    ],
)
def test_what_nobody_had_changed_in_an_older_form_is_left_to_the_model(
    text: str, changed: dict[str, object]
) -> None:
    default = Form.of(steps=11, guidance_scale=3.0)
    assert Form.from_text(text, default).values() == {**default.values(), **changed}


@pytest.mark.parametrize(
    ("strength", "words"),
    [
        (0, "keeps the image"),
        (0.35, "minor change"),
        (0.55, "moderate change"),
        (0.75, "significant change"),
        (1, "ignores the original"),
    ],
)
def test_strength_in_words(strength: float, words: str) -> None:
    assert describe_strength(strength) == words


def test_seeds_are_drawn_from_all_there_are() -> None:
    seeds = [draw_seed() for _ in range(200)]
    assert len(set(seeds)) == 200
    assert max(seeds) > 2**31 > min(seeds) >= 0


def test_the_start_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "daemon.json"
    write_start_command(tmp_path, ["python", "-m", "underpaint"])
    assert start_command(file) == ["python", "-m", "underpaint"]
    file.write_text('{"no": "list"}')
    monkeypatch.setenv("PATH", str(tmp_path))
    assert start_command(file) == []


@pytest.mark.parametrize(
    ("text", "decimals", "value"),
    [
        ("0.45", 2, 0.45),
        ("0,45", 2, 0.45),
        (".45", 2, 0.45),
        (",45", 2, 0.45),
        ("1,", 2, 1),
        (" 7 ", 1, 7),
        ("\u00a07,5\u00a0", 1, 7.5),
        ("-3", 2, -3),
        ("1.000", 2, 1),
        ("1.000", 0, 1000),
        ("4,294,967,295", 0, 4294967295),
        ("4.294.967.295", 0, 4294967295),
        ("4 294 967 295", 0, 4294967295),
        ("4\u202f294", 0, 4294),
        ("20.0", 0, 20),
        ("20,5", 0, None),
        ("1,234.5", 1, None),
        ("0.4.5", 2, None),
        ("", 2, None),
        (",", 2, None),
        ("1e3", 2, None),
        ("nan", 2, None),
        ("inf", 2, None),
        ("0x10", 0, None),
        ("1_000", 0, None),
        ("much", 2, None),
        ("0.45 or so", 2, None),
        ("\u0660\u066b\u0665", 2, None),
        ("9" * 400, 2, float("inf")),
    ],
)
def test_numbers_are_read_whatever_the_decimal_sign(
    text: str, decimals: int, value: float | None
) -> None:
    assert read_number(text, decimals) == value
