"""Kill worker, daemon and client at random moments, and see that no accepted job is lost.

By hand, from `tests/`: `python -m faults.kills --kills 200`. What counts is at the end: each job
that was accepted has all its layers once, or an error that says why not.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from underpaint_client import connect
from underpaint_client.errors import UnderpaintError

from .artist import IMAGES, read_lines

LONGEST_PAUSE = 4.0
PATIENCE = 90.0  # seconds in which nothing ends


@dataclass(frozen=True)
class Tally:
    """What came of it.

    Parameters
    ----------
    kills : Counter of str
        How often whom.
    accepted, whole, failed : int
        Jobs: all, those with all their layers, and those that ended in an error.
    lost, doubled : list of str
        Jobs that ended in neither, and layers that are there twice.
    reasons : Counter of str
        What the errors said.
    """

    kills: Counter[str]
    accepted: int
    whole: int
    failed: int
    lost: list[str]
    doubled: list[str]
    reasons: Counter[str]


def judge(kills: Counter[str], accepted: list[str], layers: list[str], errors: list[str]) -> Tally:
    """Compare what was accepted with what came of it: the lines of the artist's three files."""
    accepted = list(dict.fromkeys(accepted))  # a new client notes anew what it fetches
    counted = Counter(layers)
    of_job = Counter(line.split()[0] for line in counted)
    reasons: dict[str, str] = dict(json.loads(line) for line in errors)
    whole = [job for job in accepted if of_job[job] == IMAGES]
    failed = [job for job in accepted if of_job[job] < IMAGES and job in reasons]
    lost = [job for job in accepted if of_job[job] < IMAGES and job not in reasons]
    doubled = [line for line, times in counted.items() if times > 1]
    told = Counter(reasons[job].split(";")[0] for job in failed)
    return Tally(kills, len(accepted), len(whole), len(failed), lost, doubled, told)


@dataclass
class Siege:
    """A home under attack, with `UNDERPAINT_HOME` set to it.

    Parameters
    ----------
    folder : Path
        The artist's document.
    """

    folder: Path
    kills: Counter[str] = field(default_factory=Counter)
    artist: subprocess.Popen[bytes] | None = None

    def revive(self) -> None:
        """Start what is dead. The daemon is started by the artist's office or by us."""
        subprocess.run(
            [sys.executable, "-m", "underpaint", "serve", "--background"],
            capture_output=True, check=False,
        )  # fmt: skip
        if self.artist is None or self.artist.poll() is not None:
            with (self.folder / "told").open("ab") as told:
                self.artist = subprocess.Popen(
                    [sys.executable, "-m", "faults.artist", str(self.folder)],
                    cwd=Path(__file__).parents[1], stdout=told, stderr=told,
                )  # fmt: skip

    def kill(self, whom: str) -> None:
        """Kill one of them, if it lives."""
        pid = self._find(whom)
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.kills[whom] += 1
        if whom == "client" and self.artist is not None:
            self.artist.wait()

    def _find(self, whom: str) -> int:
        if whom == "client":
            return self.artist.pid if self.artist is not None else 0
        try:
            with connect() as connection:
                status = connection.status()
        except UnderpaintError:
            return 0
        if whom == "daemon":
            return status.pid
        return 0 if status.workers[0].state == "starting" else status.workers[0].pid

    def finish(self) -> Tally:
        """Let all come to its end, and judge."""
        (self.folder / "enough").touch()
        self.revive()
        seen, since = 0, time.monotonic()
        while self.artist is not None and self.artist.poll() is None:
            ended = len(self._noted("layers")) + len(self._noted("errors"))
            if ended > seen:
                seen, since = ended, time.monotonic()
            if time.monotonic() - since > PATIENCE:
                self.artist.kill()
                break
            time.sleep(0.2)
        return judge(self.kills, *(self._noted(name) for name in ("accepted", "layers", "errors")))

    def _noted(self, name: str) -> list[str]:
        return read_lines(self.folder / name)


def besiege(kills: int, seed: int, whom: tuple[str, ...] = ("worker", "daemon", "client")) -> Tally:
    """Kill that often, at random moments.

    Parameters
    ----------
    kills : int
    seed : int
        Of the moments and of whom; what they hit is not the same twice.
    whom : tuple of str
        `worker`, `daemon`, `client`.
    """
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="uf-") as folder:
        siege = Siege(Path(folder))
        try:
            while siege.kills.total() < kills:
                siege.revive()
                time.sleep(dice.uniform(0, LONGEST_PAUSE))
                siege.kill(dice.choice(whom))
            return siege.finish()
        finally:
            if siege.artist is not None:
                siege.artist.kill()
                siege.artist.wait()


@contextlib.contextmanager
def a_home() -> Iterator[None]:
    """A home of its own, with a small model in it."""
    from tiny_models import build_model

    with tempfile.TemporaryDirectory(prefix="up-") as folder:
        os.environ["UNDERPAINT_HOME"] = folder
        build_model(Path(folder) / "models" / "sd")
        try:
            yield
        finally:
            subprocess.run([sys.executable, "-m", "underpaint", "stop"], check=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with a_home():
        tally = besiege(options.kills, options.seed)
    print(tally)
    sys.exit(bool(tally.lost or tally.doubled))


if __name__ == "__main__":
    main()
