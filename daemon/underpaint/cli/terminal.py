"""What a person sees while a job runs: a bar on a terminal, quiet lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from underpaint_client import messages
from underpaint_client.printable import one_line, printable

from . import printing

_LONGEST_PHASE = 200


class Display:
    """Quiet lines on standard error: one for each new phase."""

    def __init__(self) -> None:
        self._phase = ""
        self._notes: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        """End the display."""

    def say(self, text: str) -> None:
        """Print a line."""
        printing.say(text)

    def note(self, note: str) -> None:
        """Print a note, but only once: what is known before a job, its images tell again."""
        if note not in self._notes:
            self._notes.add(note)
            self.say(f"note: {note}")

    def result(self, show: Callable[[], None]) -> None:
        """Print a result: have `show` do so, on standard output."""
        show()

    def progress(self, progress: messages.Progress) -> None:
        """Show how far the job is."""
        phase = _name(progress)
        if phase != self._phase:
            self._phase = phase
            self.say(phase)


class _Speed(ProgressColumn):
    """Steps a second, or seconds a step where it is slow."""

    def render(self, task: Task) -> Text:
        if not task.speed:
            return Text("")
        if task.speed >= 1:
            return Text(f"{task.speed:.1f} steps/s")
        return Text(f"{1 / task.speed:.1f} s/step")


class Bar(Display):
    """A bar with step, speed and time left."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            _Speed(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            redirect_stdout=False,  # results are for whoever reads them, not for the bar
            redirect_stderr=False,
        )
        self._task = self._bar.add_task("Waiting", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Remove the progress bar."""
        self._bar.stop()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._bar.console.print(
            printable(text), markup=False, highlight=False, emoji=False, soft_wrap=True
        )

    def result(self, show: Callable[[], None]) -> None:
        """Print a result, and not into the bar where both are on the screen."""
        self._bar.stop()
        super().result(show)
        self._bar.start()

    def progress(self, progress: messages.Progress) -> None:
        """Move the bar."""
        phase = _name(progress)
        if phase != self._phase:
            self._phase = phase
            self._bar.reset(self._task, description=phase, total=progress.steps or None)
        self._bar.update(self._task, completed=progress.step, total=progress.steps or None)


def _name(progress: messages.Progress) -> str:
    phase = one_line(progress.phase, _LONGEST_PHASE)
    return f"{phase} {progress.image} of {progress.images}" if progress.images > 1 else phase


def make_display() -> Display:
    """Return the display that fits where standard error goes."""
    console = Console(stderr=True)
    return Bar(console) if console.is_terminal else Display()
