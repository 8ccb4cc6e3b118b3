from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

from faults.artist import IMAGES, SEEDS
from faults.kills import besiege, judge, paint_undisturbed


def test_judging() -> None:
    painted = {"11": "a", "12": "b"}
    layers = [
        *("whole 0 11 a", "whole 1 12 b", "half 0 11 a", "told 0 11 a"),
        *("twice 0 11 a", "twice 1 12 b", "twice 1 12 b"),
        *("swapped 0 11 b", "swapped 1 12 b", "black 0 11 c", "black 1 13 b"),
    ]
    accepted = ["whole", "half", "told", "nothing", "twice", "swapped", "black"]
    tally = judge(Counter(), accepted, layers, ['["told", "no room; make some"]'], painted)
    assert (tally.accepted, tally.whole, tally.failed) == (7, 4, 1)
    assert tally.lost == ["half", "nothing"]
    assert tally.doubled == ["twice 1"]
    assert tally.wrong == ["swapped 0 11 b", "black 0 11 c", "black 1 13 b"]
    assert tally.reasons == {"no room": 1}


def test_no_accepted_job_is_lost(home: Path, models: Path) -> None:
    shutil.copytree(models / "sd", home / "models" / "sd")
    tally = besiege(6, seed=3)
    assert tally.lost == []
    assert tally.doubled == []
    assert tally.wrong == []
    assert len(set(paint_undisturbed().values())) == len(SEEDS) * IMAGES  # or it could not fail
    assert tally.whole > 0
