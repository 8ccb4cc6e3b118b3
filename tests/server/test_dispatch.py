"""What workers say reaches the job that they have, and no other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, cast

from underpaint.server.dispatch import Dispatcher
from underpaint.server.job_events import Event, Started
from underpaint.server.job_queue import Client, Job, JobQueue
from underpaint.server.watchdog import WatchdogLimits
from underpaint_client import messages, wire
from underpaint_client.inputs import InputFrames
from underpaint_client.request import Request


@dataclass
class FakeJobs:
    """Jobs that note what happens to them."""

    queue: JobQueue = field(default_factory=JobQueue)
    events: list[Event] = field(default_factory=list)

    def handle(self, job: Job, event: Event) -> None:
        self.events.append(event)
        job.state.handle(event)


def test_a_worker_that_was_replaced_does_not_end_the_job_of_another() -> None:
    jobs = FakeJobs()
    dispatcher = Dispatcher([], cast(Any, jobs), cast(Any, None), WatchdogLimits())
    job = Job(
        Client(0, b"x", ""),
        messages.Submit("j", Request()),
        InputFrames(),
        trusted=True,
        digest=b"",
    )
    jobs.queue.add(job)
    done = messages.Done("j")
    dispatcher.on_message(0, done, wire.encode(done))  # nobody has it
    jobs.handle(job, Started(1))
    jobs.events.clear()
    dispatcher.on_message(0, done, wire.encode(done))
    assert jobs.events == []
    dispatcher.on_message(1, done, wire.encode(done))
    assert len(jobs.events) == 1
