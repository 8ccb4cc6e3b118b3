"""`underpaint results`: what was painted for an editor or command line that has ended since."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from underpaint_client import messages
from underpaint_client.address import Address
from underpaint_client.errors import BadInputError, GenerationFailedError, from_code
from underpaint_client.frames import Frame

from .daemon_connection import open_connection
from .job_runner import COMMAND_LINE
from .options import Parser
from .output_spec import OutputSpec, forget_spec, recall_spec
from .outputs import FreeNames, make_stem, open_folder
from .pictures import Metadata
from .printing import say, show, show_path
from .terminal import Display

if TYPE_CHECKING:
    from underpaint_client import Connection
    from underpaint_client.messages import WaitingJob

J = TypeVar("J", messages.WaitingJob, messages.JobStatus)

ALL = "all"


def make_parser() -> Parser:
    """Return the parser of `underpaint results`."""
    parser = Parser(
        "results",
        "List, save or delete results whose editor or command line ended before they arrived.\n"
        "--save waits for a job that is not finished; --drop cancels it.",
    )
    add = parser.add_argument
    add(
        "job",
        nargs="*",
        help="the first characters of a listed job, or `all` (default: all)",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--save", type=Path, metavar="FOLDER", help="write them as PNG files into this folder"
    )
    what.add_argument("--drop", action="store_true", help="delete them; name jobs, or `all`")
    return parser


def run_results(words: Sequence[str]) -> int:
    """List what waits, save it or drop it."""
    options = make_parser().read(words)
    if options.drop and not options.job:
        raise BadInputError(
            "--drop needs to know which jobs to delete; name the jobs, or use `--drop all`"
        )
    with open_connection(Display()) as connection:
        chosen = choose(connection.waiting(), options.job)
        if not chosen:
            say("nothing waits")
        names = open_folder(options.save, "--save") if chosen and options.save else None
        for job in chosen:
            _carry_out(connection, job, options, names)
    return 0


def choose(
    jobs: Sequence[J], names: Sequence[str], *, where: str = "that waits", lister: str = "results"
) -> list[J]:
    """Return the jobs whose ids begin with one of the names, each once; all for `all` or no names.

    Parameters
    ----------
    jobs : sequence of WaitingJob or JobStatus
    names : sequence of str
    where, lister : str
        What kind of jobs they are, and the command that lists them, for errors.

    Raises
    ------
    BadInputError
        Names what fits no job, or more than one.
    """
    if not names or list(names) == [ALL]:
        return list(jobs)
    found: dict[str, J] = {}
    for name in names:
        fitting = [job for job in jobs if job.job.startswith(name)]
        if not fitting:
            raise BadInputError(
                "no job {where} begins with {name!r}; `underpaint {command}` lists them",
                where=where,
                name=name,
                command=lister,
            )
        if len(fitting) > 1:
            which = ", ".join(job.job[:8] for job in fitting)
            raise BadInputError(
                "{count} jobs begin with {name!r}: {jobs}; give more of its characters",
                count=len(fitting),
                name=name,
                jobs=which,
            )
        found[fitting[0].job] = fitting[0]
    return list(found.values())


def describe(job: WaitingJob) -> str:
    """Return a job's line in the list."""
    address = Address.from_text(job.note)
    place = ", ".join(part for part in (address.editor, address.document) if part)
    state = "ended" if job.ended else "not done"
    prompt = " ".join(job.request.prompt.positive.split())[:60] or "no prompt"
    return f"{job.job[:8]}  {state:8}  {prompt}  ({place or 'from somewhere'})"


def _carry_out(
    connection: Connection, job: WaitingJob, options: argparse.Namespace, names: FreeNames | None
) -> None:
    if options.drop:
        if not job.ended:
            connection.follow(job.job)
            connection.cancel(job.job)
            for _ in connection.events(job.job):
                pass
        connection.acknowledge(job.job)  # though it could not be read
        if any(one.job == job.job for one in connection.waiting()):
            raise GenerationFailedError(
                "job {job} could not be dropped, as the daemon cannot read it now; try again later",
                job=job.job[:8],
            )
        forget_spec(job.job)
        say(f"dropped {describe(job)}")
    elif names is not None:
        _save(connection, job, options.save, names)
    else:
        show(describe(job))


def _save(connection: Connection, job: WaitingJob, folder: Path, names: FreeNames) -> None:
    """Write a job's pictures as they come; each is safe before the daemon forgets it."""
    spec = recall_spec(job.job)
    if spec is None and Address.from_text(job.note).editor == COMMAND_LINE:
        told = "the names and metadata of its files are no longer known; it is written without them"
        say(f"underpaint: job {job.job[:8]}: {told}")
    if not job.ended:
        told = "is not done; waiting for it (Ctrl-C leaves it there)"
        say(f"underpaint: job {job.job[:8]} {told}")
    connection.follow(job.job)
    for message, frames in connection.events(job.job):
        if isinstance(message, messages.Picture):
            _write(message, frames[0], spec or _layers(job), folder, names)
        elif isinstance(message, messages.Failed):
            error = from_code(message.code, message.message)
            say(f"underpaint: job {job.job[:8]}: {error}")
        elif isinstance(message, messages.Done):
            forget_spec(job.job)


def _layers(job: WaitingJob) -> OutputSpec:
    """Return how pictures are written that were to become layers: with alpha, named by prompt."""
    stem = make_stem(job.request.prompt.positive, None)
    return OutputSpec((), stem, job.request.sampling.images, Metadata(has_alpha=True))


def _write(
    picture: messages.Picture, frame: Frame, spec: OutputSpec, folder: Path, names: FreeNames
) -> None:
    wanted = spec.path_of(picture.index)
    if wanted is None and spec.paths:  # of a chain, only the last is wanted
        return
    path = folder / wanted.name if wanted is not None else names.take(spec.stem)
    show_path(spec.write(path, picture, frame, names=names))
