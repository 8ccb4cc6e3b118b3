"""`underpaint cancel`: end jobs of the queue, an editor's or another machine's too."""

from __future__ import annotations

import time
from collections.abc import Sequence

from underpaint_client import connect
from underpaint_client.errors import GenerationFailedError

from .options import Parser
from .printing import say
from .results import choose

PATIENCE = 40.0
"""Seconds for a worker to stop: after 30 the daemon ends one that does not."""


def run_cancel(words: Sequence[str]) -> int:
    """Cancel jobs, and wait until they have ended."""
    parser = Parser(
        "cancel",
        "Cancel jobs that `underpaint status` lists. What was painted of them stays with whoever\n"
        "sent them. On the daemon's own machine that may be anybody's, else it is one's own.",
    )
    parser.add_argument("job", nargs="+", help="the first characters of a listed job, or `all`")
    options = parser.read(words)
    with connect() as connection:
        # Of others' jobs a guest of the daemon is told no id.
        listed = [job for job in connection.status().jobs if job.job]
        chosen = choose(listed, options.job, where="in the queue", lister="status")
        for job in chosen:
            connection.cancel_anywhere(job.job)
        left = {job.job for job in chosen}
        deadline = time.monotonic() + PATIENCE
        while left := left & {job.job for job in connection.status().jobs}:
            if time.monotonic() > deadline:
                which = ", ".join(sorted(job[:8] for job in left))
                raise GenerationFailedError(
                    "the daemon still works on {jobs}; look again with `underpaint status`",
                    jobs=which,
                )
            time.sleep(0.05)
    for job in chosen:
        say(f"cancelled {job.job[:8]}")
    if not chosen:
        say("no jobs")
    return 0
