"""Which Krita and GIMP the tests of editors run in."""

from __future__ import annotations

from pathlib import Path

import pytest

import real_editors
from real_editors import find_gimp, find_krita, read_version


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders as install/editors.sh makes them, with nothing in them; one could not be made."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(real_editors, "skip_without", lambda *_: None)
    made = tmp_path / "underpaint"
    for name, version in (("krita-5.2", "5.2.9"), ("krita-5.3", "5.3.4.1"), ("gimp-3.2", "3.2.6")):
        (made / name).mkdir(parents=True)
        (made / name / "version").write_text(f"{version}\n", encoding="utf-8")
    (made / "krita-6.0.failed").write_text("E: Unable to locate package krita\n", encoding="utf-8")
    return made


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The folders that would be entered."""
    found: list[Path] = []

    def enter(root: Path) -> tuple[tuple[str, ...], Path]:
        found.append(root)
        return ("enter",), root

    monkeypatch.setattr(real_editors, "_enter", enter)
    return found


@pytest.mark.parametrize(
    ("wanted", "folder"),
    [("5.2", "krita-5.2"), ("5.2.9", "krita-5.2"), ("5.3", "krita-5.3"), ("5.2.8", "krita-5.2.8")],
)
def test_a_version_is_found_by_what_its_folder_holds(
    folders: Path, entered: list[Path], monkeypatch: pytest.MonkeyPatch, wanted: str, folder: str
) -> None:
    monkeypatch.setenv("UNDERPAINT_KRITA", wanted)
    assert find_krita() == (("enter",), folders / folder)
    assert entered == [folders / folder]


def test_each_editor_has_a_variable_of_its_own(
    folders: Path, entered: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERPAINT_KRITA", "5.3")
    monkeypatch.setenv("UNDERPAINT_GIMP", "3.2")
    assert find_krita()[1] == folders / "krita-5.3"
    assert find_gimp()[1] == folders / "gimp-3.2"
    assert read_version(folders / "krita-5.3") == (5, 3, 4, 1)
    assert read_version(folders) == ()


def test_without_it_the_tests_are_skipped_and_say_why(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERPAINT_KRITA", "6.0")
    with pytest.raises(pytest.skip.Exception, match="Unable to locate package krita"):
        find_krita()
    monkeypatch.setenv("UNDERPAINT_KRITA", "5.2")  # begun, and not complete
    with pytest.raises(pytest.skip.Exception, match="install/test --editors"):
        find_krita()
