"""Files that strangers made cost little, hide nothing, and are refused in a sentence."""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from underpaint.cli import main
from underpaint.models import (
    default_model,
    describe_model,
    find_model,
    hash_model,
    list_entries,
    read_header,
    read_text,
    scanning,
)
from underpaint.models.entries import ListedModel, describe_all
from underpaint.models.probes import read_contents
from underpaint.models.reading import parse_json
from underpaint.models.roots import choose_root, find_problems, list_roots
from underpaint.models.tensors import MAX_TENSORS
from underpaint_client.errors import ModelUnavailableError
from weight_files import SD1, SDXL, write_safetensors


@pytest.fixture
def own(home: Path) -> Path:
    """The folder for one's own models, with one that can be listed."""
    folder = home / "models"
    folder.mkdir()
    write_safetensors(folder / "good.safetensors", SD1)
    return folder


def listed() -> dict[str, ListedModel]:
    return {one.name: one for one in describe_all() if one.name != "starter"}


# ---- headers ---------------------------------------------------------------------------------


def safetensors(text: bytes, data: bytes = b"0000") -> bytes:
    return struct.pack("<Q", len(text)) + text + data


def tensors(**changes: object) -> bytes:
    """Return a file of two tensors, the first of which is changed."""
    first = {"dtype": "U8", "shape": [4], "data_offsets": [0, 4], **changes}
    second = {"dtype": "U8", "shape": [4], "data_offsets": [4, 8]}
    return safetensors(json.dumps({"a": first, "b": second}).encode(), b"0" * 8)


SAFETENSORS = {
    "lists": (safetensors(b'{"a":[%s0]}' % (b"[]," * 2**20)), "values, and at most 1048576"),
    "objects": (safetensors(b'{"a":[%s0]}' % (b"{}," * 2**20)), "values, and at most 1048576"),
    "numbers": (safetensors(b'{"a":[%s0]}' % (b"1.5," * 2**20)), "values, and at most 1048576"),
    "tensors": (
        safetensors(b"{%s}" % b",".join(b'"%d":1' % number for number in range(MAX_TENSORS + 1))),
        f"{MAX_TENSORS + 1} tensors, and at most {MAX_TENSORS}",
    ),
    "nested deeply": (safetensors(b'{"a":' * 10**5), "nested too deeply"),
    "many dimensions": (tensors(shape=[2**62] * 10**5), "`$.shape`"),
    "a large dimension": (tensors(shape=[10**4000]), "`$.shape[0]`"),
    "a large offset": (tensors(data_offsets=[0, 10**4000]), "`$.data_offsets[1]`"),
    "a type of many letters": (tensors(dtype="A" * 10**6), "`$.dtype`"),
    "a type that commands": (tensors(dtype="\x1b[31m"), "`$.dtype`"),
    "one over another": (tensors(data_offsets=[2, 6]), "'a' begins at 2, and the tensor before"),
    "a gap": (
        safetensors(b'{"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}', b"0" * 8),
        "'a' begins at 4, and the tensor before it ends at 0",
    ),
    "half a character": (safetensors(b'{"\\ud800 alone":1}'), "utf-16 surrogate pair"),
    "another encoding": (safetensors('{"a": 1}'.encode("utf-16")), "'utf-8' codec"),
}


@pytest.mark.parametrize("what", SAFETENSORS)
def test_a_hostile_header_is_refused_before_it_costs(what: str, tmp_path: Path) -> None:
    data, told = SAFETENSORS[what]
    file = tmp_path / "a.safetensors"
    file.write_bytes(data)
    with pytest.raises(ModelUnavailableError, match="damaged or cut short") as raised:
        read_contents(file)
    assert told in str(raised.value)
    assert len(str(raised.value)) < 1000


def long(number: int) -> bytes:
    return struct.pack("<Q", number)


def text(said: bytes) -> bytes:
    return long(len(said)) + said


def gguf(values: int = 0, value: bytes = b"", tensors: int = 0, tensor: bytes = b"") -> bytes:
    beginning = b"GGUF" + struct.pack("<I", 3) + long(tensors) + long(values)
    return beginning + value + tensor + bytes(64)


def value(name: bytes, kind: int, said: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + said


TENSOR = text(b"a") + struct.pack("<IQIQ", 1, 4, 0, 0)
"""Four numbers of 32 bits."""

GGUF = {
    "empty texts": (
        gguf(1, value(b"a", 9, struct.pack("<IQ", 8, 2**21)) + bytes(8 * 2**21)),
        "2097153 keys and texts, and at most 1048576",
    ),
    "keys": (gguf(2**21, value(b"", 0, b"a") * 2**21), "keys and texts, and at most"),
    "a list of 2^64 - 1 texts": (
        gguf(1, value(b"a", 9, struct.pack("<IQ", 8, 2**64 - 1))),
        "keys and texts, and at most",
    ),
    "a long text": (gguf(1, long(2**24) + b"abc"), "ends too early"),
    "a text of 2^60 bytes": (gguf(1, long(2**60) + b"abc"), "over 33554432 bytes"),
    "tensors": (gguf(tensors=MAX_TENSORS + 1), f"at most {MAX_TENSORS} are read"),
}


@pytest.mark.parametrize("what", GGUF)
def test_a_hostile_gguf_header_is_refused_before_it_costs(what: str, tmp_path: Path) -> None:
    data, told = GGUF[what]
    file = tmp_path / "a.gguf"
    file.write_bytes(data)
    with pytest.raises(ModelUnavailableError, match="damaged or cut short") as raised:
        read_contents(file)
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("said", "shape"),
    [
        (b"2 2", (2, 2)),
        (b"2 3", (4,)),
        (b"9" * 5000, (4,)),
        (b"1 " * 10**6 + b"4", (4,)),
        (b"1111111 " * 7 + b"x", (4,)),
        (b"-2 -2", (4,)),
        (b"", (4,)),
    ],
)
def test_a_shape_in_the_metadata_is_believed_only_where_it_fits(
    said: bytes, shape: tuple[int, ...], tmp_path: Path
) -> None:
    file = tmp_path / "a.gguf"
    file.write_bytes(gguf(1, value(b"comfy.gguf.orig_shape.a", 8, text(said)), 1, TENSOR))
    assert read_header(file).tensors["a"].shape == shape


UNET = "model.diffusion_model."


@pytest.mark.parametrize(
    ("tensor", "metadata"),
    [
        (f"{UNET}a.bitsandbytes__\x1b[31m{'y' * 1000}", None),
        (f"{UNET}x", {"_quantization_metadata": '{"layers": {"a": {"format": "\\u001b[31m"}}}'}),
        (f"{UNET}x", {"_quantization_metadata": '{"layers": {"a": {"format": ["x"]}}}'}),
    ],
)
def test_a_precision_is_a_name(
    tensor: str, metadata: dict[str, str] | None, tmp_path: Path
) -> None:
    file = write_safetensors(tmp_path / "a.safetensors", {**SD1, tensor: ("F16", ())}, metadata)
    assert read_contents(file).precision in ("fp16", "bnb_")


# ---- small files -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("[" + "1," * 100 + "1]", "it holds 101 values, and at most 100"),
        ('{"a":' * 10**5, "at most 100"),
        ('"\\ud800"', "half a character"),
        ('["\\udc00\\ud800"]', "half a character"),
        ('{"\\uDBFFx": 1}', "half a character"),
    ],
)
def test_json_of_strangers_is_bounded(said: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_json(said, 100)


def test_json_of_strangers_may_hold_all_that_is_text() -> None:
    for found in ("\U0001f600", "\\ud800", "\x1b", "ä\\", "\ufeff"):
        assert parse_json(json.dumps([found])) == [found]
        assert parse_json(json.dumps([found], ensure_ascii=False)) == [found]


@pytest.mark.skipif(sys.platform != "linux", reason="such files are Linux's")
def test_a_file_without_a_size_is_not_read(own: Path) -> None:
    """Some files of /proc are regular ones, and reading them waits for ever, as `kmsg` does."""
    endless = Path("/proc/self/environ")
    assert read_text(endless.parent, endless.name) == ""
    (own / "link.safetensors").symlink_to(endless)
    (own / "good.underpaint.json").symlink_to(endless)
    found = listed()
    assert "it has 0 bytes" in found["link"].problem
    assert "Expecting value" in found["good"].problem


@pytest.mark.skipif(os.name != "posix", reason="there are pipes on POSIX")
def test_a_hub_s_cache_may_hold_anything(
    own: Path, user: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(user / "hub"))
    repository = user / "hub" / "models--some--thing"
    shutil.copytree(models / "sd", repository / "snapshots" / ("a" * 40))
    (repository / "refs").mkdir()
    os.mkfifo(repository / "refs" / "main")
    (user / "hub" / "models--a--b").mkdir()
    (user / "hub" / "models--a--b" / "snapshots").symlink_to("snapshots")
    choose_root("huggingface", use=True)
    assert set(listed()) == {"good", "some/thing"}


@pytest.mark.parametrize("depth", [40, 600])
def test_a_deep_folder_is_named_and_hides_nothing(own: Path, depth: int) -> None:
    here = Path.cwd()
    os.chdir(own)
    try:
        for _ in range(depth):
            Path("d").mkdir()
            os.chdir("d")
    except OSError:
        pass  # as deep as it goes
    finally:
        os.chdir(here)
    found = listed()
    assert not found.pop("good").problem
    ((name, deep),) = found.items()
    assert name.startswith("d/d/")
    assert "it is over 32 folders deep" in deep.problem


PARTS = ("vae", "config")
LONG = "/".join(["a" * 100] * 9)
SIDECARS: dict[str, tuple[object, str]] = {
    "a note that commands": ({"note": "\x1b[31m"}, "without control characters"),
    "a note of two lines": ({"note": "a\nb"}, "give a text of one line"),
    "a licence from right to left": ({"licence": "\u202eCC"}, "without control characters"),
    "half a character": ({"family": "\ud800"}, "half a character"),
    "values": ({"note": [[]] * 2**20}, "values, and at most 1048576"),
    **{f"a long {part}": ({part: "a" * 300}, "a" * 300) for part in PARTS},
    **{f"a very long {part}": ({part: "a/" * 2000}, "give the path") for part in PARTS},
    **{f"a device as {part}": ({part: "/dev/zero"}, "/dev/zero") for part in PARTS},
    "a number that commands": ({"steps": "\x1b[31m\n\u202e4"}, "\\x1b[31m\\x0a\\u202e4"),
}


@pytest.mark.parametrize("what", SIDECARS)
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_hostile_side_car_is_refused_in_one_line(
    own: Path, models: Path, what: str, kind: str
) -> None:
    said, told = SIDECARS[what]
    if kind == "file":
        model = write_safetensors(own / "x.safetensors", SDXL)
    else:
        model = own / "x"
        shutil.copytree(models / "sd", model)
        if isinstance(said, dict) and "config" in said and "give the path" not in told:
            pytest.skip("a folder has its own configs")
    (own / "x.underpaint.json").write_text(json.dumps(said))
    with pytest.raises(ModelUnavailableError) as raised:
        describe_model(model)
    assert told in str(raised.value)
    assert str(raised.value).isprintable()
    found = listed()
    assert told in found["x"].problem or kind == "file"  # whose encoders are not looked for first
    assert not found["good"].problem


def test_a_side_car_of_an_editor_of_windows_is_read(own: Path) -> None:
    (own / "good.underpaint.json").write_bytes(b'\xef\xbb\xbf{\r\n"steps": 4\r\n}')
    assert listed()["good"].steps == 4


def test_a_side_car_may_name_configs_from_one_s_home(own: Path, user: Path) -> None:
    (own / "good.underpaint.json").write_text('{"config": "~/configs"}')
    with pytest.raises(ModelUnavailableError, match=f"{user}/configs/model_index.json"):
        describe_model(own / "good.safetensors")


def test_errors_say_what_strangers_wrote_in_one_line(own: Path, models: Path) -> None:
    shutil.copytree(models / "sd", own / "x")
    index = json.loads((own / "x" / "model_index.json").read_text())
    (own / "x" / "model_index.json").write_text(
        json.dumps({**index, "_class_name": "\x1b\n\u202e"})
    )
    with pytest.raises(ModelUnavailableError, match=r"is a \\x1b\\x0a\\u202e, which"):
        describe_model(own / "x")


ODD_VALUES = (None, "\x1b[31m\n", [[10**400]])


@pytest.mark.parametrize(
    "file",
    [
        "model_index.json",
        "unet/config.json",
        "vae/config.json",
        "text_encoder/config.json",
        "scheduler/scheduler_config.json",
        "tokenizer/tokenizer_config.json",
    ],
)
def test_whatever_a_config_holds_is_refused_in_one_line(
    tmp_path: Path, models: Path, file: str
) -> None:
    model = shutil.copytree(models / "sd", tmp_path / "x")
    config = json.loads((model / file).read_text())
    for key in (*config, "quantization_config", "model_max_length", "bos_token", "trained_betas"):
        for odd in ODD_VALUES:
            (model / file).write_text(json.dumps({**config, key: odd}))
            try:
                describe_model(model)
            except ModelUnavailableError as error:
                told = str(error)
                assert told.isprintable(), (key, odd)
                assert len(told) < 4100, (key, odd)


def test_a_long_error_is_shortened_in_the_middle() -> None:
    told = str(ModelUnavailableError("a" * 10**6 + "; fetch it again"))
    assert len(told) < 5000
    assert told.endswith("; fetch it again")


# ---- what is remembered ------------------------------------------------------------------------

Change = Callable[[dict[str, object]], object]
KEPT: dict[str, Change] = {
    "a family is a number": lambda contents: contents.update(family=7),
    "a family is a list": lambda contents: contents.update(family=[]),
    "a size is a text": lambda contents: contents.update(native="1024"),
    "parts are a text": lambda contents: contents.update(parts="unet"),
    "an unknown field": lambda contents: contents.update(more=1),
    "a field is gone": lambda contents: contents.pop("kind"),
}


@pytest.mark.parametrize("what", KEPT)
def test_a_memory_of_other_types_costs_only_time(own: Path, what: str) -> None:
    before, default = describe_all(), default_model()
    memory = own.parent / "model-scan.json"
    found = json.loads(memory.read_text())
    for one in found["files"].values():
        KEPT[what](one[1])
    memory.write_text(json.dumps(found))
    scanning._kept.clear()
    assert default_model() in (default, "starter")  # which is looked into meanwhile
    list_entries()
    assert describe_all() == before


@pytest.mark.parametrize("file", ["model-scan.json", "model-hashes.json", "model-folders.json"])
@pytest.mark.parametrize(
    "kept", ["[[1, 2]]", "7", "[" * 10**5, '{"files": [[1, 2]]}', '{"files": 7}', "\xff"]
)
def test_a_damaged_memory_stops_nothing(own: Path, models: Path, file: str, kept: str) -> None:
    shutil.copytree(models / "sd", own / "x")
    wanted = hash_model(describe_model(own / "x"))
    (own.parent / file).write_bytes(kept.encode("latin-1"))
    scanning._kept.clear()
    assert set(listed()) == {"good", "x"}
    assert hash_model(describe_model(own / "x")) == wanted
    (own.parent / file).unlink()
    os.mkfifo(own.parent / file)
    scanning._kept.clear()
    assert find_model("x") == own / "x"
    assert hash_model(describe_model(own / "x")) == wanted


# ---- other tools' settings, and ours ----------------------------------------------------------

YAML: dict[str, tuple[str, str]] = {
    "cut short": ("a: [", "expected"),
    "no sections": ("- 1", "it has no sections"),
    "a program": ("!!python/object:os.system x", "could not determine a constructor"),
    "a control character": ("\x00", "special characters are not allowed"),
    "large": ("#" * 2**17, "131072 bytes, and at most 65536"),
    "nested deeply": ("[" * 2**15, "recursion"),
    "not UTF-8": ("\udcff", "can't decode"),
}


@pytest.mark.parametrize("what", YAML)
def test_settings_of_another_tool_that_cannot_be_read_are_said(
    own: Path, user: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (user / "ComfyUI").mkdir()
    paths = user / "ComfyUI" / "extra_model_paths.yaml"
    paths.write_bytes(YAML[what][0].encode(errors="surrogateescape"))
    (problem,) = find_problems()
    assert problem.startswith(f"{paths} cannot be read (")
    assert YAML[what][1] in problem
    assert "\n" not in problem
    assert main(["models", "--where"]) == 0
    assert f"note: {paths} cannot be read (" in capsys.readouterr().err
    assert set(listed()) == {"good"}
    paths.write_text("")
    assert find_problems() == []


@pytest.mark.skipif(os.name != "posix", reason="there are pipes on POSIX")
def test_settings_of_another_tool_may_be_a_pipe(own: Path, user: Path) -> None:
    (user / "ComfyUI").mkdir()
    os.mkfifo(user / "ComfyUI" / "extra_model_paths.yaml")
    assert "it is not a regular file" in find_problems()[0]


@pytest.mark.parametrize(
    "text",
    [
        "a: {base_path: 7, checkpoints: x}",
        "a: {base_path: [], checkpoints: [x]}",
        'a: {base_path: "a\\0b", checkpoints: "c\\0d"}',
        'a: {checkpoints: "\\ud800"}',
        "a: {b: &x [*x]}",
        "a: &a {a: *a, checkpoints: x}",
        "7: {checkpoints: " + "x" * 5000 + "}",
    ],
)
def test_odd_settings_of_another_tool_hide_nothing(own: Path, user: Path, text: str) -> None:
    (user / "ComfyUI").mkdir()
    (user / "ComfyUI" / "extra_model_paths.yaml").write_text(text)
    assert {root.name for root in list_roots()} >= {"underpaint"}
    assert set(listed()) == {"good"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[models\n", "config.toml: Expected"),
        ("models = 7\n", "folders under [models] is not a list"),
        ("[models]\nfolders = 'x'\n", "folders under [models] is not a list"),
        ("[models]\nfolders = [7, 'disk', 'a\\u0000b', \"/a\\u0000b\", '/gone']\n", "is relative"),
        ("a = " + "[" * 10**4, "nested too deeply"),
    ],
)
def test_folders_that_are_configured_wrongly_are_said(
    own: Path, user: Path, text: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (own.parent / "config.toml").write_text(text)
    assert any(told in problem for problem in find_problems())
    assert main(["models", "--where"]) == 0
    assert told in capsys.readouterr().err
    assert set(listed()) == {"good"}


@pytest.mark.skipif(os.name != "posix", reason="there are pipes on POSIX")
@pytest.mark.parametrize("command", [["models", "--where"], ["status"]])
def test_a_pipe_as_configuration_is_not_waited_for(
    own: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(own.parent / "config.toml", 0o600)
    os.mkfifo(own.parent / "connection.json", 0o600)
    main(command)
    told = capsys.readouterr()
    assert "it is not a regular file" in told.out + told.err or command == ["status"]
