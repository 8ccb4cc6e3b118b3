"""Where memory is short: what is saved, in which order, and what comes out of it."""

from __future__ import annotations

import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import SlicedAttnProcessor

from runs import BASE, make, make_all, texture, with_hole
from tiny_models import build_model
from underpaint.engine import Engine, Inputs, Model, Preview, Viewer
from underpaint.engine.memory import (
    is_device_lost,
    is_out_of_memory,
    model_too_large,
    saving_notes,
    too_large,
    until_it_fits,
)
from underpaint.engine.opening import open_pipeline
from underpaint.engine.savings import Abilities, Quantised, Saving
from underpaint.models import describe_model
from underpaint_client.errors import BadInputError, GenerationFailedError
from underpaint_client.geometry import Extent

# ---- what is said ---------------------------------------------------------------------------

CUDA_SHORT = (
    "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB of"
    " which 1.20 GiB is free."
)


@pytest.mark.parametrize(
    ("error", "short", "lost"),
    [
        (torch.OutOfMemoryError(CUDA_SHORT), True, False),
        (RuntimeError("CUDA error: out of memory"), True, False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True,
         False),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True, False),
        (RuntimeError("MPS backend out of memory (MPS allocated: 8.0 GiB)"), True, False),
        (RuntimeError("Invalid buffer size: 24.00 GiB"), True, False),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:128] err == 0. DefaultCPUAllocator: can't"
                      " allocate memory: you tried to allocate 4 bytes."), True, False),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"), True,
         False),
        (RuntimeError("std::bad_alloc"), True, False),
        (MemoryError(), True, False),
        (cv2.error("OpenCV: (-4:Insufficient memory) Failed to allocate"), True, False),
        (RuntimeError("CUDA error: device-side assert triggered"), False, True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False, True),
        (RuntimeError("CUDA error: unspecified launch failure"), False, True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), False, True),
        (RuntimeError("HIP error: the operation cannot be performed"), False, True),
        (RuntimeError("CUDA error: no kernel image is available for execution on the device"),
         False, False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False, False),
        (BadInputError("the prompt 'CUDA error, out of memory' is too long"), False, False),
        (ValueError("out of memory"), False, False),
    ],
)  # fmt: skip
def test_errors_are_told_apart(error: Exception, short: bool, lost: bool) -> None:
    assert (is_out_of_memory(error), is_device_lost(error)) == (short, lost)


def test_weights_that_stay_as_in_the_files_are_no_change() -> None:
    (note,) = saving_notes(Saving(quantised="half"), SIZE, planned=1, exact=True)
    assert "stayed in 16 bits, as in its files, which takes longer" in note
    (note,) = saving_notes(Saving(quantised="half"), SIZE, planned=1)
    assert "weights were stored in 16 bits to save memory, so the picture differs" in note


@pytest.mark.parametrize(
    ("quantised", "told"), [("fp8", r"8 bits (fp8)"), ("int8", "8 bits (int8)"), ("nf4", "4 bits")]
)
def test_quantised_weights_are_told_by_themselves(quantised: Quantised, told: str) -> None:
    saving = Saving(placement="offload", quantised=quantised)
    short, note = saving_notes(saving, SIZE, planned=1)
    assert "waited" in short
    assert f"weights were stored in {told}" in note
    assert "differs slightly" in note
    assert saving_notes(replace(saving, placement="gpu"), SIZE, planned=1) == (note,)


SIZE = Extent(1024, 768)
TILED = "so its colours may differ slightly from those it has in one piece"


@pytest.mark.parametrize(
    ("saving", "planned", "encoded", "note"),
    [
        (Saving(), 4, True, ""),
        (Saving(together=4), 4, True, ""),
        (Saving(together=2), 4, True, "painted 2 at a time instead of 4"),
        (Saving(decode_tile=512), 1, True, f"put together from tiles of 512 pixels, {TILED}"),
        (Saving(encode_tile=256, decode_tile=512), 1, True,
         f"put together from tiles of 256 pixels, {TILED}"),
        (Saving(encode_tile=256), 1, False, ""),
        (Saving(decode_tile=1024), 1, True, ""),
        (Saving(sliced=True), 1, True, "attention was computed in slices, which takes longer"),
        (Saving(together=1, placement="offload"), 2, True,
         "painted 1 at a time instead of 2; the model's parts waited in the computer's memory for"
         " their turn, which takes longer"),
        (Saving(placement="group_offload"), 1, True,
         "the model's layers waited in the computer's memory for their turn, which takes longer"),
        (Saving(placement="encoders_on_cpu"), 1, True,
         "the prompt was encoded on the CPU, which takes longer"),
    ],
)  # fmt: skip
def test_notes(saving: Saving, planned: int, encoded: bool, note: str) -> None:
    told = saving_notes(saving, SIZE, planned=planned, encoded=encoded)
    assert told == ((f"memory was short: {note}",) if note else ())


def test_a_model_that_is_too_large_is_told_with_its_size_and_the_ways_out() -> None:
    told = model_too_large("flux", 33_700_000_000, ["torchao", "bitsandbytes"])
    assert "'flux', whatever the size" in told
    assert "take 33.7 GB" in told
    assert "a quantised one (GGUF)" in told
    assert "`pip install 'underpaint[torchao]'`" in told
    assert "pip" not in model_too_large("flux", 1)


@pytest.mark.parametrize(
    ("size", "painted", "has", "has_not"),
    [
        (Extent(1024, 1024), Extent(0, 0), ["1024 x 1024", "select a smaller part",
         "720 x 720 as width and height (at most half the pixels, which may fit)"], ["did fit"]),
        (Extent(1024, 1024), Extent(512, 512), ["720 x 720", "may fit"], ["512"]),
        (Extent(1024, 1024), Extent(960, 768), ["960 x 768 as width and height (did fit before)"],
         ["may fit"]),
        (Extent(1024, 1024), Extent(1024, 1024), ["720 x 720", "may fit"], ["did fit"]),
        (Extent(512, 512), Extent(0, 0), ["352 x 352"], ["select"]),
        (Extent(16, 16), Extent(0, 0), ["16 x 16"], ["0 x 0"]),
    ],
)  # fmt: skip
def test_the_way_out_is_named(
    size: Extent, painted: Extent, has: list[str], has_not: list[str]
) -> None:
    told = too_large("sd", size, 512, painted)
    assert all(words in told for words in has)
    assert not any(words in told for words in has_not)
    assert "--" not in told


def test_nothing_of_a_failed_attempt_lives_on() -> None:
    held: list[weakref.ref[torch.Tensor]] = []
    saved: list[bool] = []

    def attempt() -> str:
        if saved:
            return "done"
        large = torch.zeros(4)
        held.append(weakref.ref(large))
        raise torch.OutOfMemoryError(CUDA_SHORT)

    def save() -> None:
        assert sys.exception() is None
        saved.append(held[-1]() is None)

    assert until_it_fits(attempt, save) == "done"
    assert saved == [True]


# ---- the engine ----------------------------------------------------------------------------


@pytest.fixture
def engine(models: Path) -> Engine:
    """An engine of its own, as what it learns is for one test. It leaves weights as they are."""
    return Engine("cpu", "never")


@contextmanager
def short_of_memory(
    part: torch.nn.Module, fits: Callable[[Any], bool]
) -> Iterator[list[tuple[int, ...]]]:
    """Let a part of a model fail unless its input fits; gives the shapes that did not."""
    failed: list[tuple[int, ...]] = []
    left: list[weakref.ref[torch.Tensor]] = []

    def look(_part: torch.nn.Module, given: tuple[Any, ...]) -> None:
        assert all(one() is None for one in left)
        if not fits(given[0]):
            scratch = torch.zeros(8)  # as a part's own, held by the frames of the traceback
            left.extend([weakref.ref(scratch), weakref.ref(given[0])])
            failed.append(tuple(given[0].shape))
            raise torch.OutOfMemoryError(CUDA_SHORT)

    hook = part.register_forward_pre_hook(look)
    try:
        yield failed
    finally:
        hook.remove()


def memory_notes(picture: Any) -> list[str]:
    return [note for note in picture.recipe.facts.notes if note.startswith("memory was short")]


LAYER = with_hole(texture(96, 128))
SMALL = with_hole(texture(64, 64))


def test_fewer_images_at_once_are_the_same_pictures(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = make_all(engine, SMALL, images=5, sampler="k_euler_a")
    monkeypatch.setattr("underpaint.engine.painter.batch_size", lambda *_, **__: 4)
    ran: list[int] = []

    def fits(sample: torch.Tensor) -> bool:
        ran.append(len(sample) // 2)  # with and without the prompt
        return len(sample) <= 2

    with short_of_memory(engine.load("sd").pipeline.unet, fits) as failed:
        found = make_all(engine, SMALL, images=5, sampler="k_euler_a")
        assert [shape[0] for shape in failed] == [8, 4]
        again = make_all(engine, SMALL, images=5, sampler="k_euler_a")
        assert len(failed) == 2  # it was remembered
    assert set(ran) == {4, 2, 1}
    for one, other, third in zip(expected, found, again, strict=True):
        assert other.recipe.facts.seed == one.recipe.facts.seed
        np.testing.assert_array_equal(other.pixels, one.pixels)
        np.testing.assert_array_equal(third.pixels, one.pixels)
        assert memory_notes(other) == ["memory was short: painted 1 at a time instead of 4"]


@pytest.mark.parametrize("model", ["sd", "sdxl"])
def test_tiles_paint_what_does_not_fit_in_one_piece(engine: Engine, model: str) -> None:
    whole = make(engine, LAYER, model=model)
    small = make(engine, SMALL, model=model)
    vae = engine.load(model).pipeline.vae
    steps: list[int] = []
    with short_of_memory(vae.decoder, lambda z: z.shape[-1] * z.shape[-2] <= 64) as failed:
        request = BASE.with_values(model=model)
        (tiled,) = engine.generate(
            request, Inputs(LAYER), progress=lambda at: steps.append(at.step)
        )
        assert len(failed) == 1
        again = make(engine, LAYER, model=model)
        assert len(failed) == 1  # it was remembered
        assert np.array_equal(again.pixels, tiled.pixels)
        after = make(engine, SMALL, model=model)
    assert steps.count(1) == 1  # what was painted needed no second run
    assert (tiled.pixels != whole.pixels).any()
    np.testing.assert_array_equal(tiled.pixels[LAYER[..., 3] == 255], LAYER[LAYER[..., 3] == 255])
    assert memory_notes(tiled) == [
        f"memory was short: put together from tiles of 64 pixels, {TILED}"
    ]
    assert not memory_notes(after)
    assert not vae.use_tiling
    np.testing.assert_array_equal(after.pixels, small.pixels)
    np.testing.assert_array_equal(make(Engine("cpu"), LAYER, model=model).pixels, whole.pixels)


def test_an_original_is_read_in_tiles_of_its_own(engine: Engine) -> None:
    make(engine, SMALL)
    with short_of_memory(engine.load("sd").pipeline.vae.encoder, lambda x: x.shape[-1] <= 32):
        tiled = make(engine, LAYER)
    assert engine.load("sd").saving == Saving(encode_tile=32)
    assert memory_notes(tiled) == [
        f"memory was short: put together from tiles of 32 pixels, {TILED}"
    ]
    assert not memory_notes(make(engine, SMALL, strength=1.0))
    fresh = Engine("cpu")
    np.testing.assert_array_equal(make(fresh, SMALL).pixels, make(engine, SMALL).pixels)


def test_what_was_finished_is_not_painted_again(engine: Engine) -> None:
    expected = make_all(engine, SMALL, images=3)
    calls: list[int] = []

    def fits(_: torch.Tensor) -> bool:
        calls.append(1)
        return len(calls) != 2

    with short_of_memory(engine.load("sd").pipeline.vae.decoder, fits) as failed:
        found = make_all(engine, SMALL, images=3)
    assert len(failed) == 1
    assert [one.recipe.facts.seed for one in found] == [one.recipe.facts.seed for one in expected]
    np.testing.assert_array_equal(found[0].pixels, expected[0].pixels)
    assert [len(memory_notes(one)) for one in found] == [0, 1, 1]


def test_slices_and_offloading_change_no_pixel_and_are_undone(
    engine: Engine, gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    able = Abilities(tiles=(64, 32), slices=True, placements=("gpu", "offload"))
    monkeypatch.setattr(Model, "abilities", able)
    expected, small = make(engine, LAYER), make(engine, SMALL)
    model = engine.load("sd")
    unet = model.pipeline.unet
    before = {name: type(one) for name, one in unet.attn_processors.items()}
    seen: list[tuple[bool, bool]] = []

    def fits(sample: torch.Tensor) -> bool:
        sliced = all(isinstance(p, SlicedAttnProcessor) for p in unet.attn_processors.values())
        seen.append((sliced, hasattr(unet, "_hf_hook")))
        return seen[-1] == (True, True) or sample.shape[-1] <= 8

    with short_of_memory(unet, fits) as failed:
        found = make(engine, LAYER)
        assert len(failed) == 2
        assert list(dict.fromkeys(seen)) == [(False, False), (True, False), (True, True)]
        assert np.abs(found.pixels.astype(int) - expected.pixels).max() <= 1
        (note,) = memory_notes(found)
        assert "in slices" in note
        assert "waited in the computer's memory" in note
        seen.clear()
        after = make(engine, SMALL)
        assert set(seen) == {(False, False)}
        seen.clear()
        again = make(engine, LAYER)
        assert set(seen) == {(True, True)}
    np.testing.assert_array_equal(after.pixels, small.pixels)
    np.testing.assert_array_equal(again.pixels, found.pixels)
    make(engine, SMALL)
    assert {name: type(one) for name, one in unet.attn_processors.items()} == before
    for part in model.pipeline.components.values():
        assert not hasattr(part, "_hf_hook")


@pytest.mark.parametrize("model", ["sd", "sdxl"])
def test_a_model_that_does_not_fit_is_opened_part_by_part(
    engine: Engine, gpu: None, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    expected = make(Engine("cpu"), LAYER, model=model)
    device = torch.device(engine.device)

    def open_too_large(*args: Any, **parameters: Any) -> Any:
        pipeline = open_pipeline(*args, **parameters)
        really = pipeline.to

        def move(*where: Any, **how: Any) -> Any:
            if where == (device,):
                raise torch.OutOfMemoryError(CUDA_SHORT)
            return really(*where, **how)

        pipeline.to = move
        return pipeline

    monkeypatch.setattr("underpaint.engine.placed_pipeline.open_pipeline", open_too_large)
    found = make(engine, LAYER, model=model)
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    assert engine.load(model).saving == Saving(placement="offload")
    assert len(memory_notes(found)) == 1


def test_a_model_that_cannot_come_back_stays_offloaded(
    engine: Engine, gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = make(engine, SMALL)
    model = engine.load("sd")
    model.save(Saving(placement="offload"))
    really = model.pipeline.to

    def move(*where: Any, **how: Any) -> Any:
        if where == (model.device,):
            raise torch.OutOfMemoryError(CUDA_SHORT)
        return really(*where, **how)

    monkeypatch.setattr(model.pipeline, "to", move, raising=False)
    found = make(engine, SMALL)
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    assert model.saving == Saving(placement="offload")
    assert hasattr(model.pipeline.unet, "_hf_hook")


def test_a_move_that_fails_half_way_is_put_right(
    engine: Engine, gpu: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = make(engine, SMALL)
    model = engine.load("sd")
    moved: list[bool] = []

    def offload(**_: Any) -> None:
        moved.append(True)
        raise MemoryError

    monkeypatch.setattr(model.pipeline, "enable_model_cpu_offload", offload, raising=False)
    with short_of_memory(model.pipeline.unet, lambda _: bool(moved)):
        with pytest.raises(GenerationFailedError, match="to hold a picture of 64 x 64 pixels"):
            make(engine, SMALL)
        places: list[Any] = []
        monkeypatch.setattr(model.pipeline, "to", places.append, raising=False)
        found = make(engine, SMALL)
    assert places == [model.device]
    assert not memory_notes(found)
    np.testing.assert_array_equal(found.pixels, expected.pixels)


@pytest.mark.parametrize("part", ["unet", "decoder"])
def test_the_end_of_the_way_names_what_may_fit(engine: Engine, part: str) -> None:
    pipeline = engine.load("sd").pipeline
    module = pipeline.unet if part == "unet" else pipeline.vae.decoder
    with short_of_memory(module, lambda z: z.shape[-1] * z.shape[-2] < 16):
        with pytest.raises(GenerationFailedError, match="112 x 64 as width and height") as caught:
            make(engine, LAYER, width=160, height=112)
        assert caught.value.__cause__ is caught.value.__context__ is None
    found = make(engine, LAYER)  # the next job begins anew
    assert not memory_notes(found)
    np.testing.assert_array_equal(found.pixels, make(Engine("cpu"), LAYER).pixels)


def test_what_did_fit_is_named(engine: Engine) -> None:
    make(engine, width=128, height=112)
    with (
        short_of_memory(engine.load("sd").pipeline.unet, lambda z: z[0, 0].numel() <= 16 * 14),
        pytest.raises(GenerationFailedError, match=r"128 x 112 .*\(did fit before\)"),
    ):
        make(engine, width=128, height=128)


def test_a_prompt_or_a_model_that_does_not_fit(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = engine.load("sd").pipeline.text_encoder

    def fail(*_: Any) -> None:
        raise torch.OutOfMemoryError(CUDA_SHORT)

    hook = encoder.register_forward_pre_hook(fail)
    with pytest.raises(GenerationFailedError, match="for model 'sd', whatever the size"):
        make(engine, SMALL)
    hook.remove()
    monkeypatch.setattr("underpaint.engine.model.BackgroundHash", fail)
    with pytest.raises(GenerationFailedError, match="for model 'sdxl', whatever the size"):
        make(engine, SMALL, model="sdxl")


def test_a_layer_that_does_not_fit(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("underpaint.engine.run.prepare", fail)
    with pytest.raises(GenerationFailedError, match="a picture of 128 x 96 pixels and what"):
        make(engine, LAYER)


def test_previews_come_in_tiles_too(engine: Engine) -> None:
    expected = make(engine, LAYER)
    seen: list[Preview] = []
    with short_of_memory(engine.load("sd").pipeline.vae.decoder, lambda z: z.shape[-1] <= 8):
        (found,) = engine.generate(
            BASE, Inputs(LAYER), viewer=Viewer(seen.append, full=True, every=0)
        )
    assert len(seen) == found.recipe.facts.steps_run
    assert found.recipe.facts.steps_run == expected.recipe.facts.steps_run


def test_a_chain_goes_on(engine: Engine) -> None:
    expected = make_all(engine, LAYER, images=2, chain=True)
    with short_of_memory(engine.load("sd").pipeline.vae.decoder, lambda z: z.shape[-1] <= 8):
        found = make_all(engine, LAYER, images=2, chain=True)
    assert [one.recipe.facts.seed for one in found] == [one.recipe.facts.seed for one in expected]
    for one in found:
        kept = LAYER[..., 3] == 255
        np.testing.assert_array_equal(one.pixels[kept], LAYER[kept])


@pytest.mark.parametrize("native", [64, 96])
def test_tiles_add_up_to_the_picture(tmp_path: Path, session_home: Path, native: int) -> None:
    model = Model(describe_model(build_model(tmp_path / "one", native=native)), "cpu")
    image = np.random.default_rng(0).random((176, 208, 3), np.float32)
    with torch.no_grad():
        for tile in model.abilities.tiles:
            model.save(Saving(encode_tile=tile, decode_tile=tile))
            latents = model.encode(image)
            assert latents.shape == (1, 4, 22, 26)
            assert model.decode(latents[0]).shape == image.shape


STARVED = """
import resource, sys
from pathlib import Path
import torch
from underpaint.engine import Engine
from underpaint_client.errors import GenerationFailedError
from underpaint_client.request import Request

def allow(more):
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + more * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))

def paint(side):
    (picture,) = engine.generate(request.with_values(width=side, height=side))
    return picture

torch.set_num_threads(1)
engine = Engine("cpu")
request = Request.of(prompt="a lake", model=sys.argv[1], steps=1, strength=1.0, seed=1)
before = paint(512)
allow(200)
print(paint(1024).recipe.facts.notes)
allow(10)
try:
    paint(2048)
except GenerationFailedError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)
after = paint(512)
print(after.recipe.facts.notes, (after.pixels == before.pixels).all())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process's memory so")
def test_a_process_that_is_really_short_of_memory(tmp_path: Path, session_home: Path) -> None:
    model = build_model(tmp_path / "large", native=512)
    ran = subprocess.run(
        [sys.executable, "-c", STARVED, str(model)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    tiled, failed, after = ran.stdout.splitlines()
    assert "memory was short: put together from tiles of" in tiled
    assert failed.startswith("there is not enough memory")
    assert after == "() True"
