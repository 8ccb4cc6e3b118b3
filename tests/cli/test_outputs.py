from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from underpaint.cli import main
from underpaint.cli.generate import make_parser, make_request
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
    with pytest.raises(BadInputError, match=r"a.jpg does not end in .png.*a.png"):
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


def test_standard_output_is_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["generate", "a lake", "-o", "-"]) == 2
    assert "-o - means standard output" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert choose_outputs("./-", 1, "x", force=False) == [Path("-/x-0001.png")]


def test_a_folder_in_the_working_directory_is_no_model_by_its_name(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("-", "sdxl", "real"):
        (tmp_path / name).mkdir()
    (tmp_path / "real" / "model_index.json").touch()

    def model(*words: str) -> str:
        return make_request(make_parser().read(["x", *words])).sampling.model

    assert model() == ""  # the daemon's default, though there is a folder "-"
    assert model("-m", "sdxl") == "sdxl"  # which the daemon may have
    assert model("-m", "real") == str(tmp_path / "real")
    assert model("-m", "./sdxl") == model("-m", "sdxl/.") == str(tmp_path / "sdxl")
    assert model("-m", ".") == str(tmp_path)


def test_links_to_nothing_are_there(tmp_path: Path) -> None:
    link = tmp_path / "a.png"
    link.symlink_to("gone.png")
    with pytest.raises(BadInputError, match=r"a.png, a link to gone.png, which is not there, exi"):
        choose_outputs(str(link), 1, "x", force=False)
    assert choose_outputs(str(link), 1, "x", force=True) == [link]
    (tmp_path / "a-2.png").symlink_to("gone.png")
    with pytest.raises(BadInputError, match=r"a-2.png, a link to"):
        choose_outputs(str(link), 2, "x", force=False)
    (tmp_path / "folder").symlink_to("nowhere")
    for wanted in ("folder", "folder/", "folder/a.png"):
        with pytest.raises(BadInputError, match="folder, a link to nowhere, which is not there, c"):
            choose_outputs(f"{tmp_path}/{wanted}", 1, "x", force=False)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(BadInputError, match="cannot be written"):
        choose_outputs(f"{tmp_path}/loop", 1, "x", force=False)
    (tmp_path / "x-0001.png").symlink_to("gone.png")
    assert choose_outputs(str(tmp_path), 1, "x", force=False) == [tmp_path / "x-0002.png"]


@pytest.mark.parametrize(
    ("prompt", "picture", "stem"),
    [
        ("Tree on a hill with a river, nature photograph", None, "tree-on-a-hill-with-a"),
        ("a lake", Path("sketches/hill.v2.png"), "hill.v2"),
        ("湖 と 山", None, "湖-と-山"),
        ("# no people\na lake", None, "a-lake"),
        ("../../etc", None, "etc"),
        ("", None, "underpaint"),
        ("x", Path("\x1b]0;a\x07\u202eb.png"), "_]0;a__b"),
        ("𠀀" * 90, None, "𠀀" * 58),
    ],
)
def test_stem(prompt: str, picture: Path | None, stem: str) -> None:
    assert make_stem(prompt, picture) == stem
