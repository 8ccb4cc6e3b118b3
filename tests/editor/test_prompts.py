from __future__ import annotations

import json
from pathlib import Path

import pytest

from underpaint_editor.prompts import MOST, PromptHistory


@pytest.fixture
def history(tmp_path: Path) -> PromptHistory:
    return PromptHistory(tmp_path / "prompts.json")


def test_back_and_forth(history: PromptHistory) -> None:
    for prompt in ("one", "two", "three", "two"):
        history.add(prompt)
    assert history.older("a draft") == "two"
    assert history.older("two") == "three"
    assert history.older("three") == "one"
    assert history.older("one") is None
    assert history.newer("one") == "three"
    assert history.newer("three") == "two"
    assert history.newer("two") == "a draft"
    assert history.newer("a draft") is None


def test_the_prompt_just_used_is_not_given_again(history: PromptHistory) -> None:
    history.add("one")
    history.add("two")
    assert history.older("two") == "one"


def test_a_changed_prompt_is_a_new_draft(history: PromptHistory) -> None:
    history.add("one")
    history.add("two")
    assert history.older("") == "two"
    assert history.older("two, changed") == "two"
    assert history.newer("two") == "two, changed"


def test_it_is_kept_and_bounded(history: PromptHistory, tmp_path: Path) -> None:
    for number in range(MOST + 10):
        history.add(str(number))
    history.add("  ")
    again = PromptHistory(tmp_path / "prompts.json")
    assert again.older("") == str(MOST + 9)
    assert (tmp_path / "prompts.json").stat().st_mode & 0o777 == 0o600
    assert len(json.loads((tmp_path / "prompts.json").read_text())) == MOST


@pytest.mark.parametrize("content", ["", "{", "{}", "[1, null]", "[" * 5000])
def test_a_damaged_file_is_an_empty_one(
    history: PromptHistory, tmp_path: Path, content: str
) -> None:
    (tmp_path / "prompts.json").write_text(content)
    assert history.older("") is None
    history.add("one")
    assert history.older("") == "one"


def test_where_nothing_can_be_written_nothing_happens(tmp_path: Path) -> None:
    history = PromptHistory(tmp_path / "missing" / "prompts.json")
    history.add("one")
    assert history.older("") is None
