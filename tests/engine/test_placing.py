"""Where a model's parts are changes no bit of a picture; how its weights are stored is told."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from runs import make, texture, with_hole
from tiny_flow_models import build_flow_model
from underpaint.engine import Engine, Picture
from underpaint.engine.savings import PLACEMENTS, Bytes, Placement, Saving
from underpaint.models import describe_model, find_model
from underpaint.models.model_index import DENOISERS
from underpaint_client.errors import ModelUnavailableError

LAYER = with_hole(texture(96, 128))
KINDS = (
    "sd",
    "sdxl",
    "sd3",
    "flux",
    "z-image",
    "klein",
    "qwen-image",
    "chroma",
    "lumina2",
    "krea2",
)
WAITING: list[Placement] = [one for one in PLACEMENTS if one != "gpu"]


@pytest.fixture(scope="module")
def folder(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with models of the families that work by flow matching; the others are found too."""
    folder = tmp_path_factory.mktemp("placing")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNDERPAINT_MODELS", str(folder))
        yield folder


@pytest.fixture(params=KINDS)
def kind(folder: Path, request: pytest.FixtureRequest) -> str:
    return build(folder, str(request.param))


def build(folder: Path, name: str) -> str:
    if name not in ("sd", "sdxl") and not (folder / name).exists():
        build_flow_model(folder / name, name)
    return name


def paint(engine: Engine, kind: str, **changes: Any) -> Any:
    return make(engine, LAYER, **{"model": kind, "steps": 2, "negative_prompt": "mud", **changes})


def settle(engine: Engine, kind: str, saving: Saving) -> None:
    """Let an engine know that a model needs this, from the smallest picture on."""
    engine.experience(describe_model(find_model(kind))).savings[0] = saving


def hooks_of(engine: Engine, kind: str) -> set[str]:
    """Return which hooks that move weights are in a model."""
    found: set[str] = set()
    for part in engine.load(kind).pipeline.components.values():
        for module in part.modules() if isinstance(part, torch.nn.Module) else ():
            found |= {"accelerate"} if hasattr(module, "_hf_hook") else set()
            found |= set(getattr(getattr(module, "_diffusers_hook", None), "hooks", {}))
    return found


def assert_same_picture(found: Picture, expected: Picture) -> None:
    """Check that at most one value in ten thousand differs, and by one level.

    On a CPU a sum depends on where in memory a tensor begins, which changes when weights are moved.
    """
    difference = np.abs(found.pixels.astype(int) - expected.pixels)
    assert difference.max() <= 1
    assert np.count_nonzero(difference) <= difference.size // 10_000


def test_every_placement_paints_the_same_picture(gpu: None, kind: str) -> None:
    expected = paint(Engine("cpu"), kind)
    engine = Engine("cpu")
    hooks: dict[Placement, set[str]] = {}
    there_and_back: list[Placement] = [*WAITING, "gpu", *reversed(WAITING), "gpu"]
    for placement in there_and_back:
        settle(engine, kind, Saving(placement=placement))
        engine.load(kind).forget()
        found = paint(engine, kind)
        assert_same_picture(found, expected)
        assert engine.load(kind).saving == Saving(placement=placement)
        (*_, note) = ("", *(n for n in found.recipe.facts.notes if n.startswith("memory was")))
        assert bool(note) == (placement != "gpu")
        hooks[placement] = hooks_of(engine, kind)
    assert hooks["gpu"] == hooks["encoders_on_cpu"] == set()
    assert hooks["offload"] == {"accelerate"}
    assert hooks["group_offload"] == {"group_offloading"}


@pytest.mark.parametrize("name", ["sd", "flux"])
@pytest.mark.parametrize("placement", WAITING)
def test_a_model_is_opened_where_its_parts_belong(
    gpu: None, folder: Path, name: str, placement: Placement
) -> None:
    expected = paint(Engine("cpu"), build(folder, name))
    engine = Engine("cpu")
    settle(engine, name, Saving(placement=placement))
    assert_same_picture(paint(engine, name), expected)
    assert engine.load(name).saving == Saving(placement=placement)


@pytest.mark.parametrize("name", ["qwen-image", "krea2", "klein", "flux"])
def test_every_autoencoder_works_in_tiles(folder: Path, name: str) -> None:
    model = Engine("cpu").load(build(folder, name))
    image = np.random.default_rng(0).random((176, 208, 3), np.float32)
    with torch.no_grad():
        latents = model.encode(image)
        whole = model.decode(latents[0])
        assert model.abilities.tiles == (64, 32)
        for tile in model.abilities.tiles:
            model.save(Saving(encode_tile=tile, decode_tile=tile))
            tiled = model.decode(latents[0])
            assert model.encode(image).shape == latents.shape
            assert 0 < np.abs(tiled - whole).mean() < 0.2
        model.save(Saving())
        np.testing.assert_array_equal(model.decode(latents[0]), whole)


def stored_in(engine: Engine, kind: str, dtype: torch.dtype) -> int:
    return sum(one.dtype == dtype for one in engine.load(kind).placed.denoiser.parameters())


def notes_of(picture: Any) -> list[str]:
    return [one for one in picture.recipe.facts.notes if "weights were stored" in one]


def test_fp8_changes_the_picture_and_is_told(gpu: None, kind: str) -> None:
    whole = paint(Engine("cpu"), kind)
    assert "quantised" not in whole.recipe.facts.versions
    assert notes_of(whole) == []
    engine = Engine("cpu", "fp8")
    found = paint(engine, kind)
    assert stored_in(engine, kind, torch.float8_e4m3fn) > 0
    assert (found.pixels != whole.pixels).any()
    np.testing.assert_array_equal(found.pixels[LAYER[..., 3] == 255], LAYER[LAYER[..., 3] == 255])
    assert found.recipe.facts.versions["quantised"] == "fp8"
    assert len(notes_of(found)) == 1
    for placement in WAITING:
        settle(engine, kind, Saving(placement=placement))
        moved = paint(engine, kind)
        np.testing.assert_array_equal(moved.pixels, found.pixels)
        assert moved.recipe.facts.versions["quantised"] == "fp8"


def test_a_model_is_opened_anew_where_its_weights_become_fewer_bits(
    gpu: None, models: Path
) -> None:
    engine = Engine("cpu")
    whole = paint(engine, "sd")
    model = engine.load("sd")
    model.save(Saving(quantised="fp8", placement="offload"))
    assert stored_in(engine, "sd", torch.float8_e4m3fn) > 0
    np.testing.assert_array_equal(paint(engine, "sd").pixels, whole.pixels)  # there is room again
    assert stored_in(engine, "sd", torch.float8_e4m3fn) == 0
    assert engine.load("sd") is model


@pytest.mark.parametrize(
    ("way", "package", "dtype"),
    [("int8", "torchao", torch.float32), ("nf4", "bitsandbytes", torch.uint8)],
)
def test_weights_are_quantised_by_the_extras(
    gpu: None, folder: Path, way: str, package: str, dtype: torch.dtype
) -> None:
    pytest.importorskip(package)
    engine = Engine("cpu", way)
    found, whole = paint(engine, "sd"), paint(Engine("cpu"), "sd")
    assert 0 < np.abs(found.pixels.astype(int) - whole.pixels).mean() < 20
    assert found.recipe.facts.versions["quantised"] == way
    assert len(notes_of(found)) == 1
    assert stored_in(engine, "sd", dtype) > 0


@pytest.mark.parametrize(("way", "package"), [("int8", "torchao"), ("nf4", "bitsandbytes")])
def test_what_is_lacking_is_named(way: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("underpaint.engine.quantising.find_spec", lambda _: None)
    with pytest.raises(ModelUnavailableError, match=rf"{package}, and it is not.*\[{package}\]"):
        Engine("cpu", way).load("sd")


# ---- without a GPU -----------------------------------------------------------------------------


def convert_weights(folder: Path, name: str, dtype: torch.dtype) -> str:
    """Copy a model with its denoiser's weights in another precision."""
    copy = folder / f"{name}-{dtype}".replace("torch.", "")
    shutil.copytree(find_model(name), copy)
    (file,) = (file for one in DENOISERS for file in (copy / one).glob("*.safetensors"))
    save_file({key: tensor.to(dtype) for key, tensor in load_file(file).items()}, file)
    return copy.name


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_in_16_bits_paint_the_same_picture_in_half_the_memory(
    kind: str, folder: Path, dtype: torch.dtype
) -> None:
    name = convert_weights(folder, kind, dtype)
    expected, engine = paint(Engine("cpu"), name), Engine("cpu")
    settle(engine, name, Saving(quantised="half"))
    found = paint(engine, name)
    assert stored_in(engine, name, dtype) > 0
    assert_same_picture(found, expected)
    assert [note for note in found.recipe.facts.notes if "stayed in 16 bits" in note]
    assert found.recipe.facts.versions == expected.recipe.facts.versions


def test_wider_weights_are_rounded_where_a_computer_has_too_little_memory(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, engine = paint(Engine("cpu"), "sd"), Engine("cpu")
    free(monkeypatch, engine.load("sd").needs.weights - 1)
    found = paint(engine, "sd")
    assert found.recipe.facts.versions["quantised"] == "half"
    assert len(notes_of(found)) == 1
    assert 0 < np.abs(found.pixels.astype(int) - whole.pixels).mean() < 8
    assert "quantised" not in paint(Engine("cpu", "never"), "sd").recipe.facts.versions


# ---- before and after the first failure --------------------------------------------------------


def free(monkeypatch: pytest.MonkeyPatch, device: float, host: float = 1e12) -> None:
    monkeypatch.setattr("underpaint.engine.engine.measure_free", lambda _: Bytes(device, host))


def test_what_does_not_fit_is_offloaded_before_it_fails(
    gpu: None, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = paint(Engine("cpu"), "sd")
    engine = Engine("cpu")
    needs = engine.load("sd").needs
    working = max(needs.denoising, needs.encoding, needs.decoding) * 128 * 96
    for device, placement in (
        (needs.weights + working, "gpu"),
        (needs.weights + working - 1, "offload"),
        (max(needs.denoiser.weights, needs.vae.weights + working), "offload"),
    ):
        free(monkeypatch, device)
        fresh = Engine("cpu")
        np.testing.assert_array_equal(paint(fresh, "sd").pixels, expected.pixels)
        assert fresh.load("sd").saving == Saving(placement=placement)  # type: ignore[arg-type]


def test_a_failure_is_remembered_by_the_next_start(
    gpu: None, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[int] = []

    def refuse(engine: Engine) -> None:
        """Let the card be smaller than it says."""
        unet = engine.load("sd").pipeline.unet

        def look(part: Any, _given: Any) -> None:
            if not hasattr(part, "_hf_hook"):
                failed.append(1)
                raise torch.OutOfMemoryError("CUDA out of memory")

        unet.register_forward_pre_hook(look)

    free(monkeypatch, 1e12)
    for _ in range(3):
        engine = Engine("cpu")
        refuse(engine)
        paint(engine, "sd")
        assert engine.load("sd").saving == Saving(placement="offload")
    assert len(failed) == 1
    free(monkeypatch, 2e12)  # another program has ended
    engine = Engine("cpu")
    paint(engine, "sd")
    assert engine.load("sd").saving == Saving()


def test_what_was_learned_holds_for_the_setting_it_was_learned_by(gpu: None, models: Path) -> None:
    engine = Engine("cpu")
    settle(engine, "sd", Saving(quantised="fp8"))
    assert notes_of(paint(engine, "sd"))
    assert notes_of(paint(Engine("cpu"), "sd"))
    assert not notes_of(paint(Engine("cpu", "never"), "sd"))


def test_weights_that_cannot_be_quantised_leave_no_half_made_model(
    gpu: None, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine("cpu")
    expected = paint(engine, "sd")
    model = engine.load("sd")

    def fail(*_: Any) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("underpaint.engine.placed_pipeline.quantise", fail)
        with pytest.raises(MemoryError):
            model.save(Saving(quantised="fp8"))
    model.save(Saving(quantised="fp8"))
    assert notes_of(paint(engine, "sd")) == []  # for there is room
    np.testing.assert_array_equal(paint(engine, "sd").pixels, expected.pixels)


def test_an_estimate_by_which_nothing_fits_is_tried_all_the_same(
    gpu: None, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 1.0)
    engine = Engine("cpu")
    paint(engine, "sd")  # the estimate was wrong
    assert engine.load("sd").saving.placement == "group_offload"
