"""What a file holds beside its pixels is carried along, or said; it never hides the pixels."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

from example_recipe import make_recipe
from picture_files import packed_profile, packed_text, png_chunk, with_chunks
from underpaint.cli import main
from underpaint.cli.metadata import LARGEST_IN_ALL
from underpaint.cli.pictures import Drawing, read_picture, read_recipe, write_picture
from underpaint_client.png_chunks import LARGEST_CHUNK

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
LARGE_PROFILE = PROFILE + os.urandom(1024) * 2048
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><dc:rights>© Zoë</dc:rights></x:xmpmeta>'
XMP_ON_ITS_SIDE = '<rdf:Description tiff:Orientation="6"/>'
PIXELS = np.random.default_rng(6).integers(0, 256, (6, 9, 4), dtype=np.uint8)


def exif(orientation: int = 1) -> Any:
    found = Image.Exif()
    found[0x0112] = orientation
    found[0x013B] = "Zoe"
    found[0x8298] = "(c) Zoe"
    found.get_ifd(0x8769)[0x9003] = "2026:11:26 22:37:00"
    found.get_ifd(0x8825)[1] = "N"
    return found


def png(**options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PIXELS).save(stream, "PNG", **options)
    return stream.getvalue()


def photo(form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(PIXELS[..., :3]).save(stream, form, **options)
    return stream.getvalue()


def read(folder: Path, content: bytes) -> Drawing:
    path = folder / "in.x"
    path.write_bytes(content)
    return read_picture(path)


def result(folder: Path, drawing: Drawing) -> Any:
    """What Pillow, as other programs use it, reads of a result."""
    path = folder / "out.png"
    write_picture(path, drawing.pixels, make_recipe(), drawing, alpha=True, replace=True)
    assert read_recipe(path) == make_recipe()
    again = read_picture(path)
    np.testing.assert_array_equal(again.pixels, drawing.pixels)
    assert again.notes == ()
    with Image.open(path) as image:
        image.load()
        np.testing.assert_array_equal(np.asarray(ImageOps.exif_transpose(image)), drawing.pixels)
        return image


# ---- carried along -------------------------------------------------------------------------


def test_texts_are_carried_along(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", "Ané")
    info.add_itxt("Copyright", "© 湖")
    info.add_text("workflow", '{"nodes": []}', zip=True)
    info.add_itxt("XML:com.adobe.xmp", XMP)
    drawing = read(tmp_path, png(pnginfo=info))
    assert drawing.notes == ()
    texts = result(tmp_path, drawing).text
    wanted = {
        "Author": "Ané", "Copyright": "© 湖", "workflow": '{"nodes": []}',
        "XML:com.adobe.xmp": XMP,
    }  # fmt: skip
    assert {key: texts[key] for key in wanted} == wanted
    assert set(texts) == {*wanted, "underpaint", "parameters"}


def test_a_result_of_a_result_has_the_new_recipe_alone(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("underpaint", "{}")
    info.add_itxt("parameters", "old")
    drawing = read(tmp_path, png(pnginfo=info))
    assert drawing.notes == ()
    assert "old" not in result(tmp_path, drawing).text["parameters"]


def test_another_programs_parameters_are_said_to_go(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a lake\nSteps: 20")
    (told,) = read(tmp_path, png(pnginfo=info)).notes
    assert told == "in.x: the result does not carry the text 'parameters': it has its own"


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("PNG", {}), ("JPEG", {"xmp": XMP.encode()}), ("WEBP", {"xmp": XMP.encode()}), ("TIFF", {}),
        ("AVIF", {"xmp": XMP.encode()}), ("MPO", {}),
    ],
)  # fmt: skip
def test_exif_xmp_profile_and_resolution_are_carried_along(
    tmp_path: Path, form: str, options: dict[str, Any], orientation: int
) -> None:
    written = {} if form in ("WEBP", "AVIF") else {"dpi": (300, 300)}
    given = Image.Exif()
    given.load(exif(orientation).tobytes())
    content = photo(form, exif=given, icc_profile=PROFILE, **written, **options)
    drawing = read(tmp_path, content)
    assert drawing.notes == ()
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        np.testing.assert_array_equal(
            drawing.pixels[..., :3], np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        )
    found = result(tmp_path, drawing)
    tags = found.getexif()
    assert (tags[0x013B], tags[0x8298]) == ("Zoe", "(c) Zoe")
    assert tags.get_ifd(0x8769)[0x9003] == "2026:11:26 22:37:00"
    assert tags.get_ifd(0x8825)[1] == "N"
    assert not {0x0100, 0x0111, 0x0117} & set(tags)  # how the pixels of a TIFF were stored
    assert found.info["icc_profile"] == PROFILE
    if written:
        assert found.info["dpi"] == pytest.approx((300, 300), abs=0.01)
    if options:
        assert found.text["XML:com.adobe.xmp"] == XMP


@pytest.mark.parametrize("form", ["JPEG", "GIF"])
def test_comments_are_carried_along(tmp_path: Path, form: str) -> None:
    drawing = read(tmp_path, photo(form, comment="a lake, © Zoë".encode()))
    assert drawing.notes == ()
    assert result(tmp_path, drawing).text["Comment"] == "a lake, © Zoë"


def test_the_profile_of_a_jpeg_2000_file_is_carried_along(tmp_path: Path) -> None:
    content = photo("JPEG2000")
    place = content.index(b"colr") - 4
    (old,) = struct.unpack_from(">I", content, place)
    box = struct.pack(">I", 11 + len(PROFILE)) + b"colr\2\0\0" + PROFILE
    content = content[:place] + box + content[place + old :]
    header = content.index(b"jp2h") - 4
    (length,) = struct.unpack_from(">I", content, header)
    grown = struct.pack(">I", length + len(box) - old)
    drawing = read(tmp_path, content[:header] + grown + content[header + 4 :])
    assert result(tmp_path, drawing).info["icc_profile"] == PROFILE


def raw_profile(orientation: int) -> bytes:
    """EXIF data in a text, as ImageMagick wrote them before there was a chunk for them."""
    data = exif(orientation).tobytes()
    lines = f"\nexif\n{len(data):8}\n{data.hex()}\n"
    return png_chunk(b"tEXt", b"Raw profile type exif\0" + lines.encode())


@pytest.mark.parametrize(
    "chunk",
    [
        png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP_ON_ITS_SIDE.encode()),
        raw_profile(6),
        png_chunk(b"eXIf", exif(6).tobytes()[6:]),
    ],
)
@pytest.mark.parametrize("behind", [False, True])
def test_orientation_is_seen_wherever_it_is_written(
    tmp_path: Path, chunk: bytes, behind: bool
) -> None:
    drawing = read(tmp_path, with_chunks(png(), chunk, behind=behind))
    assert (drawing.box.width, drawing.orientation) == (6, 6)
    assert result(tmp_path, drawing).size == (9, 6)


# ---- too large, damaged, of another kind ---------------------------------------------------

LEFT_OUT = {
    "a large profile": (
        packed_profile(LARGE_PROFILE), "the colour profile: it is over 1 MiB; assign it again",
    ),
    "a large text": (packed_text(b"Comment", 2**21), "the text 'Comment': it is over 1 MiB"),
    "a large text as it is": (
        png_chunk(b"tEXt", b"Comment\0" + bytes(2**21)), "the text 'Comment': it is over 1 MiB",
    ),
    "large EXIF data": (png_chunk(b"eXIf", bytes(2**21)), "the EXIF data: it is over 1 MiB"),
    "large XMP data": (
        png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + bytes(2**21)),
        "the XMP data: it is over 1 MiB",
    ),
    "a bomb": (packed_text(b"Comment", 2**26), "the text 'Comment': it is over 1 MiB"),
    "a damaged text": (
        png_chunk(b"tEXt", b"Comment\0x", damaged=True), "the text 'Comment': it is damaged",
    ),
    "a packed text that cannot be unpacked": (
        png_chunk(b"zTXt", b"Comment\0\0nonsense"), "the text 'Comment': it is damaged",
    ),
    "a text without an end": (png_chunk(b"tEXt", b"Comment"), "the text 'Comment': it is damaged"),
    "a damaged profile": (
        png_chunk(b"iCCP", b"p\0\0nonsense"), "the colour profile: it is damaged; assign it again",
    ),
    "a text packed in a way that is unknown": (
        png_chunk(b"zTXt", b"Comment\0\1x"), "the text 'Comment': it is damaged",
    ),
    "a text that is taken for EXIF data": (
        png_chunk(b"tEXt", b"exif\0x"), "the text 'exif': it is damaged",
    ),
    "a short gamma": (png_chunk(b"gAMA", b"\0"), "the chunk 'gAMA': it is damaged"),
    "a short resolution": (png_chunk(b"pHYs", b"\0"), "the chunk 'pHYs': it is damaged"),
    "EXIF data that are none": (png_chunk(b"eXIf", b"nonsense"), "the EXIF data: it is damaged"),
    "damaged EXIF data": (png_chunk(b"eXIf", b"x", damaged=True), "the EXIF data: it is damaged"),
    "content credentials": (
        png_chunk(b"caBX", b"jumb"), "the chunk 'caBX': it is of the old pixels alone",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", LEFT_OUT)
@pytest.mark.parametrize("behind", [False, True])
def test_nothing_beside_the_pixels_hides_them(tmp_path: Path, what: str, behind: bool) -> None:
    chunk, told = LEFT_OUT[what]
    drawing = read(tmp_path, with_chunks(png(), chunk, behind=behind))
    np.testing.assert_array_equal(drawing.pixels, PIXELS)
    assert drawing.notes == (f"in.x: the result does not carry {told}",)
    result(tmp_path, drawing)


def test_sixteen_bits_with_a_large_text(tmp_path: Path) -> None:
    grey = PIXELS[..., 0].astype(np.uint16) * 257
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, "PNG")
    drawing = read(tmp_path, with_chunks(stream.getvalue(), packed_text(b"Comment", 2**21)))
    np.testing.assert_array_equal(drawing.pixels[..., 0], grey)


def test_all_of_it_together_has_a_limit(tmp_path: Path) -> None:
    each = LARGEST_CHUNK // 2
    count = LARGEST_IN_ALL // each
    texts = [packed_text(f"text {n}".encode(), each) for n in range(count + 1)]
    drawing = read(tmp_path, with_chunks(png(), *texts))
    assert len(drawing.chunks) == count
    (told,) = drawing.notes
    assert told.endswith(f"the text 'text {count}': all together is over 8 MiB")
    result(tmp_path, drawing)


def test_much_that_is_damaged_is_not_told_one_by_one(tmp_path: Path) -> None:
    texts = [png_chunk(b"tEXt", f"{n}\0x".encode(), damaged=True) for n in range(100)]
    notes = read(tmp_path, with_chunks(png(), *texts)).notes
    assert len(notes) == 8
    assert notes[-1] == "in.x: the result does not carry 93 more"


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_a_profile_of_greys_is_said_to_go(tmp_path: Path, mode: str) -> None:
    stream = io.BytesIO()
    Image.new(mode, (4, 4)).save(stream, "PNG", icc_profile=PROFILE)
    (told,) = read(tmp_path, stream.getvalue()).notes
    assert told.endswith(
        "the colour profile: it is not for RGB, which the result is; assign it again"
    )


def test_a_large_profile_of_a_photograph(tmp_path: Path) -> None:
    drawing = read(tmp_path, photo("JPEG", icc_profile=LARGE_PROFILE))
    assert any("the colour profile: it is over 1 MiB" in note for note in drawing.notes)
    result(tmp_path, drawing)


def segment(marker: int, data: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", 2 + len(data)) + data


@pytest.mark.parametrize(
    ("added", "told"),
    [
        (segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\0"), "the IPTC data"),
        (segment(0xE1, b"http://ns.adobe.com/xmp/extension/\0" + bytes(40)), "the extended XMP"),
        (segment(0xEB, b"JP\0\0"), "the segment APP11"),
    ],
)
def test_what_a_jpeg_holds_more_is_said(tmp_path: Path, added: bytes, told: str) -> None:
    content = photo("JPEG")
    (said,) = read(tmp_path, content[:2] + added + content[2:]).notes
    assert f"the result does not carry {told}" in said


@pytest.mark.parametrize(
    "added",
    [
        segment(0xE1, b"Exif\0\0nonsense"),
        segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"),
        segment(0xE2, b"ICC_PROFILE\0\1\2nonsense"),
        segment(0xE2, b"MPF\0nonsense"),
        segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0\xff\xfe"),
    ],
)
def test_damaged_segments_of_a_jpeg_do_not_hide_its_pixels(tmp_path: Path, added: bytes) -> None:
    content = photo("JPEG")
    drawing = read(tmp_path, content[:2] + added + content[2:])
    with Image.open(io.BytesIO(content)) as image:
        np.testing.assert_array_equal(drawing.pixels[..., :3], np.asarray(image))
    result(tmp_path, drawing)


# ---- said to whom it matters ---------------------------------------------------------------


def test_generate_says_what_reading_has_dropped(
    daemon: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    content = with_chunks(png(), packed_profile(LARGE_PROFILE), packed_text(b"Comment", 2**21))
    Path("in.png").write_bytes(content)
    few = ["a lake", "-m", "sd", "-s", "1", "-W", "64", "-H", "64", "-f", "1"]
    assert main(["generate", *few, "-I", "in.png", "-o", "out.png"]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: in.")]
    assert notes == [
        "note: in.png: the result does not carry the colour profile: it is over 1 MiB; assign it"
        " again",
        "note: in.png: the result does not carry the text 'Comment': it is over 1 MiB",
    ]
    assert main(["generate", *few, "-I", "out.png", "-o", "again.png"]) == 0
    assert "note: out.png" not in capsys.readouterr().err
    assert main(["replay", "out.png", "-I", "in.png"]) == 0
    assert notes[0] in capsys.readouterr().err
