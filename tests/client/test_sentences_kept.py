"""Messages, recipes and errors keep what their sentences were made of, beside the English text."""

from __future__ import annotations

import json
from typing import Any, cast

import numpy as np
import pytest

from example_recipe import make_recipe
from underpaint.cli.pictures import read_recipe, write_picture
from underpaint.server.validation import read_message
from underpaint_client import messages, model_messages, wire
from underpaint_client.errors import (
    BadInputError,
    ModelUnavailableError,
    OtherProtocolError,
    UnderpaintError,
    from_code,
)
from underpaint_client.model_entry import ModelEntry
from underpaint_client.recipe import Recipe
from underpaint_client.sentences import LONGEST, Sentence, sentence
from underpaint_editor.tag import Tag

TOLD = sentence("no model {name!r}; {count:,} others", name="x", count=4096)
TEXT = "no model 'x'; 4,096 others"
DATA = {
    "template": "no model {name!r}; {count:,} others",
    "values": {"name": "x", "count": 4096},
}


def parts_of(text: str) -> tuple[str, dict[str, Any]]:
    assert isinstance(text, Sentence)
    return text.template, dict(text.values)


def header(message: messages.Message) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(bytes(wire.encode(message)[0])))


MESSAGES: list[tuple[Any, str]] = [
    (messages.Failed("j", "model", TOLD), "message"),
    (messages.Progress("j", TOLD, 1, 2), "phase"),
    (messages.Accepted("j", 0, TOLD), "remark"),
    (messages.Welcome("1", 2, "m", TOLD), "remark"),
    (model_messages.Download("m", "failed", 1, 2, TOLD), "message"),
]


@pytest.mark.parametrize(("message", "field"), MESSAGES)
def test_messages_keep_their_sentences(message: Any, field: str) -> None:
    found = header(message)["body"]
    assert found[field] == TEXT  # what a client reads that knows no more
    assert found["sentences"] == {field: DATA}
    decoded, _ = wire.decode(wire.encode(message))
    checked = read_message(wire.open_envelope(wire.encode(message)))
    for read in (decoded, checked):
        assert read == message
        assert parts_of(getattr(read, field)) == (TOLD.template, dict(TOLD.values))


def test_a_text_without_values_travels_as_before() -> None:
    assert header(messages.Progress("j", "Decoding"))["body"].keys() == {
        "job", "phase", "step", "steps", "image", "images", "together",
    }  # fmt: skip


def test_sentences_in_lists_are_kept() -> None:
    models = model_messages.Models((ModelEntry("a", "", 0), ModelEntry("b", "", 0, TOLD)))
    read, _ = wire.decode(wire.encode(models))
    assert isinstance(read, model_messages.Models)
    assert parts_of(read.models[1].problem) == (TOLD.template, dict(TOLD.values))


def noted(*notes: str) -> Recipe:
    return make_recipe(facts={"notes": notes})


def test_recipes_keep_their_notes_in_messages_pictures_and_layers(tmp_path: Any) -> None:
    recipe = noted("plain", TOLD)
    assert recipe.to_dict()["facts"]["sentences"] == {"notes": [None, DATA]}
    picture, _ = wire.decode(wire.encode(messages.Picture("j", 0, "layer", recipe)))
    assert isinstance(picture, messages.Picture)
    tag = Tag.from_text(Tag(recipe, "layer").to_text())
    assert tag is not None
    assert tag.recipe is not None
    file = tmp_path / "result.png"
    write_picture(file, np.zeros((1, 2, 4), np.uint8), recipe)
    for read in (picture.recipe, tag.recipe, read_recipe(file)):
        assert read == recipe
        plain, kept = read.facts.notes
        assert plain == "plain"
        assert parts_of(kept) == (TOLD.template, dict(TOLD.values))


@pytest.mark.parametrize(
    "junk",
    [
        None,
        7,
        [],
        {"notes": 7},
        {"notes": []},
        {"notes": [None]},
        {"notes": [{"template": "{a.__class__}", "values": {"a": 1}}, None]},
        {"notes": [{"template": "you owe {n}", "values": {"n": 9}}, DATA]},
        {"seed": DATA},
    ],
)
def test_what_is_wrong_about_kept_sentences_leaves_the_texts(junk: Any) -> None:
    found = noted("plain", TEXT).to_dict()
    found["facts"]["sentences"] = junk
    assert Recipe.from_dict(found) == noted("plain", TEXT)
    body = {"job": "j", "code": "model", "message": TEXT, "sentences": junk}
    envelope = {"protocol": wire.PROTOCOL, "type": "failed", "body": body, "frames": []}
    parts: list[Any] = [json.dumps(envelope).encode()]
    assert wire.decode(parts)[0] == messages.Failed("j", "model", TEXT)
    assert read_message(wire.open_envelope(parts)) == messages.Failed("j", "model", TEXT)


def test_a_message_without_sentences_has_no_field_for_them() -> None:
    body = {"job": "j", "sentences": {}}
    envelope = {"protocol": wire.PROTOCOL, "type": "cancel", "body": body, "frames": []}
    with pytest.raises(BadInputError, match="field 'sentences' is unknown"):
        read_message(wire.open_envelope([json.dumps(envelope).encode()]))


def test_sentences_make_no_header_too_long() -> None:
    many = noted(*(sentence("{note}", note="\u2603" * 5000) for _ in range(20)))
    plain = noted(*(str(note) for note in many.facts.notes))
    assert many.to_dict() == plain.to_dict()
    assert len(sentence("{note}", note="x" * LONGEST)) == LONGEST


@pytest.mark.parametrize("kind", [UnderpaintError, BadInputError, ModelUnavailableError])
def test_errors_keep_their_sentences_over_the_wire(kind: type[UnderpaintError]) -> None:
    error = kind("no model {name!r} in {place}", name="{x}", place="a\x1bb")
    assert str(error) == "no model '{x}' in a\\x1bb"
    failed, _ = wire.decode(wire.encode(messages.Failed("j", error.code, error.sentence)))
    assert isinstance(failed, messages.Failed)
    read = from_code(failed.code, failed.message)
    assert str(read) == str(error)
    assert parts_of(read.sentence) == (
        "no model {name!r} in {place}",
        {"name": "{x}", "place": "a\\x1bb"},
    )


def test_an_error_s_text_is_no_template() -> None:
    assert str(BadInputError("a lake at {day|night}")) == "a lake at {day|night}"
    assert str(OtherProtocolError("{x}", 2)) == "{x}"
    assert str(UnderpaintError()) == ""


def test_an_error_in_an_error_is_a_sentence_in_a_sentence() -> None:
    outer = BadInputError("{error}; try again", error=ModelUnavailableError("no {name}", name="x"))
    assert str(outer) == "no x; try again"
    inner = outer.sentence.values["error"]
    assert parts_of(inner) == ("no {name}", {"name": "x"})
