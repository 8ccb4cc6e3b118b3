"""An artist who never stops: the editors' session on a loop of its own, with a document on paper.

Run as `python -m faults.artist FOLDER` by `faults.kills`, which kills it. The document is a file: a
line for each layer, a batch written at once as an editor's one undo step is. A line says job,
number, seed and a digest of the pixels, which must be those of an undisturbed run of that seed.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import json
import select
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from underpaint_client.address import Address
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box
from underpaint_client.sentences import Sentence
from underpaint_editor.batch import Result
from underpaint_editor.form import Form
from underpaint_editor.layer_role import LayerRole, RoleLayer
from underpaint_editor.notices import Ended, Notice
from underpaint_editor.session import Session
from underpaint_editor.survey import Survey

BOX = Box(0, 0, 64, 64)
PIXELS = bytes(
    itertools.islice(itertools.cycle((200, 120, 40, 255, 10, 90, 160, 255)), 64 * 64 * 4)
)
QUIET = 8.0
"""Seconds without events that end the run: longer than it takes to be offered what another left."""

AT_ONCE = 3
IMAGES = 2
SEEDS = (11, 23, 35)  # few, so that each is painted often
FORM = Form.of(
    prompt="a lake",
    model="sd",
    steps=30,
    strength=1.0,
    images=IMAGES,
    previews=False,
    seed_locked=True,
)


class Loop:
    """An event loop of descriptors and timers."""

    def __init__(self) -> None:
        self._calls: dict[int, Callable[[], None]] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()

    def watch(self, fd: int, call: Callable[[], None]) -> Callable[[], None]:
        self._calls[fd] = call
        return lambda: self._calls.pop(fd, None) and None

    def call_later(self, milliseconds: int, call: Callable[[], None]) -> None:
        when = time.monotonic() + milliseconds / 1000
        heapq.heappush(self._timers, (when, next(self._count), call))

    def turn(self) -> None:
        ready, _, _ = select.select(list(self._calls), [], [], 0.02)
        for fd in ready:
            self._calls.get(fd, lambda: None)()
        while self._timers and self._timers[0][0] <= time.monotonic():
            heapq.heappop(self._timers)[2]()


class Listener:
    """Somebody who does not listen."""

    def show_message(self, text: str) -> None: ...
    def show_progress(self, fraction: float | None) -> None: ...
    def show_preview(self, frame: Frame | None) -> None: ...
    def refresh(self) -> None: ...


def read_lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def describe_layer(result: Result) -> str:
    """Return a layer's line in the document."""
    seed = 0 if result.recipe is None else result.recipe.facts.seed
    digest = hashlib.sha256(result.frame.data).hexdigest()
    return f"{result.job} {result.index} {seed} {digest}"


class Nothing:
    """What is around the layer."""

    is_drawn = False

    def count_regions(self) -> int:
        return 0

    def is_new(self) -> bool:
        return False

    def shows_below(self) -> bool:
        return False

    def read_context(self, box: Box) -> Frame:
        raise AssertionError("nothing is below")


class Paper:
    """A document that survives its artist.

    Parameters
    ----------
    folder : Path
        Holds `layers`, `accepted` and `errors`, a line each.
    """

    is_open = True
    layer_id = "{layer}"
    can_redo = None
    role = None

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.address = Address("Paper", str(folder), self.layer_id, 64, 64)

    def note(self, file: str, *lines: object) -> None:
        with (self.folder / file).open("a") as stream:
            stream.write("".join(f"{line}\n" for line in lines))

    def survey(self) -> Survey:
        raise AssertionError("there is no window to say it in")

    def read(self, native: int, *, whole: bool) -> dict[str, Frame]:
        return {"layer": Frame("layer", BOX, "u1", "RGBA", PIXELS)}

    def is_empty(self) -> bool:
        return False

    def set_role(self, role: LayerRole | None) -> None: ...

    def control_layers(self) -> Sequence[RoleLayer]:
        return ()

    @property
    def surroundings(self) -> Nothing:
        return Nothing()

    def placement_notes(self) -> Sequence[Sentence]:
        return ()

    def inserted_images(self, job: str) -> frozenset[int]:
        found = (line.split() for line in read_lines(self.folder / "layers"))
        return frozenset(int(index) for name, index, *_ in found if name == job)

    def show_preview(self, frame: Frame, area: Box) -> None: ...
    def remove_preview(self) -> None: ...

    def insert(self, title: str, results: Sequence[Result], into: Any = None) -> object:
        self.note("layers", *(describe_layer(one) for one in results))
        return title

    def insert_control_layer(self, result: Result, role: LayerRole) -> object:
        raise AssertionError("nobody asked for a control layer", result, role)

    def open_as_document(self, title: str, results: Sequence[Result]) -> None:
        raise AssertionError("the document is open")

    def save_form(self, text: str) -> None: ...


class Witness(Session):
    """A session that notes errors before it acknowledges what they were about."""

    paper: Paper

    def handle_notices(self, notices: Iterable[Notice]) -> bool:
        return super().handle_notices(self._noted(notices))

    def _noted(self, notices: Iterable[Notice]) -> Iterator[Notice]:
        for notice in notices:
            if isinstance(notice, Ended) and notice.error is not None:
                self.paper.note("errors", json.dumps([notice.job.name, str(notice.error)]))
            yield notice


def work(folder: Path) -> None:
    """Generate until the file `enough` is there, then wait for all that is underway."""
    paper, loop = Paper(folder), Loop()
    session = Witness("Paper", loop, Listener(), lambda _: paper)
    session.paper = paper
    seeds = itertools.cycle(SEEDS)
    accepted: set[str] = set()
    quiet = time.monotonic()
    while time.monotonic() - quiet < QUIET:
        enough = (folder / "enough").exists()
        if session.remedy:
            session.apply_remedy()
        elif not enough and len(session.tracker.jobs) < AT_ONCE and session.tracker.fd is not None:
            session.generate(FORM.with_values(seed=next(seeds)), lambda: paper)
        loop.turn()
        for job in session.tracker.jobs.values():
            if job.accepted and job.name not in accepted:
                accepted.add(job.name)
                paper.note("accepted", job.name)
        if not enough or session.running or session.remedy:
            quiet = time.monotonic()


if __name__ == "__main__":
    work(Path(sys.argv[1]))
