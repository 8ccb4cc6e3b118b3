"""What the pop-up at a prompt's caret lists, what keys do, and what the prompt is then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from editor.fake_connection import FakeConnection
from editor.test_panel import Artist
from underpaint_client.model_entry import ModelEntry
from underpaint_client.name_search import NameIndex
from underpaint_client.prompt_completion import Candidates, Kind
from underpaint_client.prompt_messages import PromptLora, PromptNames
from underpaint_editor.notices import Connected, PromptNamesListed
from underpaint_editor.prompt_names import PromptSources, sort_loras
from underpaint_editor.prompt_popup import Completer, Key, Offer
from underpaint_editor.tracker import JobTracker

ALL = Candidates(
    loras=NameIndex(["ink", "inkwell"]),
    layers=NameIndex(["Sky"]),
    wildcards=NameIndex(["birds"]),
    tags=NameIndex(["blue sky", "blue eyes"]),
    trigger_words={"ink": ("ink wash", "black")},
)
KEYS = {"^": Key.UP, "v": Key.DOWN, "e": Key.ENTER, "t": Key.TAB, "x": Key.ESCAPE}


class Field:
    """A text field without a toolkit."""

    def __init__(self, marked: str) -> None:
        self.shown: Offer | None = None
        self.set(marked)

    def set(self, marked: str) -> None:
        self.caret = marked.index("|")
        self.text = marked.replace("|", "")

    @property
    def marked(self) -> str:
        return f"{self.text[: self.caret]}|{self.text[self.caret :]}"

    def read(self) -> tuple[str, int]:
        return self.text, self.caret

    def insert(self, start: int, end: int, text: str) -> None:
        self.text = self.text[:start] + text + self.text[end:]
        self.caret = start + len(text)

    def show_offer(self, offer: Offer) -> None:
        self.shown = offer

    def hide_offer(self) -> None:
        self.shown = None


def describe(field: Field) -> str:
    """Return what is listed, the chosen one in brackets."""
    if field.shown is None:
        return ""
    labels = [one.label for one in field.shown.completions]
    if field.shown.chosen >= 0:
        labels[field.shown.chosen] = f"[{labels[field.shown.chosen]}]"
    return " ".join(labels)


@pytest.mark.parametrize(
    ("typed", "keys", "prompt", "listed", "taken"),
    [
        ("<lora:i|", "", "<lora:i|", "[ink] inkwell", ""),
        ("<lora:i|", "v", "<lora:i|", "ink [inkwell]", "1"),
        ("<lora:i|", "vv", "<lora:i|", "[ink] inkwell", "11"),
        ("<lora:i|", "^", "<lora:i|", "ink [inkwell]", "1"),
        ("<lora:i|", "ve", "<lora:inkwell:1>|", "", "11"),
        ("<lora:i|", "vt", "<lora:inkwell:1>|", "", "11"),
        ("<lora:i|", "x", "<lora:i|", "", "1"),
        ("<lora:i|", "xe", "<lora:i|", "", "10"),
        ("<lora:i|", "e", "<lora:ink:1>|", "ink wash, black ink wash black", "1"),
        ("<lora:i|", "et", "<lora:ink:1> ink wash, black|", "", "11"),
        ("<lora:i|", "evvt", "<lora:ink:1> ink wash|", "black", "1111"),
        ("<lora:i|", "evvtt", "<lora:ink:1> ink wash, black|", "", "11111"),
        ("<lora:i|", "ee", "<lora:ink:1>|", "", "10"),
        ("<lora:i|:0.5>", "e", "<lora:ink|:0.5>", "", "1"),
        ("<layer:|", "e", "<layer:Sky>|", "", "1"),
        ("a __b|", "t", "a __birds__|", "", "1"),
        ("blue|", "", "blue|", "blue sky blue eyes", ""),
        ("blue|", "e", "blue|", "", "0"),
        ("blue|", "^", "blue|", "", "0"),
        ("blue|", "v", "blue|", "[blue sky] blue eyes", "1"),
        ("blue|", "v^", "blue|", "blue sky [blue eyes]", "11"),
        ("blue|", "vve", "blue eyes, |", "", "111"),
        ("blue|", "t", "blue sky, |", "", "1"),
        ("a|", "tv^ex", "a|", "", "00000"),
    ],
)
def test_keys(typed: str, keys: str, prompt: str, listed: str, taken: str) -> None:
    field = Field(typed)
    completer = Completer(field, lambda _kind: ALL)
    completer.typed()
    found = "".join(str(int(completer.press(KEYS[key]))) for key in keys)
    assert (field.marked, describe(field), found) == (prompt, listed, taken)


def test_the_mouse_accepts_what_it_clicks() -> None:
    field = Field("<lora:i|")
    completer = Completer(field, lambda _kind: ALL)
    completer.click(1)
    assert field.marked == "<lora:i|"
    completer.typed()
    completer.click(7)
    completer.click(1)
    assert field.marked == "<lora:inkwell:1>|"


def test_names_that_come_late_are_listed_while_the_artist_waits_for_them() -> None:
    field, there = Field("<lora:i|"), Candidates()
    completer = Completer(field, lambda _kind: there)
    completer.typed()
    assert field.shown is None
    there = ALL
    completer.refresh()
    assert describe(field) == "[ink] inkwell"
    completer.press(Key.DOWN)
    completer.refresh()
    assert describe(field) == "ink [inkwell]"  # the choice stays
    completer.close()
    completer.refresh()
    assert field.shown is None


def test_an_offer_for_another_text_is_not_used() -> None:
    field = Field("<lora:i|")
    completer = Completer(field, lambda _kind: ALL)
    for act in (lambda: completer.press(Key.ENTER), lambda: completer.click(0), completer.moved):
        completer.typed()
        completer.moved()
        assert describe(field) == "[ink] inkwell"
        field.set("a lake|")  # by an earlier prompt, say
        assert not act()
        completer.refresh()
        assert (field.marked, field.shown) == ("a lake|", None)
        field.set("<lora:i|")


def test_loras_for_the_model_come_first() -> None:
    loras = (
        PromptLora("gold", ("sdxl",), ("SDXL",)),
        PromptLora("bad", ("sd",), ("Stable Diffusion 1",), ("x",), problem="it is cut off"),
        PromptLora("old", ("sd",), ("Stable Diffusion 2",)),
        PromptLora("ink", ("sd",), ("Stable Diffusion 1",), ("wash",)),
        PromptLora("any"),
        PromptLora("a:b"),
        PromptLora("both", ("sd", "sdxl"), ("Stable Diffusion 1", "SDXL")),
    )
    found = sort_loras(loras, "sd", "Stable Diffusion 1")
    assert found.loras.names == ("ink", "any", "both")
    assert found.other_loras.names == ("old", "gold", "bad")
    assert found.notes == {
        "old": "for Stable Diffusion 2", "gold": "for SDXL", "bad": "cannot be used",
    }  # fmt: skip
    assert found.trigger_words["ink"] == ("wash",)
    assert "bad" not in found.trigger_words
    assert sort_loras(loras, "", "").loras.names == ("gold", "old", "ink", "any", "both")


class Line(FakeConnection):
    """A connection that keeps the messages that were sent."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def send(self, message: Any, frames: Any = ()) -> None:
        self.asked.append(message.type)


class Pump:
    """Counts how often it was woken."""

    woken = 0

    def wake(self) -> None:
        self.woken += 1


def test_a_daemon_is_asked_if_it_knows_the_question_and_again_later() -> None:
    line, pump, now = Line(), Pump(), [0.0]
    tracker = JobTracker("test", connect=lambda: line)
    tracker.open()
    sources = PromptSources(tracker, pump, print, lambda: now[0])  # type: ignore[arg-type]
    for kind in (Kind.LORA, Kind.WILDCARD):
        assert sources.candidates(kind, None, list).loras.names == ()
    assert line.asked.count("ask_prompt_names") == 0
    sources.connect(is_known=False)
    sources.candidates(Kind.LORA, None, list)
    assert line.asked.count("ask_prompt_names") == 0
    sources.connect(is_known=True)
    sources.candidates(Kind.LORA, None, list)
    assert line.asked.count("ask_prompt_names") == pump.woken == 1
    sources.add(PromptNames((PromptLora("ink", ("sd",), ("SD",)),), ("birds",)))
    assert sources.candidates(Kind.WILDCARD, None, list).wildcards.names == ("birds",)
    model = ModelEntry("m", "sdxl", 1024, title="SDXL")
    assert sources.candidates(Kind.LORA, model, list).other_loras.names == ("ink",)
    assert sources.candidates(Kind.LORA, None, list).loras.names == ("ink",)
    now[0] = 11.0
    sources.candidates(Kind.WILDCARD, None, list)
    assert line.asked.count("ask_prompt_names") == 2


def test_layers_are_read_for_layers_alone() -> None:
    sources = PromptSources(JobTracker("test"), Pump(), print)  # type: ignore[arg-type]
    read = []

    def layers() -> Iterator[str]:
        read.append(1)
        yield from ("Sky", "a>b", "Sky")

    for kind in (Kind.LORA, Kind.WILDCARD, Kind.TAG):
        assert sources.candidates(kind, None, layers).layers.names == ()
    assert read == []
    assert sources.candidates(Kind.LAYER, None, layers).layers.names == ("Sky",)


def until_tags(sources: PromptSources, *wanted: str) -> None:
    deadline = time.monotonic() + 30
    while sources.candidates(Kind.TAG, None, list).tags.names != wanted:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_list_of_tags_is_read_beside_and_again_when_it_changes(home: Path) -> None:
    told: list[str] = []
    sources = PromptSources(JobTracker("test"), Pump(), told.append)  # type: ignore[arg-type]
    until_tags(sources)
    (home / "tags.csv").write_text("blue_sky,0,9\n", encoding="utf-8-sig")
    until_tags(sources, "blue sky")
    (home / "tags.csv").write_text("blue_sky,0,9\nred_sky,0,5\n")
    until_tags(sources, "blue sky", "red sky")
    (home / "tags.csv").write_bytes(b"\xff\xfe\xfa no text")
    until_tags(sources)
    deadline = time.monotonic() + 30
    while not told:
        assert time.monotonic() < deadline
        sources.candidates(Kind.TAG, None, list)
    assert told[0].startswith(f"The list of tags {home}/tags.csv cannot be read ('utf-8' codec")
    (home / "tags.csv").unlink()
    until_tags(sources)


def test_the_session_passes_names_on() -> None:
    artist = Artist()
    words = (PromptLora("old", ("sd",), ("SD",)), PromptLora("xl", ("sdxl",), ("SDXL",)))
    names = PromptNames((PromptLora("ink"),), ("birds",), embeddings=words)
    artist.session.handle_notices([Connected("plain", "", True), PromptNamesListed(names)])
    assert artist.panel.candidates("prompt", Kind.LORA, list).loras.names == ("ink",)
    assert artist.panel.candidates("negative_prompt", Kind.LORA, list).loras.names == ()
    for field in ("prompt", "negative_prompt"):
        found = artist.panel.candidates(field, Kind.EMBEDDING, list)
        assert found.embeddings.names == ("old", "xl")
        found = artist.panel.candidates(field, Kind.WILDCARD, list)
        assert found.wildcards.names == ("birds",)
    model = ModelEntry("m", "sdxl", 1024, title="SDXL")
    found = artist.session.prompt_sources.candidates(Kind.EMBEDDING, model, list)
    assert (found.embeddings.names, found.other_embeddings.names) == (("xl",), ("old",))
    assert found.notes == {"old": "for SD"}
    artist.session.handle_notices([Connected("plain")])  # another daemon, an older one
    assert artist.panel.candidates("prompt", Kind.LORA, list).loras.names == ()


@pytest.mark.parametrize(
    ("field", "prompt", "marked", "told"),
    [
        ("prompt", "# <lora:>\na <lora:> lake", "<lora:>", "The prompt's character 13, '<lora:>'"),
        ("negative_prompt", "<layer:>", "<layer:>", "In the negative prompt, the prompt's"),
        ("prompt", "a <lora:ink:1> lake", "", "Fills"),
    ],
)
def test_what_cannot_be_read_is_marked_and_said_before_the_run(
    field: str, prompt: str, marked: str, told: str
) -> None:
    artist = Artist()
    artist.set(**{field: prompt})
    assert artist.toolkit.marked[field] == marked
    assert artist.toolkit.plan.startswith(told)
    if marked:
        assert artist.session.generate(artist.panel.form, lambda: artist.document) is None
        assert artist.toolkit.message.startswith(told)
    artist.set(**{field: "a lake"})
    assert artist.toolkit.marked[field] == ""
    assert artist.toolkit.plan.startswith("Fills")
