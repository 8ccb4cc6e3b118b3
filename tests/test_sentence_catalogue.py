"""Each sentence that people read can be collected for translation: it is a literal."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentence_catalogue import PACKAGES, ROOT, Written, main, make_pot, read_package, read_source
from underpaint_client.sentences import find_names

SENTENCES = {name: read_package(folder) for name, folder in PACKAGES.items()}
ALL = [one for sentences in SENTENCES.values() for one in sentences]


def test_sentences_are_literals() -> None:
    assert not [f"{one.where}:{one.line}" for one in ALL if one.is_built]


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
        'Parameter("no {name}", flags=("-a",), choices=LABELS)',
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
