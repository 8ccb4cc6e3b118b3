"""Both editors against a daemon of another machine: another home, TCP, keys of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from daemons import RUN
from real_editors import Gimp, Krita, find_gimp, without_errors
from tiny_models import build_model


def underpaint(home: Path, *words: str) -> str:
    """Run a command on the other machine, and give all that it says."""
    done = subprocess.run(
        [*RUN, *words], env={**os.environ, "UNDERPAINT_HOME": str(home)},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout + done.stderr


@pytest.fixture
def far() -> Iterator[Path]:
    """The home of another machine."""
    folder = Path(tempfile.mkdtemp(prefix="up-"))
    build_model(folder / "models" / "sd")
    yield folder
    underpaint(folder, "stop")
    shutil.rmtree(folder, ignore_errors=True)


def test_editors_paint_on_another_machine(krita: Krita, far: Path) -> None:
    gimp = Gimp(*find_gimp(), home=krita.home)
    krita.underpaint("stop")
    told = underpaint(far, "serve", "--background", "--bind", "tcp://127.0.0.1:*")
    *_, endpoint, server = told.split()
    underpaint(far, "keys", "allow", krita.underpaint("keys", "new").strip(), "the editors")
    krita.underpaint("connect", endpoint, server)
    try:
        with ThreadPoolExecutor() as pool:
            there = pool.submit(gimp.run, "shared")
            in_krita = without_errors(krita.run("shared", "eraser", "batch"))
            in_gimp = without_errors(there.result())
    finally:
        krita.underpaint("connect", "--forget")
        gimp.close()
    for said, name in ((in_krita("shared"), "from Krita"), (in_gimp("shared"), "from GIMP")):
        assert len([group for group in said["groups"] if group.startswith(name)]) == 3
    assert krita.home
    assert not (krita.home / "connection.json").exists()  # no daemon of this machine helped
    for scenario in ("eraser", "batch"):
        in_krita(scenario)
