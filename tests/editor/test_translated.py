"""All that an editor shows can be translated: under a made-up language no English is left.

The made-up language has full-width letters. Whatever others named, as models and layers, has Greek
letters here, so that a plain letter can only be English that no catalogue was asked for.
"""

from __future__ import annotations

import dataclasses
import gettext
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from editor.fake_connection import FakeConnection
from editor.fake_editor import FakeDocument, FakeEditor, FakeResult, FakeToolkit
from example_recipe import make_recipe
from sentence_catalogue import PACKAGES, read_package, read_source
from underpaint_client import Box, Frame, messages, model_messages, wire
from underpaint_client.connection import connect
from underpaint_client.errors import (
    BadInputError,
    CancelledError,
    DaemonUnavailableError,
    GenerationFailedError,
    ModelUnavailableError,
    UnderpaintError,
    from_code,
)
from underpaint_client.geometry import Extent
from underpaint_client.model_entry import ModelEntry
from underpaint_client.prompt_language import parse_prompt
from underpaint_client.prompt_messages import PromptLora
from underpaint_client.recommended import Recommended
from underpaint_client.samplers import SAMPLERS
from underpaint_client.sentences import Listing, Sentence, sentence, translate
from underpaint_editor import model_downloads
from underpaint_editor.buttons import BUTTONS, SPOKEN
from underpaint_editor.form import FIELDS, Choice, Form, describe_own
from underpaint_editor.language import find_catalogue
from underpaint_editor.panel import Panel
from underpaint_editor.prompt_names import sort_loras
from underpaint_editor.remedy import Remedy
from underpaint_editor.results import Thumbnail
from underpaint_editor.session import Session
from underpaint_editor.tracker import JobTracker

ENGLISH_KEPT = {
    "the names of layers and groups, which are saved in files and read again": (
        r"preview of seed \d+|[Ss]eeds? \d+|step \d+ of \d+| to \d+"
    ),
    "the ending of a file": r"\.kra|\.log",
    "folders of this machine": r"/\S+",
    "a sampler, by the name that recipes and requests have": "|".join(
        sorted(SAMPLERS, reverse=True)
    ),
    "how weights are stored, by its name": "fp16",
    "a licence's name": "openrail",
    "the starter model's name": "starter",
    "the syntax of prompts": "<lora:",
}

MODEL, EDIT = "μοντέλο", "αλλαγή"
PROMPT = "λίμνη"
HERE = Box(0, 0, 8, 8)
PATCH = Frame("patch", HERE, "u1", "RGBA", bytes((1, 2, 3, 255)) * 64)


READ = [one for folder in PACKAGES.values() for one in read_package(folder)]
READ += read_source(Path(__file__), Path(__file__).read_text(encoding="utf-8"))  # as of a daemon
TEMPLATES = {template for one in READ for template in (one.template, one.plural) if template}


class FullWidth(gettext.NullTranslations):
    """A language with full-width letters, for all that was collected for translation."""

    def gettext(self, message: str) -> str:
        if message not in TEMPLATES:
            return message
        parts = re.split(r"(\{[a-z_]+(?:!r)?(?::[^{}]*)?\})", message)  # at its values
        parts[::2] = [re.sub("[A-Za-z]", widen, part) for part in parts[::2]]
        return "".join(parts)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


def widen(letter: re.Match[str]) -> str:
    return chr(ord(letter[0]) + 0xFEE0)


def english_in(text: str) -> list[str]:
    """The English words that are left in a text when it is translated."""
    shown = translate(text, FullWidth())
    for pattern in ENGLISH_KEPT.values():
        shown = re.sub(pattern, "", shown)
    return re.findall("[A-Za-z]+", shown)


class Watched(FakeToolkit):
    """A toolkit and listener that note every text that they are given."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Sentence] = []

    def show_model(self, text: Sentence, picture: Frame | None) -> None:
        self.seen.append(text)

    def show_plan(self, text: Sentence) -> None:
        self.seen.append(text)

    def show_strength(self, text: Sentence) -> None:
        self.seen.append(text)

    def show_message(self, text: Sentence) -> None:
        self.seen.append(text)

    def show_thumbnail(self, slot: int, thumbnail: Thumbnail | None, image: Any) -> None:
        if thumbnail is not None:
            self.seen += (thumbnail.seed, thumbnail.amount, thumbnail.tip)

    def show_result_buttons(self, enabled: Any, page: Sentence) -> None:
        self.seen.append(page)


class Editor:
    """A session and a panel in the fake editor, with a fake daemon."""

    def __init__(self) -> None:
        self.editor, self.toolkit = FakeEditor(), Watched()
        self.seen = self.toolkit.seen
        self.daemon = FakeConnection()
        self.daemon.remedy = sentence("look at its log")
        self.error: UnderpaintError | None = None
        self.now = 0.0
        tracker = JobTracker("Fake", connect=self._connect, clock=lambda: self.now)
        self.session = Session(
            "Fake", self.editor.loop, self.toolkit, self.editor.find, tracker=tracker
        )
        self.panel = Panel(self.session, self.toolkit)
        self.panel.fill(Form())
        pixels = bytes((9, 9, 9, 0)) * 32 + bytes((9, 9, 9, 255)) * 32
        self.document = self.editor.open("πίνακας.kra", pixels, Extent(8, 8))
        self.document.canvas.layers[0].name = "στρώμα"

    def _connect(self) -> Any:
        if self.error is not None:
            raise self.error
        return self.daemon

    def remedy(self) -> Remedy | None:
        """What is offered now: mypy takes a property for something that does not change."""
        return self.session.remedy

    def look(self) -> None:
        """Note what a panel reads by itself, whenever it is told to."""
        session = self.session
        self.seen.extend(entry.text for entry in session.queue)
        self.seen.extend(text for one in session.model_choices for text in (one.label, one.tip))
        if (remedy := session.remedy) is not None:
            self.seen.append(remedy.label)
        self.panel.describe_run()

    def hear(self, *told: messages.Message, frames: tuple[Frame, ...] = ()) -> None:
        """Let messages arrive as they come over the wire."""
        for message in told:
            self.daemon.messages.append(wire.decode(wire.encode(message, frames)))
        self.session.handle_notices(self.session.tracker.receive())
        self.look()

    def welcome(self, default: str = MODEL, remark: str = "") -> None:
        self.session.connect()
        self.hear(messages.Welcome("1", 1, default, remark), model_messages.Models(MODELS))

    def generate(self, **values: Any) -> str:
        """Send a job; return its id."""
        form = Form().with_values(prompt=PROMPT, seed=7, seed_locked=True, **values)
        before = set(self.session.tracker.jobs)
        assert self.session.generate(form, lambda: self.document) is not None
        (job,) = self.session.tracker.jobs.keys() - before
        self.look()
        return job

    def arrive(self, job: str, index: int = 0, **facts: Any) -> None:
        recipe = make_recipe({"notes": (), **facts}, seed=7 + index, prompt=PROMPT, model=MODEL)
        self.hear(messages.Picture(job, index, "patch", recipe), frames=(PATCH,))

    def fail(self, job: str, error: UnderpaintError) -> None:
        self.hear(messages.Failed(job, error.code, error.sentence))

    def result(self, index: int = 0) -> FakeResult:
        group = next(one for one in self.document.canvas.layers if one.children)
        return FakeResult(self.document, group.children[index])


KNOWN = ModelEntry(
    MODEL, "sd", 512, title="ΣΔ", purpose="inpainting", precision="fp16", size=2 * 10**9,
    memory=3 * 10**9, licence="openrail",
)  # fmt: skip
MODELS = (
    KNOWN,
    dataclasses.replace(
        KNOWN, name=EDIT, purpose="edit", recommended=Recommended(4, 1.0, "k_euler")
    ),
    ModelEntry("χαλασμένο", "", 0, sentence("model {model}: a part of it is missing", model="χ")),
)

SCENES: dict[str, Callable[[Editor], None]] = {}


def scene(function: Callable[[Editor], None]) -> Callable[[Editor], None]:
    SCENES[function.__name__] = function
    return function


@scene
def no_daemon_runs(editor: Editor) -> None:
    try:
        connect()
    except DaemonUnavailableError as error:
        editor.error = error
    editor.editor.loop.run(1)
    assert editor.seen
    assert editor.session.generate(Form(), lambda: editor.document) is None
    editor.look()


@scene
def a_daemon_answers(editor: Editor) -> None:
    editor.editor.loop.run(1)
    for default in ("", "starter", MODEL):
        editor.welcome(default)
    editor.welcome(remark=sentence("the store of jobs is in {folder} now", folder="/τόπος"))
    assert {"Ready.", "No model is installed."} <= set(editor.seen)


@scene
def plans_are_made(editor: Editor) -> None:
    editor.welcome()
    document = editor.document
    editor.panel.survey_document(document.survey)
    for values in (
        {"strength": 0.0}, {"strength": 0.2}, {"strength": 0.5}, {"strength": 1.0},
        {"mode": "txt2img"}, {"mode": "img2img"}, {"mode": "inpaint"},
        {"steps": 60, "guidance_scale": 30.0, "model": EDIT}, {"guidance_scale": 1.0},
        {"negative_prompt": PROMPT}, {"model": EDIT}, {"model": "χαλασμένο"}, {"model": ""},
    ):  # fmt: skip
        for name, value in values.items():
            editor.toolkit.controls[name].value = value
        editor.panel.form_edited()
    document.canvas.selection = HERE, b"\xff" * 64
    editor.panel.survey_document(document.survey)
    document.canvas.selection = Box(0, 0, 0, 0), b""
    editor.panel.survey_document(document.survey)
    assert editor.session.generate(Form(), lambda: document) is None
    document.canvas.layers.clear()
    editor.panel.survey_document(document.survey)
    plans = {one.split(",")[0] for one in editor.seen}
    assert {"Paints a new picture", "Keeps the picture as it is: nothing may change"} <= plans


@scene
def a_job_runs(editor: Editor) -> None:
    editor.welcome()
    job = editor.generate(images=2)
    waiting = editor.generate()
    editor.hear(messages.Accepted(waiting, 1, sentence("it could not be written to the disk")))
    editor.session.cancel(editor.session.tracker.jobs[waiting])
    editor.hear(messages.Failed(waiting, "cancelled", "cancelled"))
    editor.hear(messages.Accepted(job, 2))
    for phase in ("Starting the worker", "Loading the model", "Encoding"):
        editor.hear(messages.Progress(job, phase))
    for step in range(1, 4):
        editor.now += 1
        editor.hear(messages.Progress(job, "Denoising", step, 20, 1, 2))
    editor.arrive(job)
    remarks = parse_prompt("((a [b:c:0.5] <lora:").remarks
    notes = [
        sentence("{prompt} has {excerpt!r}: {explanation}", prompt=sentence("the prompt"),
                 excerpt=PROMPT, explanation=one.explanation)
        for one in remarks
    ]  # fmt: skip
    assert len(notes) == 3
    editor.document.canvas.layers[0].visible = False
    editor.arrive(job, 1, notes=tuple(notes))
    editor.hear(messages.Done(job))
    assert any(one.startswith("Done: 2 images in") for one in editor.seen)


@scene
def jobs_end_with_errors(editor: Editor) -> None:
    editor.welcome()
    for error in (
        ModelUnavailableError("model {name!r} is unknown; {known}", name=MODEL,
                              known=sentence("models found: {names}", names=Listing(["湖", "山"]))),
        BadInputError("steps {steps} are too many", steps=9),
        GenerationFailedError("the worker was killed"),
        CancelledError("cancelled by the user of the daemon's machine"),
    ):  # fmt: skip
        job = editor.generate(images=3)
        if isinstance(error, CancelledError):
            editor.arrive(job)
        editor.fail(job, error)
    editor.session.handle_notices(
        editor.session.tracker.give_up(from_code("daemon", sentence("it is gone")))
    )


@scene
def a_preview_is_kept(editor: Editor) -> None:
    editor.welcome()
    job = editor.generate()
    preview = Frame("preview", HERE, "u1", "RGBA", PATCH.data)
    editor.hear(messages.Preview(job, 1, 3, 20, (0, 0, 8, 8)), frames=(preview,))
    editor.session.cancel()
    editor.fail(job, CancelledError("cancelled"))
    assert editor.remedy() is Remedy.KEEP_PREVIEW
    editor.session.apply_remedy()
    editor.panel.show_selected(editor.result())
    editor.panel.use_selected("settings", editor.result())


def make_request() -> Any:
    return make_recipe(prompt=PROMPT).request


def note_of(editor: Editor) -> str:
    return editor.document.address.to_text()


@scene
def results_cannot_be_inserted(editor: Editor) -> None:
    editor.welcome()
    document, canvases = editor.document, editor.editor.canvases
    job = editor.generate()
    canvases.remove(document.canvas)
    editor.arrive(job)
    editor.hear(messages.Done(job))
    assert editor.remedy() is Remedy.OPEN_AS_DOCUMENT
    editor.session.apply_remedy()
    canvases.append(document.canvas)
    job = editor.generate()
    document.canvas.redo.append([])
    editor.arrive(job)
    editor.hear(messages.Done(job))
    assert editor.remedy() is Remedy.INSERT
    editor.session.apply_remedy()
    job = editor.generate()
    editor.document = FakeDocument(editor.editor, document.canvas, document.layer_id)

    def refuse(*_: Any) -> object:
        raise OSError("γεμάτο")

    editor.session.tracker.jobs[job].destination.document.insert = refuse
    editor.arrive(job)
    editor.hear(messages.Done(job))
    editor.session.apply_remedy()
    editor.session.tracker.fetch = refuse  # type: ignore[assignment, method-assign]
    editor.hear(
        messages.Waiting((messages.WaitingJob("x", make_request(), note_of(editor), True),))
    )
    editor.session.apply_remedy()
    assert any(one.startswith("That failed") for one in editor.seen)
    assert any(one.startswith("The result could not be inserted") for one in editor.seen)


@scene
def results_wait(editor: Editor) -> None:
    editor.welcome()
    one = messages.WaitingJob("x", make_request(), note_of(editor), True)
    nowhere = dataclasses.replace(editor.document.address, document="").to_text()
    for waiting in ((one,), (one, one), (dataclasses.replace(one, note=nowhere),)):
        editor.hear(messages.Waiting(waiting))
        assert editor.remedy() is Remedy.FETCH
    assert sum("waiting from an earlier session" in text for text in editor.seen) == 3


@scene
def the_daemon_goes_away(editor: Editor) -> None:
    editor.welcome()
    editor.generate()
    editor.hear(messages.Leaving())
    editor.welcome()
    editor.now += 500
    editor.session.handle_notices(editor.session.tracker.check())
    editor.error = DaemonUnavailableError("the daemon is away")
    for _ in range(3):
        editor.now += 500
        editor.session.handle_notices(editor.session.tracker.check())
    editor.error = None
    editor.session.connect()
    editor.hear(messages.Failed("", "daemon", sentence("access was revoked")))
    editor.session.connect()
    older = wire.encode(messages.Failed("", "bad_input", "x"), protocol=1)
    editor.daemon.receive = lambda timeout=None: wire.decode(older)  # type: ignore[method-assign]
    editor.session.handle_notices(editor.session.tracker.receive())
    told = " ".join(editor.seen)
    for part in ("was stopped; jobs go on", "has not answered for", "has been away for",
                 "Access was revoked", "is of an older Underpaint"):  # fmt: skip
        assert part in told, part


@scene
def results_are_looked_at(editor: Editor) -> None:
    editor.welcome()
    job = editor.generate(images=8)
    for index in range(8):
        editor.arrive(job, index)
    editor.hear(messages.Done(job))
    editor.panel.show_selected(editor.result())
    editor.panel.show_selected(editor.result(7))
    editor.panel.use_selected("vary", editor.result())
    (varied,) = editor.session.tracker.jobs
    recipe = make_recipe({"notes": ()}, seed=7, chain=True)
    editor.hear(messages.Picture(varied, 0, "patch", recipe), frames=(PATCH,))
    editor.hear(messages.Done(varied))
    editor.panel.use_selected("settings", editor.result())
    editor.panel.use_selected("keep", editor.result())
    editor.panel.use_selected("keep", editor.result())
    assert {"1 to 6 of 8", "7 to 8 of 8"} <= set(editor.seen)
    assert any(one.startswith("Kept seed") for one in editor.seen)


@scene
def models_are_downloaded(editor: Editor) -> None:
    downloads = editor.session.downloads
    editor.error = DaemonUnavailableError("no daemon runs")
    downloads.open()
    editor.seen.append(downloads.heading)
    editor.error = None
    editor.welcome()
    downloads.open()
    editor.seen.append(downloads.heading)
    purpose = "filling holes, at 512 pixels; runs on old GPUs"
    editor.hear(
        model_messages.Suggestions(
            8 * 10**9,
            "ΓΠΥ",
            (
                model_messages.Suggestion("湖/山", purpose, 2 * 10**9, 10**9, "openrail"),
                model_messages.Suggestion("湖/海", purpose, 2 * 10**9, 10**10, "openrail", True),
            ),
        )
    )
    size = 2 * 10**9
    for message in (
        model_messages.Download("湖/山", "waiting"),
        model_messages.Download("湖/山", "running"),
        model_messages.Download("湖/山", "running", 10**9, size),
        model_messages.Download("湖/山", "running", size, size),
        model_messages.Download("湖/山", "stopped", 10**9, size),
        model_messages.Download("湖/山", "stopped"),
        model_messages.Download("湖/山", "failed", 0, size, sentence("no room is left")),
        model_messages.Download("湖/山", "done", size, size, MODEL),
    ):
        editor.hear(message)
        editor.seen += (downloads.heading, downloads.footer)
        for offer in downloads.offers:
            editor.seen += (offer.details, offer.status, offer.button)


@pytest.mark.parametrize("name", SCENES)
def test_nothing_that_is_shown_stays_english(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERPAINT_HOME", str(tmp_path))  # where no daemon runs
    editor = Editor()
    SCENES[name](editor)
    assert len({one for one in editor.seen if one}) > 2
    assert not {str(one): left for one in editor.seen if (left := english_in(one))}


def test_notes_of_completions_are_translated() -> None:
    loras = [
        PromptLora("μελάνι", families=("sdxl",), titles=("ΣΔ",)),
        PromptLora("λάδι", problem="one of two matrices"),
    ]
    notes = sort_loras(loras, "sd", "ΣΔ 1").notes
    assert set(notes.values()) == {"for ΣΔ", "cannot be used"}
    assert not [left for note in notes.values() if (left := english_in(note))]


def declared() -> Iterator[str]:
    for field in FIELDS:
        yield from (field.label, field.tip)
        if isinstance(field, Choice):
            yield from field.options.values()
            yield describe_own(next(iter(field.options.values())), "k_euler")
    for button in BUTTONS.values():
        yield from (button.label, button.tip)
    yield from SPOKEN.values()
    yield from (one.label for one in Remedy)
    yield model_downloads.TITLE


def test_labels_and_tips_are_translated() -> None:
    texts = list(declared())
    assert len(texts) > 60
    assert not {text: left for text in texts if (left := english_in(text))}


def test_english_that_is_left_is_found() -> None:
    assert english_in(Sentence("Ready.")) == []
    assert english_in(sentence("Kept {layer}.", layer="Painting")) == ["Painting"]
    assert english_in(sentence("{error}.", error="the disk is full")) == [
        "the", "disk", "is", "full",
    ]  # fmt: skip


def write_catalogue(folder: Path, language: str, message: str, translation: str) -> None:
    """Write a catalogue with one message, in the format of gettext's `.mo` files."""
    pairs = [(b"", b"Content-Type: text/plain; charset=UTF-8\n")]
    pairs.append((message.encode(), translation.encode()))
    texts, tables, place = b"", b"", 28 + 16 * len(pairs)
    for column in (0, 1):
        for pair in pairs:
            tables += struct.pack("<II", len(pair[column]), place + len(texts))
            texts += pair[column] + b"\0"
    header = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
    file = folder / language / "LC_MESSAGES" / "underpaint.mo"
    file.parent.mkdir(parents=True)
    file.write_bytes(header + tables + texts)


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("de", "Bereit."), ("de_DE", "Bereit."), ("de-AT", "Bereit."),
        ("fr", "Ready."), ("", "Ready."), ("C", "Ready."),
    ],
)  # fmt: skip
def test_the_catalogue_of_the_editors_language_is_found(
    tmp_path: Path, language: str, told: str
) -> None:
    write_catalogue(tmp_path, "de", "Ready.", "Bereit.")
    assert translate(sentence("Ready."), find_catalogue(language, tmp_path)) == told
    assert translate(sentence("Ready."), find_catalogue(language)) == "Ready."
