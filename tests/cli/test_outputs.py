from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from underpaint.cli.outputs import FreeNames, choose_outputs, make_stem
from underpaint_client.errors import BadInputError


def test_names(tmp_path: Path) -> None:
    def chosen(wanted: Path, images: int = 1, *, force: bool = False) -> list[str]:
        paths = choose_outputs(str(wanted), images, "lake", force=force)
        return [str(path.relative_to(tmp_path)) for path in paths]

    assert chosen(tmp_path / "a.png") == ["a.png"]
    assert chosen(tmp_path / "a.PNG") == ["a.PNG"]
    assert chosen(tmp_path / "a.png", 3) == ["a-1.png", "a-2.png", "a-3.png"]
    assert chosen(tmp_path / "new" / "folder", 2) == [
        "new/folder/lake-0001.png",
        "new/folder/lake-0002.png",
    ]
    (tmp_path / "lake-0007.png").touch()
    (tmp_path / "lake-x.png").touch()
    assert chosen(tmp_path, 2) == ["lake-0008.png", "lake-0009.png"]
    (tmp_path / "a-2.png").touch()
    with pytest.raises(BadInputError, match=r"a-2.png exists.*--force"):
        chosen(tmp_path / "a.png", 3)
    assert chosen(tmp_path / "a.png", 3, force=True)[1] == "a-2.png"
    assert choose_outputs(f"{tmp_path}/new.v2/", 1, "x", force=False)[0].parent.name == "new.v2"
    with pytest.raises(BadInputError, match="too long"):
        chosen(tmp_path / ("y" * 252 + ".png"))
    dotted = tmp_path / "v1.2"
    dotted.mkdir()
    assert chosen(dotted) == ["v1.2/lake-0001.png"]


@pytest.mark.parametrize("images", [1, 2, 64])
def test_a_folder_is_listed_once_for_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, images: int
) -> None:
    listed: list[Any] = []

    def counted(list_names: Any) -> Any:
        def list_and_count(folder: Any = ".") -> Any:
            listed.append(folder)
            return list_names(folder)

        return list_and_count

    monkeypatch.setattr(os, "listdir", counted(os.listdir))
    monkeypatch.setattr(os, "scandir", counted(os.scandir))
    (tmp_path / "lake-0041.png").touch()
    paths = choose_outputs(str(tmp_path), images, "lake", force=False)
    assert [path.name for path in paths] == [f"lake-{42 + n:04d}.png" for n in range(images)]
    assert listed == [tmp_path]


@pytest.mark.parametrize(
    ("there", "stem", "next_name"),
    [
        ([], "a", "a-0001.png"),
        (["a-0002.png", "a-0001.png", "a-1.png", "a-0009.jpg", "xa-0005.png"], "a", "a-0003.png"),
        (["a-0001-0007.png"], "a", "a-0001.png"),
        (["a-0001-0007.png"], "a-0001", "a-0001-0008.png"),
        (["a-12345.png"], "a", "a-12346.png"),
        (["a[1]-0001.png", "a.-0004.png"], "a[1]", "a[1]-0002.png"),
        (["a\nb-0001.png"], "a\nb", "a\nb-0002.png"),
    ],
)
def test_free_names(tmp_path: Path, there: list[str], stem: str, next_name: str) -> None:
    for name in there:
        (tmp_path / name).touch()
    names = FreeNames(tmp_path)
    first, second = names.take(stem), names.take(stem)
    assert first.name == next_name
    assert second.name != first.name
    assert not second.exists()


def test_only_png(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"a.jpg is no PNG.*a.png"):
        choose_outputs(str(tmp_path / "a.jpg"), 1, "x", force=False)


def test_folders_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for wanted in (
        tmp_path / "file" / "a.png",
        tmp_path / "file" / "folder",
        Path("/proc/x/a.png"),
    ):
        with pytest.raises(BadInputError, match="cannot be written"):
            choose_outputs(str(wanted), 1, "x", force=False)


@pytest.mark.parametrize(
    ("prompt", "picture", "stem"),
    [
        ("Tree on a hill with a river, nature photograph", None, "tree-on-a-hill-with-a"),
        ("a lake", Path("sketches/hill.v2.png"), "hill.v2"),
        ("湖 と 山", None, "湖-と-山"),
        ("../../etc", None, "etc"),
        ("", None, "underpaint"),
        ("𠀀" * 90, None, "𠀀" * 58),
    ],
)
def test_stem(prompt: str, picture: Path | None, stem: str) -> None:
    assert make_stem(prompt, picture) == stem
