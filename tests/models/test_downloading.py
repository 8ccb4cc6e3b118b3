"""Models come whole from the Hub, or not at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from hub import Handler, Hub, describe, folder_files
from underpaint.cli import main
from underpaint.models import describe_model, list_models
from underpaint.models.downloading import download, look_up, split_id
from underpaint_client.errors import BadInputError, ModelUnavailableError
from weight_files import LORA, SD1, write_safetensors


@pytest.fixture
def sd(hub: Hub, models: Path) -> Hub:
    """The same with a model, and beside it what nobody needs."""
    hub.files = folder_files(models / "sd")
    unet = hub.files["unet/diffusion_pytorch_model.safetensors"]
    hub.files |= {
        "README.md": b"# A model",
        "model.ckpt": b"pickle" * 1000,
        "v1.safetensors": unet,
        "safety_checker/model.safetensors": unet,
        "unet/diffusion_pytorch_model.bin": b"pickle" * 1000,
        "unet/diffusion_flax_model.msgpack": b"flax",
        "unet/diffusion_pytorch_model.non_ema.safetensors": unet,
        "../outside/config.json": b"{}",
        "unet/../../evil.json": b"{}",
    }
    return hub


def test_a_folder_is_downloaded_and_opens(sd: Hub, home: Path, models: Path) -> None:
    model = look_up("some/model")
    assert model.licence == "openrail++"
    assert model.is_folder
    told: list[str] = []
    path = download(model, tell=lambda file, _number: told.append(file.path))
    assert path == home / "models" / "model"
    assert folder_files(path) == folder_files(models / "sd")
    assert describe_model(path).family == "sd"
    assert sorted(told) == sorted(folder_files(path))
    assert list_models()["model"] == path
    assert not (home / "models" / ".downloads" / "some--model").exists()
    with pytest.raises(BadInputError, match=r"already; remove it, or .* --name"):
        download(model)
    assert download(model, "other").name == "other"


VARIANTS = {
    "": "diffusion_pytorch_model.fp16.safetensors",
    "fp32": "diffusion_pytorch_model.safetensors",
    "bf16": "diffusion_pytorch_model.bf16-00001-of-00002.safetensors",
}


@pytest.mark.parametrize("precision", VARIANTS)
def test_one_variant_of_each_part_is_taken(sd: Hub, precision: str) -> None:
    unet = sd.files["unet/diffusion_pytorch_model.safetensors"]
    index = "unet/diffusion_pytorch_model.safetensors.index.bf16.json"
    for name in VARIANTS.values():
        sd.files[f"unet/{name}"] = unet
    sd.files[index] = b"{}"
    paths = [file.path for file in look_up("some/model", precision=precision).files]
    weights = [path for path in paths if path.startswith("unet/") and path.endswith("safetensors")]
    assert weights == [f"unet/{VARIANTS[precision]}"]
    assert (index in paths) == (precision == "bf16")
    assert "vae/diffusion_pytorch_model.safetensors" in paths  # there in one variant alone
    assert not [path for path in paths if "safety" in path or ".." in path or "v1" in path]


def test_a_part_in_a_pickle_is_refused(sd: Hub) -> None:
    for name in list(sd.files):
        if name.startswith("unet/") and name.endswith(".safetensors"):
            del sd.files[name]
    with pytest.raises(ModelUnavailableError, match="keeps its unet in .*pickle"):
        look_up("some/model")


def weights(tmp_path: Path, layout: object = SD1) -> bytes:
    return write_safetensors(tmp_path / "made.safetensors", layout).read_bytes()  # type: ignore[arg-type]


def test_a_file_is_downloaded(hub: Hub, home: Path, tmp_path: Path) -> None:
    hub.files = {"a/one.safetensors": weights(tmp_path), "two.gguf": b"x" * 2000, "old.ckpt": b""}
    with pytest.raises(
        ModelUnavailableError, match=r"several .*one.safetensors .0.0 GB., two.gguf"
    ):
        look_up("some/model")
    with pytest.raises(ModelUnavailableError, match="has no model file old.ckpt; there are"):
        look_up("some/model", "old.ckpt")
    path = download(look_up("some/model", "a/one.safetensors"))
    assert path == home / "models" / "one.safetensors"
    assert path.read_bytes() == hub.files["a/one.safetensors"]
    assert download(look_up("some/model", "a/one.safetensors"), "x").name == "x.safetensors"
    hub.files = {"README.md": b"", "old.ckpt": b"x"}
    with pytest.raises(ModelUnavailableError, match="has no model that can be used"):
        look_up("some/model")


def test_a_broken_download_goes_on(hub: Hub, home: Path) -> None:
    hub.files = {"one.safetensors": os.urandom(400_000)}
    hub.cut_after = 300_000
    path = download(look_up("some/model"))
    assert path.read_bytes() == hub.files["one.safetensors"]
    assert hub.cut_after == 0


def test_what_arrives_otherwise_than_listed_is_no_model(hub: Hub, home: Path) -> None:
    hub.files = {"one.safetensors": os.urandom(4000)}
    hub.damaged = {"one.safetensors"}
    model = look_up("some/model")
    with pytest.raises(ModelUnavailableError, match="did not arrive as the Hub lists it"):
        download(model)
    assert list((home / "models").glob("*")) == [home / "models" / ".downloads"]
    hub.damaged.clear()
    assert download(model).read_bytes() == hub.files["one.safetensors"]


def test_a_small_file_is_verified_too(sd: Hub, home: Path) -> None:
    model = look_up("some/model")
    sd.damaged = {"unet/config.json"}
    with pytest.raises(ModelUnavailableError, match="unet/config.json .* did not arrive"):
        download(model)


def test_a_full_disk_is_said_before(hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.files = {"one.safetensors": b"x" * 4000}
    usage = SimpleNamespace(free=1_000_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ModelUnavailableError, match=r"needs 0.0 GB more .* 1.0 GB are free"):
        download(look_up("some/model"))
    assert hub.paths() == []


def test_a_gated_model_names_its_page(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.files = {"one.safetensors": b"x" * 4000}
    hub.gated = True
    model = look_up("some/model")
    with pytest.raises(ModelUnavailableError) as error:
        download(model)
    assert f"accept its terms on {hub.endpoint}/some/model, then log in" in str(error.value)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert download(model).exists()


def test_the_token_is_never_said(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong_and_private")
    hub.files = {"one.safetensors": b"x" * 4000}
    hub.gated = True
    assert main(["models", "get", "some/model", "--yes"]) == 3
    assert main(["models", "get", "no/such", "--yes"]) == 3
    told = capfd.readouterr()
    assert any("hf_wrong" in sent for _, _, sent in hub.asked)
    assert "hf_wrong" not in told.out + told.err


def test_an_unknown_model_is_said(hub: Hub) -> None:
    with pytest.raises(ModelUnavailableError, match="has no model no/such, or it is private"):
        look_up("no/such")


def test_offline_is_said_at_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelUnavailableError, match="127.0.0.1:9 cannot be reached"):
        look_up("some/model")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailableError, match="HF_HUB_OFFLINE is set"):
        look_up("some/model")


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    "header", [{"Retry-After": "1000000"}, {"RateLimit": '"api";r=0;t=99999999999'}]
)
def test_a_hub_cannot_ask_to_wait_for_days(
    hub: Hub, tmp_path: Path, status: int, header: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files = {"one.safetensors": weights(tmp_path)}
    model = look_up("some/model")
    monkeypatch.setattr(Handler, "give", lambda self, _name: self.send(status, b"", header))
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail(f"it waits {seconds} seconds"))
    with pytest.raises(ModelUnavailableError, match=f"answers {status} .* asks to wait for "):
        download(model)


NAMES = {
    "commands": "\x1b[31m.safetensors",
    "two lines": "a\nb.safetensors",
    "from right to left": "\u202ea.safetensors",
    "half a character": "\ud800.safetensors",
    "long": f"{'a' * 1000}.safetensors",
    "above": "../a.safetensors",
    "from the root": "/a.safetensors",
    "nothing between": "a//b.safetensors",
    "a drive": "c:a.safetensors",
    "a backslash": "a\\b.safetensors",
}


@pytest.mark.parametrize("what", NAMES)
def test_a_name_on_the_hub_that_cannot_be_written_or_shown_is_passed_over(
    hub: Hub, what: str
) -> None:
    hub.files = {NAMES[what]: b"x"}
    with pytest.raises(ModelUnavailableError, match="has no model that can be used"):
        look_up("some/model")


ANSWERS: dict[str, dict[str, object] | bytes] = {
    "no siblings": {"siblings": 7},
    "a sibling is no object": {"siblings": [7]},
    "a name is no text": {"siblings": [{"rfilename": 7}]},
    "no name": {"siblings": [{"size": 7}]},
    "a size is no number": {"siblings": [{"rfilename": "a.safetensors", "size": "x"}]},
    "a size is below 0": {"siblings": [{"rfilename": "a.safetensors", "size": -1}]},
    "a hash is no text": {"siblings": [{"rfilename": "a.safetensors", "lfs": {"sha256": 7}}]},
    "a version is no text": {"sha": [7]},
    "a version is a path": {"sha": "../../x"},
    "tags are no list": {"tags": 7},
    "a tag is no text": {"tags": [7]},
    "no object": b"[]",
    "no JSON": b"<html>",
    "nested deeply": b"[" * 10**6,
}


@pytest.mark.parametrize("what", ANSWERS)
def test_an_answer_that_is_none_of_a_hub_is_said(
    hub: Hub, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = ANSWERS[what]
    whole = answer if isinstance(answer, bytes) else {**describe(hub), **answer}
    monkeypatch.setattr("hub.describe", lambda _: whole)
    with pytest.raises(ModelUnavailableError, match="some/model cannot be looked up"):
        look_up("some/model")


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "\u202ea", " ", "a ", "\udcff"])
def test_a_name_that_cannot_be_shown_is_refused(
    home: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_safetensors(tmp_path / "a.safetensors", SD1)
    assert main(["models", "add", str(file), "--name", name]) == 2
    assert "cannot be the name of a model" in capsys.readouterr().err


@pytest.mark.parametrize("status", [403, 500])
def test_a_refusal_of_a_file_is_told_from_a_network_that_is_down(
    hub: Hub, tmp_path: Path, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files = {"one.safetensors": weights(tmp_path)}
    model = look_up("some/model")
    monkeypatch.setattr(Handler, "give", lambda self, _name: self.send(status, b"", {}))
    with pytest.raises(ModelUnavailableError, match=f"answers {status} for some/model"):
        download(model)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ("a/b", ("a/b", "")),
        ("a/b/c.safetensors", ("a/b", "c.safetensors")),
        ("https://huggingface.co/a/b", ("a/b", "")),
        ("https://huggingface.co/a/b/tree/main", ("a/b", "")),
        ("https://huggingface.co/a/b/blob/main/d/c.gguf?x=1", ("a/b", "d/c.gguf")),
        ("b", None),
        ("a b/c", None),
        ("a/b/../c", None),
        ("", None),
        ("https://example.org/a/b", None),
        ("https://huggingface.co@example.org/a/b", None),
        ("https://huggingface.co/datasets/a/b", None),
        ("spaces/a/b", None),
        (f"a/b/{'x' * 1000}", None),
    ],
)
def test_ids_and_addresses(said: str, wanted: tuple[str, str] | None) -> None:
    if wanted is None:
        with pytest.raises(BadInputError, match="is not an? (id|address|model) of the"):
            split_id(said)
    else:
        assert split_id(said) == wanted


def test_the_command_shows_size_and_licence_and_asks(
    hub: Hub, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.files = {"one.safetensors": weights(tmp_path)}
    assert main(["models", "get", "some/model"]) == 2  # nobody can be asked
    told = capsys.readouterr().err
    assert "licence: openrail++" in told
    assert "--yes" in told
    assert hub.paths() == []
    assert main(["models", "get", "some/model", "--yes"]) == 0
    assert capsys.readouterr().out == f"{home}/models/one.safetensors\n"
    hub.files = {"style.safetensors": weights(tmp_path, LORA)}
    assert main(["models", "get", "some/model", "--yes"]) == 0
    assert "is not a model to paint with: LoRA" in capsys.readouterr().err


def test_models_of_this_machine_are_added(
    home: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    file = write_safetensors(tmp_path / "a.safetensors", SD1)
    assert main(["models", "add", str(file)]) == 0
    assert main(["models", "add", str(models / "sd"), "--name", "mine"]) == 0
    assert main(["models", "add", str(models / "sd"), "--copy"]) == 0
    assert main(["models", "add", str(file), "--copy", "--name", "b"]) == 0
    own = home / "models"
    assert (own / "a.safetensors").readlink() == file
    assert (own / "mine").readlink() == models / "sd"
    assert folder_files(own / "sd") == folder_files(models / "sd")
    assert (own / "b.safetensors").read_bytes() == file.read_bytes()
    assert set(list_models()) == {"a", "b", "mine", "sd", "starter"}
    capsys.readouterr()
    assert main(["models", "add", str(file)]) == 2
    assert "already" in capsys.readouterr().err
    cached = tmp_path / "hub" / "models--x--y" / "snapshots" / ("a" * 40)
    shutil.copytree(models / "sdxl", cached)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    assert main(["models", "add", "x/y"]) == 0
    assert (own / "y").readlink() == cached


@pytest.mark.skipif(sys.platform != "linux", reason="devices are files on POSIX")
def test_a_copy_follows_no_link_to_a_folder_or_a_device(
    home: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(models / "sd", tmp_path / "odd")
    (folder / "unet" / "again").symlink_to("..")
    assert main(["models", "add", str(folder), "--copy"]) == 0
    assert folder_files(home / "models" / "odd") == folder_files(models / "sd")
    capsys.readouterr()
    (folder / "endless").symlink_to("/dev/zero")
    assert main(["models", "add", str(folder), "--copy", "--name", "b"]) == 3
    assert "endless is a device, not a file" in capsys.readouterr().err
    assert [one.name for one in (home / "models").iterdir()] == ["odd"]


def test_what_is_no_model_is_not_added(
    home: Path, models: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lora = write_safetensors(tmp_path / "style.safetensors", LORA)
    broken = tmp_path / "broken"
    shutil.copytree(models / "sd", broken)
    shutil.rmtree(broken / "vae")
    told = []
    for said in (lora, broken, tmp_path, "no/such", tmp_path / "gone.safetensors"):
        assert main(["models", "add", str(said)]) == 3
        told.append(capsys.readouterr().err)
    assert "is not a model: LoRA" in told[0]
    assert "vae" in told[1]
    assert "config.toml" in told[2]
    assert "`underpaint models get OWNER/NAME`" in told[3]
    assert not (home / "models").exists() or not list((home / "models").iterdir())


def test_suggestions_are_what_can_be_painted_with(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from underpaint.models.model_index import PARTS

    assert main(["models", "suggest", "--json"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert found
    assert {one["family"] for one in found} <= set(PARTS)
    assert main(["models", "suggest"]) == 0
    told = capsys.readouterr().out
    for one in found:
        assert one["id"] in told
        assert split_id(one["id"]) == (one["id"], "")


def test_nothing_of_the_hub_is_imported_to_list() -> None:
    script = "import sys; import underpaint.cli.models; print(*sys.modules)"
    run = [sys.executable, "-c", script]
    loaded = subprocess.run(run, check=True, capture_output=True, text=True).stdout.split()
    assert not {"torch", "huggingface_hub", "yaml", "gguf", "numpy"} & set(loaded)
