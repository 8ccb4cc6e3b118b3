"""The small picture beside a model."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from underpaint.models.pictures import SIDE, find_picture, read_picture


def picture(
    file: Path, width: int = 300, height: int = 200, mode: str = "RGB", **save: Any
) -> Path:
    rows, columns = np.mgrid[0:height, 0:width]
    shades = ((rows + columns) % 256).astype(np.uint8)
    image = Image.fromarray(np.dstack([shades, shades, 255 - shades])).convert(mode)
    image.save(file, **save)
    return file


@pytest.mark.parametrize("ending", ["png", "jpg", "jpeg", "webp"])
@pytest.mark.parametrize("kind", ["", ".preview"])
@pytest.mark.parametrize("folder", [True, False])
def test_it_lies_beside_the_file_or_the_folder(
    tmp_path: Path, ending: str, kind: str, folder: bool
) -> None:
    model = tmp_path / ("an sd v1.5" if folder else "an sd v1.5.safetensors")
    model.mkdir() if folder else model.write_bytes(b"")
    assert read_picture(model) is None
    file = picture(tmp_path / f"an sd v1.5{kind}.{ending}")
    assert find_picture(model) == file
    small = read_picture(model)
    assert small is not None
    assert (small.width, small.height) == (SIDE, SIDE * 2 // 3)
    assert len(small.pixels) == 4 * small.width * small.height
    assert len(set(small.pixels)) > 20
    assert set(small.pixels[3::4]) == {255}


def test_the_preview_comes_first_and_a_change_is_seen(tmp_path: Path) -> None:
    model = tmp_path / "a.safetensors"
    picture(tmp_path / "a.png", 300, 200)
    assert find_picture(model) == tmp_path / "a.png"
    file = picture(tmp_path / "a.preview.png", 200, 300)
    small = read_picture(model)
    assert small is not None
    assert small.height == SIDE
    picture(file, 10, 7)
    small = read_picture(model)
    assert small is not None
    assert (small.width, small.height) == (10, 7)  # it is never scaled up


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGBA", "LA", "CMYK"])
def test_any_kind_of_colours_is_shown(tmp_path: Path, mode: str) -> None:
    ending = "jpg" if mode == "CMYK" else "png"
    picture(tmp_path / f"a.{ending}", mode=mode)
    small = read_picture(tmp_path / "a.gguf")
    assert small is not None
    assert len(small.pixels) == 4 * small.width * small.height


def png_header(width: int, height: int) -> bytes:
    data = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + data
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    )  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no picture at all",
        png_header(100_000, 100_000),
        png_header(64, 64),
        b"GIF89a" + bytes(100),
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
    ],
    ids=["empty", "text", "huge", "cut short", "another format", "a program"],
)
def test_what_cannot_be_shown_is_no_picture(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    assert read_picture(tmp_path / "a.safetensors") is None


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    file = picture(tmp_path / "a.png")
    with file.open("r+b") as stream:
        stream.truncate(2**24 + 1)
    assert read_picture(tmp_path / "a.safetensors") is None


def test_a_folder_or_a_pipe_is_no_picture(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    assert read_picture(tmp_path / "a.safetensors") is None
