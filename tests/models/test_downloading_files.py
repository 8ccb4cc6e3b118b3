"""Single files come from the Hub: a checkpoint, or a part that other models open with."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest
from safetensors.torch import save_file

from flow_files import save_parts, save_transformer
from hub import Hub
from single_files import checkpoint_parts, read_part, save_checkpoint
from tiny_flow_models import build_flow_model
from underpaint.cli import main
from underpaint.models import describe_model, list_models
from underpaint.models.architectures import COMPONENTS, Component
from underpaint.models.downloading import download, look_up
from underpaint.models.targets import choose_part_name
from underpaint_client.errors import BadInputError, ModelUnavailableError
from weight_files import LORA, SD1, layout, write_safetensors

ANSWERED = ["models", "get", "some/model", "--yes"]
VAE = layout("F16", {"encoder.conv_in.weight": (128, 3, 3, 3)})
ENCODER = layout(
    "F16", {"text_model.final_layer_norm.weight": (768,), "text_model.embeddings.x": (77, 8)}
)


@pytest.fixture
def parts(home: Path) -> Path:
    return home / "models" / "parts"


def content(tmp_path: Path, what: object) -> bytes:
    return write_safetensors(tmp_path / "made.safetensors", what).read_bytes()  # type: ignore[arg-type]


@pytest.mark.parametrize("part", ["vae", "text_encoder"])
def test_a_part_that_was_downloaded_is_taken_by_a_model_that_lacks_it(
    hub: Hub, parts: Path, models: Path, tmp_path: Path, part: str
) -> None:
    name = {"vae": "sd1_vae.safetensors", "text_encoder": "clip_l.safetensors"}[part]
    parts.parent.mkdir()
    model = save_checkpoint(models / "sd", parts.parent / "one.safetensors", without=(part,))
    with pytest.raises(ModelUnavailableError, match=rf"\({part}\)"):
        describe_model(model)
    tensors = (
        checkpoint_parts(models / "sd")["vae"]
        if part == "vae"
        else read_part(models / "sd", part)[0]  # as transformers names it
    )
    save_file(tensors, tmp_path / "part.safetensors")
    hub.files = {
        "model_index.json": b"{}",
        f"split/{name}": (tmp_path / "part.safetensors").read_bytes(),
        "other.safetensors": content(tmp_path, SD1),
    }
    assert main([*ANSWERED, "--file", f"split/{name}"]) == 0
    assert set(hub.paths()) == {f"split/{name}"}
    found = next(one for one in describe_model(model).parts if one.name == part)
    assert found.weights == str(parts / name)
    assert set(list_models()) == {"one", "starter"}


def test_files_go_where_what_they_are_belongs(
    hub: Hub, parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.files = {
        "model_index.json": b"{}",
        "one.safetensors": content(tmp_path, SD1),
        "split/ae.safetensors": content(tmp_path, VAE),
        "clip_l.safetensors": content(tmp_path, ENCODER),
        "style.safetensors": content(tmp_path, LORA),
    }
    names = [name for name in hub.files if name.endswith(".safetensors")]
    options = [word for name in (*names, names[0]) for word in ("--file", name)]
    assert main(["models", "get", "some/model", *options]) == 2  # nobody can be asked
    asked = capsys.readouterr().err
    assert asked.count("licence: openrail++") == len(names)
    assert all(f"some/model: {name}, " in asked for name in names)
    assert hub.paths() == []
    assert main([*ANSWERED, *options]) == 0
    told = capsys.readouterr()
    own = parts.parent
    places = [own / "one.safetensors", parts / "ae.safetensors", parts / "clip_l.safetensors"]
    assert told.out.splitlines() == [str(one) for one in (*places, own / "style.safetensors")]
    assert "ae.safetensors is a VAE; models that lack it find it by its name" in told.err
    assert "style.safetensors is not a model to paint with: LoRA" in told.err
    assert list((own / ".downloads").iterdir()) == []


@pytest.mark.parametrize(
    ("repository", "name", "wanted"),
    [
        ("some/sdxl-vae", "", "sdxl-vae.safetensors"),
        ("some/model", "", "diffusion_pytorch_model.safetensors"),
        ("some/sdxl-vae", "flux_vae", "flux_vae.safetensors"),
    ],
)
def test_a_part_is_called_so_that_models_find_it_or_the_names_are_said(
    hub: Hub, parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    repository: str, name: str, wanted: str,
) -> None:  # fmt: skip
    hub.repository = repository
    hub.files = {"vae/diffusion_pytorch_model.safetensors": content(tmp_path, VAE)}
    file = "vae/diffusion_pytorch_model.safetensors"
    assert main(["models", "get", repository, "--yes", "--file", file, "--name", name]) == 0
    told = capsys.readouterr()
    assert told.out == f"{parts / wanted}\n"
    assert ("no model finds it by this name" in told.err) == wanted.startswith("diffusion")
    assert ("sd1_vae or sd2_vae or sdxl_vae" in told.err) == wanted.startswith("diffusion")


def test_a_name_that_is_not_there_is_answered_with_the_nearest(
    hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.files = dict.fromkeys(
        ("split/vae/ae.safetensors", "flux1-schnell.safetensors", "x.gguf", "flux1.ckpt"), b"x"
    )
    for wanted, near in {
        "ae.safetensors": "split/vae/ae.safetensors",
        "VAE/AE.safetensors": "split/vae/ae.safetensors",
        "flux1-schnel.safetensors": "flux1-schnell.safetensors",
    }.items():
        assert main([*ANSWERED, "--file", wanted]) == 3
        told = capsys.readouterr().err
        assert f"has no model file {wanted}; did you mean {near}" in told
        assert "x.gguf (0.0 GB)" in told
    assert main([*ANSWERED, "--file", "qqqqqq"]) == 3
    assert "did you mean" not in capsys.readouterr().err
    assert hub.paths() == []


@pytest.mark.parametrize("wanted", ["flux1.ckpt", "config.json", "a.safetensors.index.json"])
def test_a_file_that_no_model_opens_from_is_not_downloaded(
    hub: Hub, capsys: pytest.CaptureFixture[str], wanted: str
) -> None:
    hub.files = {wanted: b"x", "one.safetensors": b"x"}
    assert main([*ANSWERED, "--file", wanted]) == 3
    assert f"has no model file {wanted}" in capsys.readouterr().err
    assert hub.paths() == []


@pytest.mark.parametrize("ending", ["safetensors", "gguf"])
def test_one_of_several_files_that_belong_together_is_refused(hub: Hub, ending: str) -> None:
    shard, whole = f"te/model-00001-of-00002.{ending}", f"te/model-00001-of-00001.{ending}"
    hub.files = {shard: b"x", whole: b"x"}
    with pytest.raises(ModelUnavailableError, match="one of several files"):
        look_up("some/model", shard)
    assert look_up("some/model", whole).files[0].path == whole


@pytest.mark.parametrize("said", ["", "../a.safetensors", "/a", "a//b", "a\nb", "x" * 1000])
def test_what_is_no_path_in_a_repository_is_refused(
    hub: Hub, capsys: pytest.CaptureFixture[str], said: str
) -> None:
    hub.files = {"one.safetensors": b"x"}
    assert main([*ANSWERED, "--file", said]) == 2
    assert "is not the path of a file in a repository" in capsys.readouterr().err
    assert hub.asked == []


def test_a_name_is_for_one_file(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.files = {"a.safetensors": b"x", "b.safetensors": b"x"}
    words = ["--file", "a.safetensors", "--file", "b.safetensors", "--name", "c"]
    assert main([*ANSWERED, *words]) == 2
    assert "--name is for one file" in capsys.readouterr().err


def test_a_part_that_is_there_already_is_said_before_anything_is_downloaded(
    hub: Hub, parts: Path, tmp_path: Path
) -> None:
    hub.files = {"ae.safetensors": content(tmp_path, VAE)}
    path = download(look_up("some/model", "ae.safetensors"))
    assert path == parts / "ae.safetensors"
    asked = len(hub.asked)
    with pytest.raises(BadInputError, match=r"parts/ae.safetensors already; .* --name"):
        download(look_up("some/model", "ae.safetensors"))
    assert len(hub.asked) == asked + 1  # what there is, and no file
    assert download(look_up("some/model", "ae.safetensors"), "ae-2") == parts / "ae-2.safetensors"


def test_a_file_that_was_interrupted_is_kept_while_another_is_downloaded(
    hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files = {name: os.urandom(400_000) for name in ("a.safetensors", "b.safetensors")}
    hub.damaged = {"a.safetensors"}
    with pytest.raises(ModelUnavailableError, match="did not arrive"):
        download(look_up("some/model", "a.safetensors"))
    (kept,) = (home / "models" / ".downloads").glob("*/a.safetensors")
    usage = shutil.disk_usage(home)._replace(free=10**9 + 300_000)
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda _: usage)
        with pytest.raises(ModelUnavailableError, match=r"needs 0.0 GB more"):
            download(look_up("some/model", "b.safetensors"))  # no byte of it is there
    assert download(look_up("some/model", "b.safetensors")).exists()
    assert kept.exists()


def test_several_files_must_fit_the_disk_together(
    hub: Hub, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    one = content(tmp_path, SD1)
    hub.files = {"a.safetensors": one, "b.safetensors": one}
    words = [*ANSWERED, "--file", "a.safetensors", "--file", "b.safetensors"]
    free = 10**9 + len(one) * 3 // 2
    usage = shutil.disk_usage(tmp_path)._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert main(words) == 3
    assert "needs 0.0 GB more and 1 GB to spare" in capsys.readouterr().err
    assert hub.paths() == []
    assert main([*ANSWERED, "--file", "a.safetensors"]) == 0
    assert main(words) == 0  # one is there
    assert (home / "models" / "b.safetensors").exists()


@pytest.mark.parametrize("part", ["vae", "text_encoder_2"])
def test_the_command_that_an_error_names_gets_the_part(
    hub: Hub, home: Path, tmp_path: Path, part: str
) -> None:
    folder = build_flow_model(tmp_path / "flux", "flux")
    files = save_parts(folder, tmp_path / "away")
    for other, file in files.items():
        if other != part:
            shutil.copytree(file.parent, home / "models" / "parts", dirs_exist_ok=True)
    (home / "models" / "parts" / files[part].name).unlink()
    model = save_transformer(folder, home / "models" / "one.safetensors")
    with pytest.raises(ModelUnavailableError) as refused:
        describe_model(model)
    (command,) = re.findall(r"`underpaint (.+?)` gets it", str(refused.value))
    words = command.split()
    hub.repository, name = words[2], words[-1]
    hub.files = {name: files[part].read_bytes()}
    assert main([*words, "--yes"]) == 0
    found = next(one for one in describe_model(model).parts if one.name == part)
    assert Path(found.weights).read_bytes() == hub.files[name]


@pytest.mark.parametrize("component", COMPONENTS.values(), ids=lambda one: one.names[0])
def test_what_an_error_says_how_to_get_is_found_by_its_name(component: Component) -> None:
    for file in component.files:
        if file.endswith(".safetensors"):
            assert component.is_called(choose_part_name(Path(file).name, component.repository))


def test_several_files_go_on_where_the_same_command_ended(
    hub: Hub, parts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.repository = "some/sdxl-vae"
    vae, model = "vae/diffusion_pytorch_model.safetensors", "one.safetensors"
    hub.files = {vae: content(tmp_path, VAE), model: content(tmp_path, SD1)}
    words = ["models", "get", "some/sdxl-vae", "--yes", "--file", vae, "--file", model]
    hub.damaged = {model}
    assert main(words) == 3
    hub.damaged.clear()
    hub.asked.clear()
    capsys.readouterr()
    assert main(words) == 0
    places = [parts / "sdxl-vae.safetensors", parts.parent / "one.safetensors"]
    assert capsys.readouterr().out.splitlines() == list(map(str, places))
    assert hub.paths() == [model]
    places[0].write_bytes(b"another")  # is not taken for it, and not overwritten
    assert main(words) == 2
    assert places[0].read_bytes() == b"another"
