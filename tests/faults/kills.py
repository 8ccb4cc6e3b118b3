"""Kill worker, daemon and client at random moments, and see that no accepted job is lost.

By hand, from `tests/`: `python -m faults.kills --kills 200`. What counts is at the end: each job
that was accepted has all its layers once, or an error that says why not; and each layer has the
pixels that an undisturbed run of its seed paints.
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

from limited import memory_limit
from underpaint_client import connect, messages
from underpaint_client.errors import UnderpaintError
from underpaint_client.frames import Frame
from underpaint_client.inputs import InputFrames
from underpaint_editor.batch import Result

from .artist import BOX, FORM, IMAGES, PIXELS, SEEDS, describe_layer, read_lines

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
    lost, doubled, wrong : list of str
        Jobs that ended in neither, layers that are there twice, and layers with other pixels.
    reasons : Counter of str
        What the errors said.
    """

    kills: Counter[str]
    accepted: int
    whole: int
    failed: int
    lost: list[str]
    doubled: list[str]
    wrong: list[str]
    reasons: Counter[str]


def judge(
    kills: Counter[str],
    accepted: list[str],
    layers: list[str],
    errors: list[str],
    painted: dict[str, str],
) -> Tally:
    """Compare what was accepted with what came of it.

    Parameters
    ----------
    kills : Counter of str
    accepted, layers, errors : list of str
        The lines of the artist's three files.
    painted : dict of str to str
        What an undisturbed run of each seed paints, as a digest.
    """
    accepted = list(dict.fromkeys(accepted))  # a new client notes anew what it fetches
    counted = Counter(" ".join(line.split()[:2]) for line in layers)
    wrong = [line for line in layers if painted.get(line.split()[2]) != line.split()[3]]
    of_job = Counter(line.split()[0] for line in counted)
    reasons: dict[str, str] = dict(json.loads(line) for line in errors)
    whole = [job for job in accepted if of_job[job] == IMAGES]
    failed = [job for job in accepted if of_job[job] < IMAGES and job in reasons]
    lost = [job for job in accepted if of_job[job] < IMAGES and job not in reasons]
    doubled = [line for line, times in counted.items() if times > 1]
    told = Counter(reasons[job].split(";")[0] for job in failed)
    return Tally(kills, len(accepted), len(whole), len(failed), lost, doubled, wrong, told)


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
        """Start what is dead. The daemon is started by the artist's session or by us."""
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
        accepted, layers, errors = map(self._noted, ("accepted", "layers", "errors"))
        return judge(self.kills, accepted, layers, errors, paint_undisturbed())

    def _noted(self, name: str) -> list[str]:
        return read_lines(self.folder / name)


def paint_undisturbed() -> dict[str, str]:
    """Return what each seed of the artist's is, as a digest."""
    found: dict[str, str] = {}
    frame = Frame("layer", BOX, "u1", "RGBA", PIXELS)
    with connect() as connection:
        for seed in SEEDS:
            job = connection.submit(FORM.with_values(seed=seed).request(seed), InputFrames(frame))
            for message, frames in connection.events(job):
                if isinstance(message, messages.Picture):
                    result = Result("", frames[0], message.recipe, job, message.index)
                    _, _, of_image, digest = describe_layer(result).split()
                    found[of_image] = digest
    return found


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
    sys.exit(bool(tally.lost or tally.doubled or tally.wrong))


if __name__ == "__main__":
    with memory_limit():
        main()
