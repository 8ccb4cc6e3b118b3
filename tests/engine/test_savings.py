"""The ladder of savings: pure decisions, held against a card that is only a number of bytes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from underpaint.engine.experience import (
    LEARNED,
    Experience,
    first_saving,
    read_entry,
    write_entry,
)
from underpaint.engine.savings import (
    GPU_QUANTISED,
    PLACEMENTS,
    QUANTISED,
    STAGES,
    UNLIMITED,
    Abilities,
    Bytes,
    Placement,
    Quantised,
    Saving,
    Stage,
    Task,
    choose_saving,
    choose_tiles,
    list_rungs,
    next_saving,
)
from underpaint.models.memory_needs import MemoryNeeds, PartSize, make_needs
from underpaint_client.geometry import Extent

GB = 10**9

CUDA = Abilities(tiles=(512, 256), placements=PLACEMENTS)
MPS = replace(CUDA, slices=True, placements=("gpu", "offload"))
CPU = replace(CUDA, placements=("gpu",))
BARE = Abilities()
ALL_WAYS = replace(CUDA, quantised=("", *GPU_QUANTISED))

SDXL = make_needs(
    [PartSize(GB // 4, 76_000_000), PartSize(1_400_000_000, 126_000_000)],
    PartSize(5_130_000_000, 59_000_000),
    PartSize(330_000_000, 9_000_000),
    vae_number=4,
)
SDXL_IN_32_BITS = make_needs(
    [PartSize(GB // 2, 152_000_000), PartSize(2_800_000_000, 252_000_000)],
    PartSize(10_260_000_000, 118_000_000),
    PartSize(330_000_000, 9_000_000),
    number=4,
    vae_number=4,
)
LARGE_ENCODER = replace(SDXL, encoders=(PartSize(9_500_000_000, 263_000_000),))


def square(longer: int, needs: MemoryNeeds = SDXL) -> Task:
    return Task(needs, Extent(longer, longer))


# ---- one step down -----------------------------------------------------------------------------

OFF = Saving(placement="offload")
GROUP = Saving(placement="group_offload")


@pytest.mark.parametrize(
    ("stage", "saving", "able", "together", "longer", "following"),
    [
        ("denoise", Saving(), CUDA, 4, 512, Saving(together=2)),
        ("denoise", Saving(together=2), CUDA, 2, 512, Saving(together=1)),
        ("denoise", Saving(), CUDA, 3, 512, Saving(together=1)),
        ("denoise", Saving(), BARE, 2, 512, Saving(together=1)),
        ("denoise", Saving(), CUDA, 1, 512, OFF),
        ("denoise", Saving(together=1), CUDA, 1, 512, replace(OFF, together=1)),
        ("denoise", Saving(), MPS, 1, 512, Saving(sliced=True)),
        ("denoise", Saving(sliced=True), MPS, 1, 512, Saving(sliced=True, placement="offload")),
        ("denoise", OFF, CUDA, 1, 512, GROUP),
        ("denoise", GROUP, CUDA, 1, 512, None),
        ("denoise", GROUP, ALL_WAYS, 1, 512, None),  # fewer bits would not help the working memory
        ("denoise", Saving(), CPU, 1, 512, None),
        ("encode", Saving(), CUDA, 1, 1024, OFF),
        ("encode", OFF, CUDA, 1, 1024, replace(OFF, encode_tile=512)),
        ("encode", replace(OFF, encode_tile=512), CUDA, 1, 1024, replace(OFF, encode_tile=256)),
        ("encode", Saving(), CPU, 1, 1024, Saving(encode_tile=512)),
        ("encode", Saving(encode_tile=512), CPU, 1, 1024, Saving(encode_tile=256)),
        ("decode", Saving(), CPU, 1, 576, Saving(decode_tile=512)),
        ("decode", Saving(), CPU, 1, 512, Saving(decode_tile=256)),
        ("decode", Saving(encode_tile=256), CPU, 1, 512, Saving(encode_tile=256, decode_tile=256)),
        ("decode", OFF, CUDA, 1, 256, None),
        ("decode", Saving(), CPU, 1, 256, None),
        ("decode", Saving(), MPS, 1, 512, OFF),
        ("decode", Saving(), BARE, 4, 1024, None),
        ("prompt", Saving(), MPS, 4, 1024, OFF),
        ("prompt", OFF, CUDA, 1, 1024, GROUP),
        ("prompt", Saving(), CPU, 4, 1024, None),
        ("load", Saving(), CUDA, 1, 64, OFF),
        ("load", OFF, CUDA, 1, 64, None),
        ("load", OFF, ALL_WAYS, 1, 64, replace(OFF, quantised="fp8")),
        ("load", replace(OFF, quantised="fp8"), ALL_WAYS, 1, 64, replace(OFF, quantised="nf4")),
        ("load", Saving(), CPU, 1, 64, None),
    ],
)  # fmt: skip
def test_the_cheapest_saving_that_helps_comes_next(
    stage: Any, saving: Saving, able: Abilities, together: int, longer: int, following: Any
) -> None:
    assert next_saving(stage, saving, able, square(longer), together=together) == following


def test_encoders_go_to_the_cpu_where_they_are_larger_than_the_rest() -> None:
    task = square(1024, LARGE_ENCODER)
    found = next_saving("prompt", OFF, CUDA, task)
    assert found == Saving(placement="encoders_on_cpu")


@pytest.mark.parametrize("able", [CUDA, MPS, CPU, BARE, ALL_WAYS])
@pytest.mark.parametrize("stage", STAGES)
def test_every_way_down_ends(stage: Any, able: Abilities) -> None:
    saving: Saving | None = Saving()
    seen: list[Saving] = []
    while saving is not None:
        assert saving not in seen
        seen.append(saving)
        together = saving.together or 8
        saving = next_saving(stage, saving, able, square(4096), together=together)
    assert len(seen) <= 1 + 3 + 2 + 1 + 3 + 3


@pytest.mark.parametrize(
    ("native", "cell", "tiles"),
    [
        (512, 8, (512, 256)),
        (768, 8, (768, 384)),
        (1024, 8, (1024, 512)),
        (64, 8, (64, 32)),
        (96, 8, (96, 32)),
        (500, 8, (480, 224)),
        (32, 8, (32,)),
        (16, 8, ()),
    ],
)
def test_tiles(native: int, cell: int, tiles: tuple[int, ...]) -> None:
    assert choose_tiles(native, cell) == tiles


# ---- the first rung ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gigabytes", "chosen"),
    [
        (40, Saving()),
        (12, Saving()),
        (10, OFF),  # decoding does not fit beside the weights, and keeps its bits alone
        (7, OFF),
        (5, GROUP),
        (4, Saving(decode_tile=512, placement="group_offload")),
    ],
)
def test_the_first_rung_is_the_cheapest_that_fits(gigabytes: int, chosen: Saving) -> None:
    able = replace(ALL_WAYS, tiles=(1024, 512))
    assert choose_saving(square(1024), Bytes(gigabytes * GB, 64 * GB), able) == chosen


def test_without_a_gpu_weights_stay_in_16_bits_where_32_are_too_many() -> None:
    """SDXL takes 13.9 GB in 32 bits, and up to 4 GB to decode a picture of its native size."""
    able = replace(CPU, quantised=("", "half"))
    for memory, saving in (
        (10 * GB, Saving(0, 512, 512, quantised="half")),
        (14 * GB, Saving(quantised="half")),
        (16 * GB, Saving(0, 512, 512)),
        (20 * GB, Saving()),
    ):
        free = Bytes(memory, UNLIMITED.host)
        assert choose_saving(square(1024, SDXL_IN_32_BITS), free, able) == saving


def test_weights_are_quantised_where_the_computer_cannot_hold_them() -> None:
    free = Bytes(6 * GB, 6 * GB)
    assert choose_saving(square(1024), free, ALL_WAYS) == replace(OFF, quantised="fp8")
    assert choose_saving(square(1024), free, CUDA).quantised == ""


def test_the_way_that_is_set_is_taken_though_all_would_fit() -> None:
    able = replace(CUDA, quantised=("int8",))
    assert choose_saving(square(1024), UNLIMITED, able) == Saving(quantised="int8")


def test_as_many_images_run_at_once_as_fit() -> None:
    free = Bytes(12 * GB, 64 * GB)
    found = choose_saving(square(1024), free, CUDA, planned=8)
    assert found == Saving(together=4)
    assert choose_saving(square(1024), UNLIMITED, CUDA, planned=8) == Saving()
    few = choose_saving(square(1024), UNLIMITED, CUDA, planned=8, learned=Saving(together=2))
    assert few == Saving(together=2)


# ---- a card ------------------------------------------------------------------------------------

parts = st.integers(1, 20).map(lambda size: PartSize(size * GB, size * GB // 20))
models = st.builds(
    make_needs,
    st.lists(parts, min_size=1, max_size=3),
    parts,
    parts.map(lambda part: PartSize(part.weights // 20, part.largest // 20)),
    vae_number=st.sampled_from([2, 4]),
)
tasks = st.builds(Task, models, st.builds(Extent, st.integers(64, 4096), st.integers(64, 4096)))
cards = st.builds(Bytes, st.integers(0, 80).map(GB.__mul__), st.integers(0, 160).map(GB.__mul__))
ways: st.SearchStrategy[tuple[Quantised, ...]] = st.sampled_from(
    [("",), ("", "half"), ("", "fp8"), ("", *GPU_QUANTISED), ("nf4",)]
)
placed: st.SearchStrategy[tuple[Placement, ...]] = st.sampled_from(
    [("gpu",), ("gpu", "offload"), PLACEMENTS]
)
abilities = st.builds(
    Abilities,
    st.sampled_from([(), (512,), (1024, 512)]),
    st.booleans(),
    placed,
    ways,
)


@given(tasks, cards, abilities, st.integers(1, 16))
def test_the_chosen_rung_fits_wherever_any_does_and_none_before_it_fits(
    task: Task, card: Bytes, able: Abilities, planned: int
) -> None:
    chosen = choose_saving(task, card, able, planned=planned)
    rungs = list_rungs(able, task.size.longer)
    place = rungs.index(replace(chosen, together=0))
    assert task.fits(chosen, card) == any(task.fits(rung, card) for rung in rungs)
    if task.fits(chosen, card):
        assert not any(task.fits(rung, card) for rung in rungs[:place])
        together = chosen.together or planned
        assert task.most("denoise", chosen, together).device <= card.device or together == 1
    if chosen.quantised != able.quantised[0]:
        assert not any(task.fits(rung, card) for rung in rungs if rung.quantised == "")


@given(tasks, abilities)
def test_the_rungs_are_ordered_by_what_they_change(task: Task, able: Abilities) -> None:
    rungs = list_rungs(able, task.size.longer)
    assert len(set(rungs)) == len(rungs)
    changes = [
        (QUANTISED.index(rung.quantised), rung.encode_tile > 0 or rung.decode_tile > 0)
        for rung in rungs
    ]
    assert changes == sorted(changes)


def gives_up(saving: Saving, able: Abilities) -> tuple[int, ...]:
    tiles = (0, *able.tiles)
    return (
        QUANTISED.index(saving.quantised),
        tiles.index(saving.encode_tile),
        tiles.index(saving.decode_tile),
        PLACEMENTS.index(saving.placement),
        int(saving.sliced),
    )


def run_on(
    card: Bytes, truth: Task, task: Task, able: Abilities, planned: int, learned: Saving
) -> tuple[Saving | None, list[Saving]]:
    """Run every stage on a card whose allocator knows the truth, as `Fitting` does.

    Returns
    -------
    saving : Saving or None
        What it was painted with; None for an error.
    failed : list of Saving
        What did not fit.
    """
    saving = choose_saving(task, card, able, planned=planned, learned=learned)
    failed: list[Saving] = []
    at = 0
    while at < len(STAGES):
        stage: Stage = STAGES[at]
        together = min(planned, saving.together or planned) if stage == "denoise" else 1
        most = truth.most(stage, saving, together)
        if most.device <= card.device and (stage != "load" or most.host <= card.host):
            at += 1
            continue
        failed.append(saving)
        below = next_saving(stage, saving, able, task, free=card, together=together)
        if below is None:
            return None, failed
        assert gives_up(below, able) >= gives_up(saving, able)
        assert below != saving
        if below.quantised != saving.quantised:
            at = 0  # it is opened anew
        saving = below
    return saving, failed


@given(tasks, cards, abilities, st.integers(1, 16), st.floats(0.3, 3), st.floats(0.3, 3))
def test_each_failure_goes_down_and_ends_in_a_picture_or_an_error(
    task: Task, card: Bytes, able: Abilities, planned: int, weights: float, working: float
) -> None:
    """The estimate may be wrong by three times, either way, in each of its parts."""

    def scaled(part: PartSize) -> PartSize:
        return PartSize(int(part.weights * weights), int(part.largest * weights))

    needs = task.needs
    truth = replace(
        task,
        needs=MemoryNeeds(
            tuple(scaled(one) for one in needs.encoders),
            scaled(needs.denoiser),
            scaled(needs.vae),
            int(needs.denoising * working),
            int(needs.encoding * working),
            int(needs.decoding * working),
        ),
    )
    saving, failed = run_on(card, truth, task, able, planned, Saving())
    assert len(set(failed)) == len(failed)
    if saving is not None:
        again, failures = run_on(card, truth, task, able, planned, saving)
        assert failures == []  # what worked is remembered
        assert again == saving


@given(tasks, cards, abilities, st.integers(1, 16))
def test_where_the_estimate_is_right_nothing_fails(
    task: Task, card: Bytes, able: Abilities, planned: int
) -> None:
    saving, failed = run_on(card, task, task, able, planned, Saving())
    fits = any(task.fits(rung, card) for rung in list_rungs(able, task.size.longer))
    if fits:
        assert saving is not None
        assert failed == []


# ---- what is remembered ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pixels", "saving"),
    [(99, Saving()), (100, Saving(decode_tile=64)), (299, Saving(decode_tile=64)), (300, OFF),
     (10**9, OFF)],
)  # fmt: skip
def test_what_helped_is_for_that_size_and_above(pixels: int, saving: Saving) -> None:
    known = {300: OFF, 100: Saving(decode_tile=64)}
    assert first_saving(known, pixels) == saving


FREE = Bytes(8.0 * GB, 32.0 * GB)
MANY = {0: OFF, 65536: Saving(1, 64, 32, True, "group_offload", "nf4")}


def test_what_helped_is_known_at_the_next_start(home: Path) -> None:
    first = Experience.recall("one", FREE)
    assert first.savings == {}
    first.savings.update(MANY)
    first.keep()
    assert Experience.recall("one", FREE).savings == MANY
    assert Experience.recall("another", FREE).savings == {}
    text = LEARNED.path.read_bytes()
    first.keep()
    assert LEARNED.path.read_bytes() == text
    assert Experience.recall("one", Bytes(16.0 * GB, FREE.host)).savings == {}  # there is room now
    del first.savings[65536]
    first.keep()
    assert Experience.recall("one", FREE).savings == {0: OFF}


def test_nothing_is_kept_without_a_key(home: Path) -> None:
    Experience(dict(MANY)).keep()
    assert not LEARNED.path.exists()


def test_what_is_kept_is_bounded(home: Path) -> None:
    for number in range(70):
        one = Experience.recall(str(number), FREE)
        one.savings.update(dict.fromkeys(range(40), OFF))
        one.keep()
    kept = json.loads(LEARNED.path.read_text())
    assert len(kept) == 64
    assert "69" in kept
    assert max(len(entry["savings"]) for entry in kept.values()) == 16
    assert LEARNED.path.stat().st_size < 400_000


@pytest.mark.parametrize("text", ["", "[", "[]", "3", '{"one": 3}', "[[[" * 9999, "\0\0"])
def test_a_damaged_file_is_as_none(home: Path, text: str) -> None:
    LEARNED.path.write_text(text)
    known = Experience.recall("one", FREE)
    assert known.savings == {}
    known.savings[0] = OFF
    known.keep()
    assert Experience.recall("one", FREE).savings == {0: OFF}


GOOD = write_entry(MANY, FREE)
VALUES = GOOD["savings"][0][1]


@pytest.mark.parametrize(
    "savings",
    [None, 7, "no", [7], [[1]], [["1", VALUES]], [[-1, VALUES]],
     [[1, VALUES | {"placement": "disk"}]],
     [[1, VALUES | {"quantised": "q4"}]], [[1, VALUES | {"together": -1}]],
     [[1, VALUES | {"decode_tile": 1.5}]], [[1, VALUES | {"sliced": 1}]],
     [[1, VALUES | {"more": 1}]], [[1, {}]], [[1, VALUES | {"placement": []}]]],
)  # fmt: skip
def test_wrong_values_are_passed_over(savings: Any) -> None:
    assert read_entry(GOOD | {"savings": savings}, FREE) == {}
    if isinstance(savings, list):
        assert read_entry(GOOD | {"savings": [*savings, [5, VALUES]]}, FREE) == {5: OFF}


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_can_be_read(found: Any) -> None:
    assert read_entry(found, FREE) == {}
