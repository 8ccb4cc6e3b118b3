from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

from faults.kills import besiege, judge


def test_judging() -> None:
    layers = ["whole 0", "whole 1", "half 0", "told 0", "twice 0", "twice 1", "twice 1"]
    accepted = ["whole", "half", "told", "nothing", "twice"]
    tally = judge(Counter(), accepted, layers, ['["told", "no room; make some"]'])
    assert (tally.accepted, tally.whole, tally.failed) == (5, 2, 1)
    assert tally.lost == ["half", "nothing"]
    assert tally.doubled == ["twice 1"]
    assert tally.reasons == {"no room": 1}


def test_no_accepted_job_is_lost(home: Path, models: Path) -> None:
    shutil.copytree(models / "sd", home / "models" / "sd")
    tally = besiege(6, seed=3)
    assert tally.lost == []
    assert tally.doubled == []
    assert tally.whole > 0
