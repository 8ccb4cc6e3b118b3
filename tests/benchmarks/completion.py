"""Measure completion in a list of 100,000 tags: `python tests/benchmarks/completion.py`."""

from __future__ import annotations

import random
import time

from underpaint_client.name_search import NameIndex
from underpaint_client.prompt_completion import Candidates, complete, read_tags

COUNT = 130_000
WORDS = 4000
TYPED = ("bl", "blue", "ai", "aa", "zz", "zzzz", "e e", "a_b", "ee", "qx", "the last tag")


def make_lines(count: int = COUNT) -> list[str]:
    """Return lines as lists of Danbooru's tags have them."""
    dice = random.Random(1)
    words = [
        "".join(dice.choices("etaoinshrdlucmfwypvbgkqjxz", k=dice.randint(2, 9)))
        for _ in range(WORDS)
    ]
    return [f"{'_'.join(dice.choices(words, k=dice.randint(1, 4)))},0,9\n" for _ in range(count)]


def measure() -> None:
    """Print the milliseconds of reading the list, and of each key."""
    lines = make_lines()
    begun = time.perf_counter()
    tags = NameIndex(read_tags(lines))
    read = 1000 * (time.perf_counter() - begun)
    print(f"{len(tags.names)} tags are read in {read:.0f} ms (not in the editor's own thread)")
    candidates = Candidates(tags=tags)
    for text in TYPED:
        times = []
        for _ in range(20):
            begun = time.perf_counter()
            found = complete(text, len(text), candidates)
            times.append(1000 * (time.perf_counter() - begun))
        times.sort()
        print(f"{text!r:16} {len(found):2} found, {times[10]:.2f} ms, at most {times[-1]:.2f} ms")


if __name__ == "__main__":
    measure()
