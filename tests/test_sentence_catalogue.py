"""Each sentence that people read can be collected for translation: it is a literal."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentence_catalogue import (
    PACKAGES,
    ROOT,
    Written,
    find_put_together,
    main,
    make_pot,
    read_package,
    read_source,
)
from underpaint_client.sentences import find_names

SENTENCES = {name: read_package(folder) for name, folder in PACKAGES.items()}
ALL = [one for sentences in SENTENCES.values() for one in sentences]


def test_sentences_are_literals() -> None:
    assert not [f"{one.where}:{one.line}" for one in ALL if one.is_built]


NOT_SENTENCES = {
    "daemon/underpaint/engine/families/lumina2.py": "what the model is told before a prompt",
    "daemon/underpaint/models/hashes.py": "how a file's state is kept",
    "daemon/underpaint/models/known_sizes.py": "the names of models",
    "daemon/underpaint/models/probes.py": "what a model is for, by its number of channels",
    "daemon/underpaint/server/connections.py": "the daemon's log",
    "daemon/underpaint/server/keys.py": "commands to be copied",
    "daemon/underpaint/server/logs.py": "the daemon's log",
    "daemon/underpaint/server/records.py": "SQL",
    "daemon/underpaint/server/store.py": "SQL",
    "editor_plugin/underpaint_client/connection.py": "a client's name in the daemon's log",
    "editor_plugin/underpaint_client/descriptions.py": "the names of layers, as files have them",
    "editor_plugin/underpaint_client/old_recipes.py": "the name of a field in a file",
    "editor_plugin/underpaint_client/prompt_choices.py": "a seed",
    "editor_plugin/underpaint_client/seeds.py": "a seed",
    "editor_plugin/underpaint_client/webui_text.py": "a format of files",
    "editor_plugin/underpaint_client/wire.py": "the name of a field in a message",
    "editor_plugin/underpaint_editor/layers.py": "the names of layers, as files have them",
    "editor_plugin/underpaint_editor/results.py": "the names of layers, as files have them",
    "editor_plugin/underpaint_editor/tracker.py": "a client's name in the daemon's log",
}
"""Modules that put words together which are no sentences for people, and what these are."""

COMMAND_LINE = "daemon/underpaint/cli/"
"""What the command line prints is in English; its errors are sentences."""


def test_no_text_is_put_together_by_another_way() -> None:
    found = {
        file.relative_to(ROOT).as_posix()
        for folder in PACKAGES.values()
        for file in folder.rglob("*.py")
        if find_put_together(file.read_text(encoding="utf-8"))
    }
    assert {one for one in found if not one.startswith(COMMAND_LINE)} == set(NOT_SENTENCES)


def test_words_that_are_put_together_are_found() -> None:
    assert find_put_together('x = f"no {name} here"') == ["no {} here"]
    assert find_put_together('show(f"{a} ahead")') == ["{} ahead"]
    assert not find_put_together('raise ValueError(f"no {name} here")')
    assert not find_put_together('x = f"{name}.png"')


def test_templates_have_the_values_that_they_ask_for() -> None:
    wrong = []
    for one in ALL:
        if one.values is None or not one.template:
            continue
        names = find_names(one.template) | (find_names(one.plural) if one.plural else set())
        if names != one.values - ({"count"} - names if one.plural else set()):
            wrong.append(f"{one.where}:{one.line}: {sorted(names ^ one.values)}")
    assert not wrong


def read(source: str) -> list[Written]:
    return list(read_source(ROOT / "a.py", source))


@pytest.mark.parametrize(
    "source",
    [
        'raise BadInputError(f"no {name}")',
        'raise errors.BadInputError("no " + name)',
        'raise BadInputError("no %s" % name)',
        'raise BadInputError("no {}".format(name))',
        'sentence(f"no {name}")',
        "sentence(template, name=name)",
        'notes.append(f"no {name}")',
        'notes = (f"no {name}",) if name else ()',
        'notes += ["no " + name]',
        'self.notes = [f"no {name}" for name in names]',
        'Found(notes=(f"no {name}",))',
        'super().__init__(f"no {name}", 7)',
        'Progress(f"no {name}")',
        'messages.Progress(job, f"no {name}")',
        'Parameter(f"no {name}", label="")',
        'Parameter("", label="no " + name)',
        'Button(name, name.title(), "")',
        'Parameter("", choices=UNLABELLED)',
        'LABELS: dict[str, Label] = {"a": f"no {name}"}',
    ],
)
def test_a_sentence_that_is_built_is_found(source: str) -> None:
    assert [one.is_built for one in read(source) if one.is_built or one.template] == [True]


@pytest.mark.parametrize(
    "source",
    [
        'raise BadInputError("no {name}", name=name)',
        'sentence("no {name}", name=f"{name:04o}")',
        'notes.append("no {name}")',
        'notes = ("no {name}",)',
        'Progress("no {name}")',
        'Sentence("no {name}")',
        'Parameter("no {name}", flags=("-a",), choices=MODES)',
        'Parameter("", choices={"a": "no {name}", **more})',
        'Button(name, "no {name}", "")',
        'LABELS: dict[str, Label] = {"a": "no {name}"}',
    ],
)
def test_a_literal_is_collected(source: str) -> None:
    (one,) = [one for one in read(source) if one.is_built or one.template]
    assert (one.template, one.is_built) == ("no {name}", False)


def test_the_catalogues_have_templates_plurals_and_places() -> None:
    (one,) = read('sentence("{count} pixel \\"a\\"", "{count} pixels", count=1)')
    assert make_pot([one, one]).partition("\n\n")[2] == (
        "#: a.py:1\n#: a.py:1\n#, python-brace-format\n"
        'msgid "{count} pixel \\"a\\""\nmsgid_plural "{count} pixels"\n'
        'msgstr[0] ""\nmsgstr[1] ""\n'
    )
    assert all(SENTENCES.values())


def test_the_catalogues_can_be_written(tmp_path: Path) -> None:
    main(tmp_path)
    client = (tmp_path / "underpaint_client.pot").read_text(encoding="utf-8")
    assert 'msgid "sampler {name!r} is unknown; choose one of auto, {known}"' in client
