"""Pictures to learn from, painted on the spot by as many processes as there are cores.

A shard is two files, `pictures-00012.npy` (uint8, (n, size, size, 3)) and `captions-00012.json`
(a list of captions for each), and follows from the seed and its number alone. The captions are
written last: a shard that has them is whole.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from .painter import describe, paint, sample_scene

HELD_OUT = 2_000_000_000
"""Seeds from here on are never trained on."""

CAPTIONS = 6
"""Captions a picture has: one is drawn each time that it is seen."""

_CROPPED = 0.2  # of the pictures are pieces of larger ones, as a painter's work area is
_LARGEST = 1.75  # times the size, of those


@dataclass(frozen=True)
class Shard:
    """Painted pictures with what is to be seen in them.

    Parameters
    ----------
    pictures : uint8, (n, size, size, 3)
        sRGB; mapped from disk.
    captions : tuple of tuple of str
        For each picture.
    """

    pictures: NDArray[np.uint8]
    captions: tuple[tuple[str, ...], ...]


def list_shards(folder: Path) -> list[int]:
    """Return the numbers of the shards that are there, whole."""
    return sorted(int(file.stem.partition("-")[2]) for file in folder.glob("captions-*.json"))


def open_shard(folder: Path, number: int) -> Shard:
    """Open a shard."""
    pictures, _ = _files(folder, number)
    return Shard(np.load(pictures, mmap_mode="r"), read_captions(folder, number))


def read_captions(folder: Path, number: int) -> tuple[tuple[str, ...], ...]:
    """Read a shard's captions, some for each picture."""
    _, captions = _files(folder, number)
    return tuple(map(tuple, json.loads(captions.read_text(encoding="utf-8"))))


def paint_shard(folder: Path, number: int, seed: int, count: int, size: int) -> None:
    """Paint a shard, unless it is there."""
    pictures, captions = _files(folder, number)
    if captions.exists():
        return
    rng = np.random.default_rng([seed, number])
    painted = np.empty((count, size, size, 3), np.uint8)
    told = []
    for index in range(count):
        painted[index], words = paint_one(rng, size)
        told.append(words)
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(pictures) as draft, draft.open("wb") as stream:
        np.save(stream, painted)
    with whole_file(captions) as draft:
        draft.write_text(json.dumps(told), encoding="utf-8")


@contextmanager
def whole_file(file: Path) -> Iterator[Path]:
    """Return a draft to write, which becomes the file when all of it is there."""
    draft = file.with_suffix(".draft")
    yield draft
    draft.replace(file)


def paint_one(rng: np.random.Generator, size: int) -> tuple[NDArray[np.uint8], list[str]]:
    """Paint one picture, whole or a piece of a larger one, and describe it."""
    scene = sample_scene(rng)
    cropped = rng.random() < _CROPPED
    whole = round(size * rng.uniform(1, _LARGEST)) if cropped else size
    top, left = rng.integers(0, whole - size + 1, 2)
    picture = paint(scene, whole)[top : top + size, left : left + size]
    return picture, [describe(scene, rng) for _ in range(CAPTIONS)]


@contextmanager
def painters(
    folder: Path, *, seed: int, shards: int, count: int, size: int, processes: int
) -> Iterator[Callable[[], bool]]:
    """Have shards painted in the background, in order, until all are there or the block ends.

    With 0 processes nothing is painted in the background: each call paints the next shard, which
    suits a machine that has other work to do.

    Yields
    ------
    callable
        Says whether some still paint.
    """
    if not processes:
        missing = (n for n in range(shards) if n not in list_shards(folder))

        def paint_next() -> bool:
            number = next(missing, None)
            if number is not None:
                paint_shard(folder, number, seed, count, size)
            return number is not None

        yield paint_next
        return
    context = multiprocessing.get_context("spawn")
    tasks = context.SimpleQueue()
    for number in range(shards):
        tasks.put(number)
    for _ in range(processes):
        tasks.put(None)
    workers = [
        context.Process(target=_paint_shards, args=(tasks, folder, seed, count, size), daemon=True)
        for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    try:
        yield lambda: any(worker.is_alive() for worker in workers)
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()


def _paint_shards(
    tasks: multiprocessing.SimpleQueue[int | None], folder: Path, seed: int, count: int, size: int
) -> None:
    cv2.setNumThreads(1)
    os.nice(5)  # what trains goes first
    parent = multiprocessing.parent_process()
    while (number := tasks.get()) is not None and parent is not None and parent.is_alive():
        paint_shard(folder, number, seed, count, size)


def _files(folder: Path, number: int) -> tuple[Path, Path]:
    return folder / f"pictures-{number:05}.npy", folder / f"captions-{number:05}.json"
