from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from example_recipe import make_recipe
from underpaint.cli.pictures import read_picture, read_recipe, read_selection, write_picture
from underpaint_client.errors import BadInputError

rng = np.random.default_rng(4)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def random_pixels(dtype: Any = np.uint8, channels: int = 4) -> Any:
    """Random pixels, a third of which hide their colour under alpha 0."""
    pixels = rng.integers(0, np.iinfo(dtype).max + 1, (6, 9, channels)).astype(dtype)
    if channels == 4:
        pixels[:2, :, 3] = 0
    return pixels


def write_png16(path: Path, pixels: Any) -> None:
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[pixels.shape[2]]
    assert cv2.imwrite(str(path), np.ascontiguousarray(pixels[..., order]))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_colour_under_alpha_zero_goes_in_and_out(tmp_path: Path, dtype: Any) -> None:
    pixels = random_pixels(dtype)
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    write_png16(source, pixels)
    drawing = read_picture(source)
    assert drawing.pixels.dtype == dtype
    np.testing.assert_array_equal(drawing.pixels, pixels)
    write_picture(target, drawing.pixels, make_recipe(), drawing)
    again = cv2.imread(str(target), cv2.IMREAD_UNCHANGED)
    assert again is not None
    np.testing.assert_array_equal(again[..., [2, 1, 0, 3]], pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_everything_about_the_file_stays(tmp_path: Path, orientation: int) -> None:
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(random_pixels())
    image.save(source, icc_profile=PROFILE, dpi=(300, 300), exif=exif)
    drawing = read_picture(source)
    np.testing.assert_array_equal(
        drawing.pixels, np.array(ImageOps.exif_transpose(Image.open(source)))
    )
    write_picture(target, drawing.pixels, make_recipe(), drawing)
    with Image.open(target) as found:
        np.testing.assert_array_equal(np.array(found), np.array(image))
        assert found.info["icc_profile"] == PROFILE
        assert found.info["dpi"] == pytest.approx((300, 300), abs=0.01)
        assert found.getexif()[0x0112] == orientation
    assert read_recipe(target) == make_recipe()


def test_a_photograph_keeps_its_description(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jpg", tmp_path / "out.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(random_pixels(channels=3)).save(
        source, icc_profile=PROFILE, dpi=(72, 72), exif=exif, quality=95
    )
    drawing = read_picture(source)
    assert not drawing.has_alpha
    assert drawing.pixels.shape == (9, 6, 4)
    write_picture(target, drawing.pixels, make_recipe(), drawing, alpha=False)
    with Image.open(target) as found:
        assert found.mode == "RGB"
        assert found.info["icc_profile"] == PROFILE
        assert found.getexif()[0x0112] == 6
        upright = np.array(ImageOps.exif_transpose(found))
    np.testing.assert_array_equal(upright, np.array(ImageOps.exif_transpose(Image.open(source))))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "in.png"
    if mode == "I;16":
        grey = rng.integers(0, 65536, (6, 9)).astype(np.uint16)
        Image.fromarray(grey).save(path)
        expected = np.dstack([grey, grey, grey, np.full_like(grey, 65535)])
    else:
        image = Image.fromarray(random_pixels()).convert(mode)
        image.save(path)
        expected = np.array(image.convert("RGBA"))
    drawing = read_picture(path)
    np.testing.assert_array_equal(drawing.pixels, expected)
    assert drawing.has_alpha == (expected[..., 3].min() < 255)


def test_sixteen_bit_grey_with_alpha(tmp_path: Path) -> None:
    grey = rng.integers(0, 65536, (6, 9, 2)).astype(">u2")
    path = tmp_path / "in.png"
    path.write_bytes(png(9, 6, 16, 4, b"".join(b"\0" + row.tobytes() for row in grey)))
    pixels = read_picture(path).pixels
    np.testing.assert_array_equal(pixels[..., 1], grey[..., 0])
    np.testing.assert_array_equal(pixels[..., 3], grey[..., 1])


def test_a_grey_profile_does_not_go_into_a_colour_file(tmp_path: Path) -> None:
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    Image.new("L", (4, 4)).save(source, icc_profile=PROFILE, dpi=(100, 100))
    drawing = read_picture(source)
    write_picture(target, drawing.pixels, make_recipe(), drawing, alpha=False)
    with Image.open(target) as found:
        assert "icc_profile" not in found.info
        assert found.info["dpi"] == pytest.approx((100, 100), abs=0.01)


def test_selection(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"
    grey = rng.integers(0, 256, (5, 6), dtype=np.uint8)
    Image.fromarray(grey).save(path)
    np.testing.assert_array_equal(read_selection(path).amounts, grey)
    alpha = Image.new("RGBA", (6, 5), (255, 255, 255, 128))
    alpha.save(path)
    assert (read_selection(path).amounts == 128).all()
    deep = rng.integers(0, 65536, (5, 6)).astype(np.uint16)
    Image.fromarray(deep).save(path)
    np.testing.assert_array_equal(read_selection(path).amounts, deep)


def cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


def gigapixel(content: bytes) -> bytes:
    data = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 6, 0, 0, 0)
    chunk = b"IHDR" + data
    return content[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + content[33:]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda _: b"", "it is empty"),
        (lambda _: b"GIF89a nonsense", "is not a picture"),
        (lambda _: b"{}", "is not a picture"),
        (cut, "cannot be read"),
        (gigapixel, "1600.0 megapixels"),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_no_picture_is_named(tmp_path: Path, change: Any, told: str, dtype: Any) -> None:
    path = tmp_path / "in.png"
    write_png16(path, rng.integers(0, 255, (60, 60, 4)).astype(dtype))
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(BadInputError, match=told) as caught:
        read_picture(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"missing.png cannot be read: No such file"):
        read_picture(tmp_path / "missing.png")


def test_recipes_of_others_are_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "in.png"
    for text, told in ((None, "has no recipe"), ("{", "cannot be read"), ("{}", "without mode")):
        info = PngImagePlugin.PngInfo()
        if text is not None:
            info.add_itxt("underpaint", text)
        Image.new("RGB", (2, 2)).save(path, pnginfo=info)
        with pytest.raises(BadInputError, match=told):
            read_recipe(path)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.write_text("in the way")
    with pytest.raises(BadInputError, match="cannot be written"):
        write_picture(folder / "out.png", random_pixels(), make_recipe())


def test_a_file_is_not_replaced_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    first, second = random_pixels(), random_pixels()
    write_picture(path, first, make_recipe())
    with pytest.raises(FileExistsError):
        write_picture(path, second, make_recipe())
    np.testing.assert_array_equal(read_picture(path).pixels, first)
    write_picture(path, second, make_recipe(), replace=True)
    np.testing.assert_array_equal(read_picture(path).pixels, second)
    assert [found.name for found in tmp_path.iterdir()] == ["out.png"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_once(tmp_path: Path, orientation: int) -> None:
    source, target = tmp_path / "in.tif", tmp_path / "out.png"
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(random_pixels())
    image.save(source, exif=exif)
    image.save(tmp_path / "same.png", exif=exif)
    upright = np.array(ImageOps.exif_transpose(Image.open(tmp_path / "same.png")))
    drawing = read_picture(source)
    np.testing.assert_array_equal(drawing.pixels, upright)
    write_picture(target, drawing.pixels, make_recipe(), drawing)
    with Image.open(target) as found:
        np.testing.assert_array_equal(np.array(ImageOps.exif_transpose(found)), upright)


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *chunks: Any) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in ((b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        content += struct.pack(">I", len(data)) + kind + data
        content += struct.pack(">I", zlib.crc32(kind + data))
    return content


@pytest.mark.parametrize(
    ("depth", "row", "clear", "greys"),
    [
        (2, bytes([0b00011011]), 1, [0, 85, 170, 255]),
        (4, bytes([0x05, 0xAF]), 5, [0, 85, 170, 255]),
        (8, bytes([0, 85, 170, 255]), 85, [0, 85, 170, 255]),
        (16, struct.pack(">4H", 0, 85, 170, 65535), 85, [0, 85, 170, 65535]),
    ],
)
def test_a_transparent_grey(
    tmp_path: Path, depth: int, row: bytes, clear: int, greys: list[int]
) -> None:
    path = tmp_path / "in.png"
    path.write_bytes(png(4, 1, depth, 0, b"\0" + row, (b"tRNS", struct.pack(">H", clear))))
    drawing = read_picture(path)
    full = 65535 if depth == 16 else 255
    assert drawing.has_alpha
    assert drawing.pixels[0, :, 0].tolist() == greys
    assert drawing.pixels[0, :, 3].tolist() == [full, 0, full, full]


def test_exif_behind_the_pixels_is_kept(tmp_path: Path) -> None:
    source, target = tmp_path / "in.png", tmp_path / "out.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(random_pixels()).save(source, exif=exif)
    content = source.read_bytes()
    place = content.index(b"eXIf") - 4
    (length,) = struct.unpack_from(">I", content, place)
    chunk = content[place : place + 12 + length]
    source.write_bytes(content.replace(chunk, b"")[:-12] + chunk + content[-12:])
    drawing = read_picture(source)
    assert drawing.box.width == 6
    write_picture(target, drawing.pixels, make_recipe(), drawing)
    with Image.open(target) as found:
        assert found.getexif()[0x0112] == 6
        assert found.size == (9, 6)


def test_deep_greys_of_other_files(tmp_path: Path) -> None:
    path = tmp_path / "in.tif"
    grey = np.array([[0, 5000, 65535]], np.uint16)
    Image.fromarray(grey).save(path)
    np.testing.assert_array_equal(read_selection(path).amounts, grey)
    Image.fromarray(grey.astype(np.float32)).save(path)
    with pytest.raises(BadInputError, match="floating point"):
        read_picture(path)
