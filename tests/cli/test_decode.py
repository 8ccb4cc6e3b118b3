"""Pixels of files keep their depth, or are refused; what else is lost of them is said."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from picture_files import netpbm, tiff
from underpaint.cli.pictures import read_picture, read_selection
from underpaint_client.errors import BadInputError

rng = np.random.default_rng(5)
RGBA = rng.integers(0, 65536, (5, 7, 4)).astype(np.uint16)
RGBA[0, 0, 3] = 0
RGB, GREY = RGBA[..., :3], RGBA[..., :1]
FULL = np.full((5, 7, 1), 65535, np.uint16)


def opaque(colours: Any) -> Any:
    return np.dstack([colours if colours.shape[2] == 3 else np.repeat(colours, 3, 2), FULL])


def scaled(values: Any, largest: int) -> Any:
    return np.rint(values * (65535 / largest)).astype(np.uint16)


def jpeg2000(pixels: Any) -> bytes:
    order = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}[pixels.shape[2]]
    large = np.ascontiguousarray(pixels[..., order].repeat(8, 0).repeat(8, 1))
    written, content = cv2.imencode(".jp2", large, [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])
    assert written
    return content.tobytes()


DEEP = {
    "tiff rgb": (tiff(RGB), opaque(RGB)),
    "tiff rgb, big-endian": (tiff(RGB, order=">"), opaque(RGB)),
    "tiff rgba": (tiff(RGBA, extra=[2]), RGBA),
    "tiff rgba, unmarked": (tiff(RGBA), RGBA),
    "tiff rgb and more": (tiff(RGBA, extra=[0]), opaque(RGB)),
    "tiff grey": (tiff(GREY, photometric=1), opaque(GREY)),
    "tiff grey, white is 0": (tiff(GREY, photometric=0), opaque(65535 - GREY)),
    "tiff grey of 12 bits": (
        tiff(GREY >> 4, photometric=1, bits=12), opaque(scaled(GREY >> 4, 4095)),
    ),
    "ppm": (netpbm(RGB, 65535), opaque(RGB)),
    "ppm up to 1023": (netpbm(RGB >> 6, 1023), opaque(scaled(RGB >> 6, 1023))),
    "pgm": (netpbm(GREY, 65535), opaque(GREY)),
    "jpeg 2000 rgb": (jpeg2000(RGB), opaque(RGB)),
    "jpeg 2000 rgba": (jpeg2000(RGBA), RGBA),
    "jpeg 2000 grey": (jpeg2000(GREY), opaque(GREY)),
}  # fmt: skip


@pytest.mark.parametrize("kind", DEEP)
def test_sixteen_bits_stay_sixteen(tmp_path: Path, kind: str) -> None:
    content, expected = DEEP[kind]
    path = tmp_path / "in"
    path.write_bytes(content)
    found = read_picture(path).pixels
    if kind.startswith("jpeg 2000"):
        found = found[::8, ::8]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("order", "<>")
def test_multiplied_alpha_is_divided_out(tmp_path: Path, order: str) -> None:
    alpha = RGBA[..., 3:].astype(float) / 65535
    stored = np.dstack([np.rint(RGB * alpha).astype(np.uint16), RGBA[..., 3]])
    (tmp_path / "in.tif").write_bytes(tiff(stored, extra=[1], order=order))
    found = read_picture(tmp_path / "in.tif").pixels
    np.testing.assert_array_equal(found[..., 3], RGBA[..., 3])
    again = found[..., :3] * alpha
    assert np.abs(again - stored[..., :3]).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_deep_tiff_is_turned_once(tmp_path: Path, orientation: int) -> None:
    shallow = Image.fromarray((RGB >> 8).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    shallow.save(tmp_path / "same.png", exif=exif)
    with Image.open(tmp_path / "same.png") as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    (tmp_path / "in.tif").write_bytes(tiff(RGB, orientation=orientation))
    drawing = read_picture(tmp_path / "in.tif")
    np.testing.assert_array_equal(drawing.pixels[..., :3] >> 8, upright)
    assert drawing.orientation == 1


def sgi() -> bytes:
    header = bytes([1, 218, 0, 2]) + np.array([3, 7, 5, 3], ">u2").tobytes()
    return header.ljust(512, b"\0") + RGB.transpose(2, 0, 1)[:, ::-1].astype(">u2").tobytes()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (tiff(RGB, planes=True), "its 16 bits a channel are not read from a TIFF of this kind"),
        (tiff(RGBA, photometric=5), "its 16 bits a channel are not read .*CMYK.*16-bit PNG"),
        (netpbm(RGB, 65535, plain=True), "its 16 bits a channel are not read from a PPM"),
        (sgi(), "its 16 bits a channel are not read from a SGI"),
        (tiff(RGB >> 4, bits=12, order=">"), "an unsupported kind of TIFF"),
        (tiff(RGBA[..., :2], photometric=1, extra=[2]), "an unsupported kind of TIFF"),
        (tiff(RGB, photometric=8), "an unsupported kind of TIFF"),
        (tiff(RGB.astype(np.float32), sample=3), "an unsupported kind of TIFF"),
    ],
)
def test_depth_that_cannot_be_kept_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "in").write_bytes(content)
    with pytest.raises(BadInputError, match=told) as caught:
        read_picture(tmp_path / "in")
    assert str(tmp_path / "in") in str(caught.value)


def test_decoders_that_do_not_agree_are_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = cv2.imdecode

    def swapped(*words: Any) -> Any:
        found = decode(*words)
        assert found is not None
        return found[..., ::-1]

    monkeypatch.setattr(cv2, "imdecode", swapped)
    (tmp_path / "in.tif").write_bytes(tiff(RGB))
    with pytest.raises(BadInputError, match="not read"):
        read_picture(tmp_path / "in.tif")


def test_a_refusal_says_nothing_but_itself(tmp_path: Path) -> None:
    (tmp_path / "in.ppm").write_bytes(netpbm(RGB, 65535, plain=True))
    process = subprocess.run(
        [sys.executable, "-m", "underpaint", "generate", "x", "-I", "in.ppm"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert process.returncode == 2
    assert len(process.stderr.splitlines()) == 1


# ---- what is said --------------------------------------------------------------------------


def frames(form: str, count: int = 3, **options: Any) -> bytes:
    images = [Image.new("RGB", (8, 8), (80 * n, 9, 9)) for n in range(count)]
    stream = io.BytesIO()
    images[0].save(stream, form, save_all=True, append_images=images[1:], **options)
    return stream.getvalue()


def ico() -> bytes:
    stream = io.BytesIO()
    Image.new("RGBA", (32, 32)).save(stream, "ICO", sizes=[(16, 16), (32, 32)])
    return stream.getvalue()


def deep_avif() -> bytes:
    written, content = cv2.imencode(".avif", RGB.repeat(8, 0), [cv2.IMWRITE_AVIF_DEPTH, 10])
    assert written
    return content.tobytes()


def saved(form: str, mode: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (8, 8)).save(stream, form, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (frames("GIF"), "it has 3 frames, and only the first is read"),
        (frames("WEBP", lossless=True), "it has 3 frames, and only the first is read"),
        (frames("PNG"), "it has 3 frames, and only the first is read"),
        (frames("AVIF"), "it has 3 frames, and only the first is read"),
        (frames("TIFF"), "it has 3 pages, and only the first is read"),
        (frames("MPO", 2), "it has 2 pictures, and only the first is read"),
        (ico(), "it has 2 sizes, and only the largest is read"),
        (saved("JPEG", "CMYK"), "its CMYK colours are turned into RGB without a colour profile"),
        (tiff(RGBA, extra=[0]), "its channels beyond colour and alpha are left out"),
        (deep_avif(), "its 10 bits a channel are read as 8; save it as a 16-bit PNG to keep them"),
    ],
)
def test_pixels_that_are_dropped_are_said(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "in.x"
    path.write_bytes(content)
    assert f"in.x: {told}" in read_picture(path).notes
    assert f"in.x: {told}" in read_selection(path).notes


@pytest.mark.parametrize(
    ("form", "mode"),
    [("PNG", "RGBA"), ("PNG", "P"), ("GIF", "P"), ("JPEG", "RGB"), ("JPEG", "L"), ("TIFF", "RGB"),
     ("TIFF", "RGBA"), ("WEBP", "RGBA"), ("BMP", "RGB"), ("PPM", "RGB"), ("JPEG2000", "RGBA"),
     ("TGA", "RGBA"), ("ICO", "RGBA")],
)  # fmt: skip
def test_pictures_that_lose_nothing_say_nothing(tmp_path: Path, form: str, mode: str) -> None:
    path = tmp_path / "in"
    path.write_bytes(saved(form, mode, **({"sizes": [(8, 8)]} if form == "ICO" else {})))
    assert read_picture(path).notes == ()
    assert read_selection(path).notes == ()


def test_a_damaged_second_page_does_not_matter(tmp_path: Path) -> None:
    content = frames("GIF")
    (tmp_path / "in.gif").write_bytes(content[: len(content) // 2])
    assert read_picture(tmp_path / "in.gif").pixels.shape == (8, 8, 4)


# ---- the noise of lossy selections ---------------------------------------------------------


def mask(*, soft: bool) -> Image.Image:
    image = Image.new("L", (256, 256))
    ImageDraw.Draw(image).ellipse((60, 60, 200, 210), fill=255)
    return image.filter(ImageFilter.GaussianBlur(20)) if soft else image


@pytest.mark.parametrize("quality", [75, 90, 95])
@pytest.mark.parametrize("form", ["JPEG", "WEBP"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_noise_in_a_selection_is_no_selection(
    tmp_path: Path, form: str, quality: int, mode: str
) -> None:
    exact = np.asarray(mask(soft=False))
    mask(soft=False).convert(mode).save(tmp_path / "mask", form, quality=quality)
    with Image.open(tmp_path / "mask") as image:
        before = np.asarray(image.convert("L"))
    selection = read_selection(tmp_path / "mask")
    noisy = (before != exact).mean()
    assert noisy > 0.001
    assert (selection.amounts != exact).mean() < noisy / 10
    assert any("pixels are nearly black or white" in note for note in selection.notes)


def test_a_soft_edge_has_no_step(tmp_path: Path) -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None], 64, 0)
    Image.fromarray(ramp).save(tmp_path / "ramp.jpg", quality=90)
    amounts = read_selection(tmp_path / "ramp.jpg").amounts.astype(int)
    steps = np.diff(amounts, axis=1)
    assert steps.max() <= 6
    assert (amounts[:, 64:192] == read_picture(tmp_path / "ramp.jpg").pixels[:, 64:192, 0]).all()


@pytest.mark.parametrize(
    ("form", "options"),
    [("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("BMP", {})],
)
def test_exact_selections_are_taken_as_they_are(
    tmp_path: Path, form: str, options: dict[str, Any]
) -> None:
    mask(soft=True).convert("RGB").save(tmp_path / "mask", form, **options)
    selection = read_selection(tmp_path / "mask")
    np.testing.assert_array_equal(selection.amounts, np.asarray(mask(soft=True)))
    assert selection.notes == ()


def test_kept_pixels_are_kept_beside_a_jpeg_selection(daemon: Path, tmp_path: Path) -> None:
    pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "rgb.png")
    selected = Image.new("RGB", (64, 64))
    ImageDraw.Draw(selected).rectangle((20, 20, 39, 39), fill=(255, 255, 255))
    selected.save(tmp_path / "mask.jpg", quality=90)
    process = subprocess.run(
        [sys.executable, "-m", "underpaint", "generate", "x", "-I", "rgb.png", "--selection",
         "mask.jpg", "-s", "2", "-f", "1", "-o", "out.png"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "note: mask.jpg: " in process.stderr
    outside = np.asarray(selected)[..., 0] == 0
    with Image.open(tmp_path / "out.png") as image:
        np.testing.assert_array_equal(np.asarray(image)[outside], pixels[outside])
