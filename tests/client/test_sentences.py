"""Sentences keep what they were made of: the English text stays, another language can be shown."""

from __future__ import annotations

import copy
import gettext
import json
import pickle
import string
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpaint_client.printable import escape_line, printable
from underpaint_client.sentence_json import from_data, to_data
from underpaint_client.sentences import (
    LONGEST,
    Listing,
    Sentence,
    find_names,
    join_sentences,
    sentence,
    translate,
)


class German(gettext.NullTranslations):
    """A made-up catalogue."""

    TEXTS = {  # noqa: RUF012
        "the seed {seed} is too large; it goes to {most:,}": (
            "bis {most:,} geht der Startwert, {seed} ist zu gross"
        ),
        "no model {name!r}": "kein Modell {name!r}",
        "{error}; try {ways!r}": "{error}; versuche {ways!r}",
        "Loading the model": "Modell wird geladen",
        "one of {a|b}": "eins aus {a|b}",
        "{count} pixel": "ein Pixel",
        "{count} pixels": "{count} Bildpunkte",
        "broken {name}": "kaputt {name.__class__}",
        "wrong {name}": "falsch {other}",
        "endless {name}": "{name:99}" * 1000,
        "bare {name!r}": "nackt {name}",
        "": "the catalogue's header",
    }

    def gettext(self, message: str) -> str:
        return self.TEXTS.get(message, message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


def through_json(text: str) -> str:
    return from_data(str(text), json.loads(json.dumps(to_data(text))))


TABLE: list[tuple[Sentence, str, str]] = [
    (
        sentence("the seed {seed} is too large; it goes to {most:,}", seed=-1, most=4096),
        "the seed -1 is too large; it goes to 4,096",
        "bis 4,096 geht der Startwert, -1 ist zu gross",
    ),
    (sentence("no model {name!r}", name="{a} b"), "no model '{a} b'", "kein Modell '{a} b'"),
    (
        sentence(
            "{error}; try {ways!r}",
            error=sentence("no model {name!r}", name="x"),
            ways=Listing(["a", "b"]),
        ),
        "no model 'x'; try 'a', 'b'",
        "kein Modell 'x'; versuche 'a', 'b'",
    ),
    (sentence("{count} pixel", "{count} pixels", count=1), "1 pixel", "ein Pixel"),
    (sentence("{count} pixel", "{count} pixels", count=3), "3 pixels", "3 Bildpunkte"),
    (sentence("unknown {share:.0%}", share=0.5), "unknown 50%", "unknown 50%"),
    (
        join_sentences(sentence("no model {name!r}", name="x"), "Loading the model", "Sent."),
        "No model 'x'. Loading the model. Sent.",
        "Kein Modell 'x'. Modell wird geladen. Sent.",
    ),
    (
        join_sentences("Loading the model", "sent...", stop=False),
        "Loading the model. Sent...",
        "Modell wird geladen. Sent...",
    ),
    (sentence("no model {name!r}", name=None), "no model None", "kein Modell None"),
    (sentence("no model {name!r}", name=b"x"), "no model b'x'", "kein Modell b'x'"),
    (sentence("in {{{at}}}", at=PurePosixPath("/a")), "in {/a}", "in {/a}"),
    (sentence("broken {name}", name="x"), "broken x", "broken x"),
    (sentence("wrong {name}", name="x"), "wrong x", "wrong x"),
    (sentence("endless {name}", name="x"), "endless x", "endless x"),
]


@pytest.mark.parametrize(("made", "english", "german"), TABLE)
def test_a_sentence_reads_in_english_and_in_another_language(
    made: Sentence, english: str, german: str
) -> None:
    assert made == english
    assert translate(made, German()) == german
    for kept in (through_json(made), pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        assert kept == english
        assert isinstance(kept, Sentence)
        assert translate(kept, German()) == german


def test_a_text_without_values_is_its_own_template() -> None:
    assert translate("Loading the model", German()) == "Modell wird geladen"
    assert translate(sentence("Loading the model"), German()) == "Modell wird geladen"
    assert to_data("Loading the model") is None
    assert translate("no model {name!r}", gettext.NullTranslations()) == "no model {name!r}"
    assert translate("", German()) == ""
    braces = join_sentences("one of {a|b}")
    assert translate(braces, German()) == "Eins aus {a|b}."
    assert translate(through_json(braces), German()) == "Eins aus {a|b}."
    within = sentence("{error}; try {ways!r}", error=Sentence("Loading the model"), ways=1)
    assert translate(through_json(within), German()) == "Modell wird geladen; versuche 1"
    raw = sentence("{error}; try {ways!r}", error="Loading the model", ways=1)
    assert translate(raw, German()) == "Loading the model; versuche 1"


@pytest.mark.parametrize(
    ("template", "values"),
    [
        ("{name.__class__}", {"name": 1}),
        ("{name[0]}", {"name": "x"}),
        ("{0}", {}),
        ("{}", {}),
        ("{name!s}", {"name": 1}),
        ("{name:>999999999}", {"name": 1}),
        ("{name:{width}}", {"name": 1, "width": 9}),
        ("{name", {"name": 1}),
        ("{name}", {}),
    ],
)
def test_a_template_that_could_do_harm_is_refused(template: str, values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="template|expected '}'"):
        sentence(template, **values)
    kept = from_data("the text", {"template": template, "values": values})
    assert kept == "the text"
    assert not isinstance(kept, Sentence)


def nested(depth: int) -> Any:
    return {"template": "{a}", "values": {"a": nested(depth - 1)}} if depth else "x"


@pytest.mark.parametrize(
    "data",
    [
        7,
        [],
        {},
        {"template": 7},
        {"template": "{a}", "values": []},
        {"template": "{a}", "values": {"a": None}},
        {"template": "{a}", "values": {"a": True}},
        {"template": "{a}", "values": {"a": float("inf")}},
        {"template": "{a}", "values": {"a": 10**5000}},
        {"template": "{a}", "values": {"a": "y"}},
        {"template": "{a:d}", "values": {"a": "x"}},
        {"template": "{a}", "plural": "{a}", "values": {"a": "x"}},
        {"template": "{a}", "plural": "{a}", "values": {"a": "x", "count": "1"}},
        {"template": "{a}", "values": {"a": ["x"] * 1000}},
        {"template": "{a}" * 300, "values": {"a": "x" * LONGEST}},
        nested(9),
    ],
)
def test_data_that_does_not_make_the_text_is_passed_over(data: Any) -> None:
    kept = from_data("x", data)
    assert kept == "x"
    assert not isinstance(kept, Sentence)


def test_a_long_sentence_is_kept_as_its_text() -> None:
    made = sentence("no model {name!r}", name="x" * LONGEST)
    assert to_data(made) is None
    assert through_json(made) == made


def test_unsafe_text_is_written_out_and_the_sentence_stays_one() -> None:
    made = sentence("no model {name}, {error}", name="a\x1b", error=sentence("b {c!r}", c="\x9b"))
    safe = made.map_text(printable)
    assert safe == "no model a\\x1b, b '\\x9b'"
    assert safe.values["name"] == "a\\x1b"
    assert made.map_text(lambda text: escape_line(text, 4000)) == safe
    long = sentence("no model {name}", name="x" * 5000).map_text(
        lambda text: escape_line(text, 4000)
    )
    assert long.template == ""  # what was cut cannot be made again


VALUES = st.one_of(
    st.text(),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.binary(),
    st.lists(st.text()),
    st.tuples(st.text(), st.integers()),
    st.builds(lambda value: sentence("nested {value!r}", value=value), st.text()),
)
LITERALS = st.text(string.printable)


@given(LITERALS, VALUES, LITERALS, VALUES)
def test_the_english_text_is_what_an_f_string_makes(
    before: str, first: Any, between: str, second: Any
) -> None:
    literals = [text.replace("{", "{{").replace("}", "}}") for text in (before, between)]
    made = sentence(
        f"{literals[0]}{{first}}{literals[1]}{{second!r}}{{first}}", first=first, second=second
    )
    assert made == f"{before}{first}{between}{second!r}{first}"
    if to_data(made) is not None:
        kept = through_json(made)
        assert isinstance(kept, Sentence)
        assert translate(kept, gettext.NullTranslations()) == printable(made)
    assert printable(made.map_text(printable)) == printable(made)


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.one_of(
        st.lists(inner),
        st.dictionaries(
            st.one_of(st.sampled_from(["template", "plural", "values", "verbatim"]), st.text()),
            inner,
        ),
        st.fixed_dictionaries(
            {"template": st.text("{a!r:9%}"), "values": st.dictionaries(st.just("a"), inner)}
        ),
    ),
)


@given(st.text(), JSON)
def test_whatever_data_says_the_text_is_shown(text: str, data: Any) -> None:
    kept = from_data(text, data)
    assert kept == text
    assert translate(kept, gettext.NullTranslations()) in (text, printable(text))


def test_a_translation_without_quotes_shows_no_control_character() -> None:
    made = sentence("bare {name!r}", name="a\x1b")
    assert translate(made, German()) == "nackt a\\x1b"


def test_the_names_of_a_template_are_found() -> None:
    assert find_names("{a} of {b!r} {{c}}") == {"a", "b"}
