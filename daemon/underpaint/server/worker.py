"""A worker process: one engine, one warm model, beside an I/O thread that always answers.

The main thread owns the socket to the daemon. The engine runs in a thread of its own and speaks
to the main thread through an inproc pair, since a ZeroMQ socket belongs to one thread.
"""

from __future__ import annotations

import argparse
import functools
import logging
import os
import queue
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import zmq

from underpaint.models import default_model
from underpaint_client import messages, wire
from underpaint_client.errors import UnderpaintError
from underpaint_client.geometry import Box
from underpaint_client.inputs import InputFrames
from underpaint_client.packing import pack, unpack
from underpaint_client.sentences import Sentence, sentence

from . import logs
from .arrays import to_frame, to_inputs
from .shared_memory import SharedFrames
from .watchdog import HEARTBEAT
from .workers import worker_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from underpaint.engine import Engine, Preview, Progress, Viewer
    from underpaint_client.frames import Frame
    from underpaint_client.messages import Message

log = logging.getLogger(__name__)

Order = tuple[messages.Run, tuple["Frame", ...]]

BEFORE_WARMING = 0.3
"""Seconds a new worker waits for a job, which may want another model, before it opens the default
one."""

BETWEEN_PREVIEWS = 0.3
"""Least seconds between two quick previews."""

DEVICE_LOST = 70
"""Exit code of a worker whose GPU context is broken (EX_SOFTWARE of BSD's sysexits)."""

ROOM_CHECK = 0.2
"""Seconds between two looks at whether a job was cancelled that waits for room."""

PARENT_CHECK = 1000
"""Milliseconds between two looks at whether the daemon still lives, and signs of life to it."""


def _import_engine(device: str, quantise: str = "auto") -> Engine:
    from underpaint.engine import Engine  # noqa: PLC0415 - seconds, in the engine's own thread

    return Engine(device, quantise)


@dataclass
class EngineThread:
    """The engine's thread.

    Parameters
    ----------
    device : str
        Where to compute.
    socket : PAIR socket
        Connected to the main thread, which passes messages on to the daemon.
    make_engine : callable
        Returns the engine that computes on a device.
    """

    device: str
    socket: zmq.Socket[bytes]
    make_engine: Callable[[str], Engine] = _import_engine
    orders: queue.SimpleQueue[Order] = field(default_factory=queue.SimpleQueue)
    known: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)
    has_room: threading.Event = field(default_factory=threading.Event)
    reported_model: str = ""
    reported_pixels: int = 0

    def send(self, message: Message, frames: tuple[Frame, ...] = ()) -> None:
        """Send the daemon a message."""
        self.socket.send_multipart(wire.encode(message, frames), copy=False)

    def receive(self, message: Message, frames: tuple[Frame, ...]) -> None:
        """Handle a message from the daemon; called in the main thread."""
        if isinstance(message, messages.Run):
            self.known.add(message.job)
            self.orders.put((message, frames))
        elif isinstance(message, messages.Cancel) and message.job in self.known:
            self.cancelled.add(message.job)
        elif isinstance(message, messages.GoOn) and message.job in self.known:
            self.has_room.set()

    def work(self) -> None:
        """Import torch, then take order after order."""
        engine = self.make_engine(self.device)
        self.send(messages.WorkerReady(os.getpid(), engine.device))
        try:
            self._run_job(engine, *self.orders.get(timeout=BEFORE_WARMING))
        except queue.Empty:
            self._warm(engine)
        while True:
            self._run_job(engine, *self.orders.get())
            self.socket.send(b"")  # the layer is no longer used: its block can be lent again

    def is_cancelled(self, job: str) -> bool:
        """Return whether to stop; first wait until the daemon has room for another picture."""
        while not self.has_room.wait(ROOM_CHECK) and job not in self.cancelled:
            pass
        return job in self.cancelled

    def _warm(self, engine: Engine) -> None:
        """Open the default model while there is nothing else to do."""
        if default_model():
            try:
                engine.load()
            except Exception as error:  # noqa: BLE001 - torch's boundary; the next job reports it
                log.warning("the default model was not loaded: %s", error)
                _end_where_lost(error)
            self._report_model(engine)

    def _report_model(self, engine: Engine) -> None:
        if engine.model_name != self.reported_model:
            self.reported_model = engine.model_name
            self.send(messages.WorkerModel(engine.model_name))

    def _report_progress(self, job: str, progress: Progress) -> None:
        fields = asdict(progress)
        pixels = fields.pop("pixels", 0)
        if pixels != self.reported_pixels:
            self.reported_pixels = pixels
            self.send(messages.WorkerPlan(pixels))
        self.send(messages.Progress(job, **fields))

    def _run_job(self, engine: Engine, order: messages.Run, frames: tuple[Frame, ...]) -> None:
        try:
            self._generate(engine, order, frames)
        except UnderpaintError as error:
            self.send(messages.Failed(order.job, error.code, error.sentence))
        except Exception as error:  # the boundary of torch and diffusers: the worker goes on
            log.exception("job %s failed", order.job)
            _end_where_lost(error)
            self.send(messages.Failed(order.job, "failed", _explain(error)))
        else:
            self.send(messages.Done(order.job))
        self._report_model(engine)
        self.known.discard(order.job)
        self.cancelled.discard(order.job)

    def _generate(self, engine: Engine, order: messages.Run, frames: tuple[Frame, ...]) -> None:
        self.has_room.set()
        self.reported_pixels = 0  # as the daemon assumes of each job
        inputs = InputFrames.of(unpack(frame) for frame in frames)

        def show(message: Message, frame: Frame) -> None:
            self.send(message, (pack(frame) if order.packed else frame,))

        def on_progress(progress: Progress) -> None:
            self._report_model(engine)
            self._report_progress(order.job, progress)

        def on_preview(preview: Preview) -> None:
            height, width = preview.pixels.shape[:2]
            frame = to_frame("preview", preview.pixels, Box(0, 0, width, height), "RGBA")
            area = preview.area
            message = messages.Preview(
                order.job,
                preview.image,
                preview.step,
                preview.steps,
                (area.x, area.y, area.width, area.height),
            )
            show(message, frame)

        pictures = engine.generate(
            order.request,
            to_inputs(inputs),
            progress=on_progress,
            cancelled=lambda: self.is_cancelled(order.job),
            allow_paths=order.allow_paths,
            viewer=_viewer(order.previews, on_preview),
        )
        for index, picture in enumerate(pictures):
            channels = inputs.layer.channels if inputs.layer else "RGBA"
            self.has_room.clear()  # until `GoOn` comes
            show(
                messages.Picture(order.job, index, picture.kind, picture.recipe, picture.timings),
                to_frame("picture", picture.pixels, picture.box, channels),
            )


def _viewer(previews: str, show: Callable[[Preview], None]) -> Viewer | None:
    if not previews:
        return None
    from underpaint.engine import Viewer  # noqa: PLC0415 - as above

    full = previews == "full"
    return Viewer(show, full=full, every=0 if full else BETWEEN_PREVIEWS)


def _end_where_lost(error: Exception) -> None:
    """End this process where the GPU failed in a way that only a new one recovers from.

    The job is not reported: the daemon sees the exit code, and runs it again on a fresh worker.
    """
    from underpaint.engine.memory import is_device_lost  # noqa: PLC0415 - as above

    if is_device_lost(error):
        log.error("the GPU can no longer be used by this process, so the process ends")
        os._exit(DEVICE_LOST)


def _explain(error: Exception) -> Sentence:
    if isinstance(error, MemoryError):  # the engine has its own words for its own
        return sentence(
            "there is not enough memory to hold this picture; crop it, send a smaller layer, or"
            " close other programs that use much memory"
        )
    text = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    return sentence("the engine failed ({error}); the daemon's log has the details", error=text)


def run(
    endpoint: str,
    number: int,
    device: str,
    parent: int,
    make_engine: Callable[[str], Engine] = _import_engine,
) -> None:
    """Work until the daemon has gone.

    Parameters
    ----------
    endpoint : str
        Where the daemon listens for workers.
    number : int
        Which worker this is.
    device : str
        As `Engine`.
    parent : int
        The daemon's process id.
    make_engine : callable
        Returns the engine that computes on a device; called in the engine's thread.
    """
    sys.setswitchinterval(0.0005)  # the I/O thread waits no longer than that for the engine's
    context = zmq.Context()
    daemon = context.socket(zmq.DEALER)
    name = worker_name(number, os.getpid())
    shared_frames = SharedFrames(name)
    daemon.setsockopt(zmq.ROUTING_ID, name.encode("ascii"))
    daemon.setsockopt(zmq.SNDHWM, 0)
    if endpoint.startswith("tcp"):
        _set_up_curve(daemon)
    daemon.connect(endpoint)
    from_engine = context.socket(zmq.PAIR)
    from_engine.bind("inproc://engine")
    socket = context.socket(zmq.PAIR)
    socket.connect("inproc://engine")
    engine_thread = EngineThread(device, socket, make_engine)
    thread = threading.Thread(target=engine_thread.work, name="engine", daemon=True)
    thread.start()
    poller = zmq.Poller()
    poller.register(daemon, zmq.POLLIN)
    poller.register(from_engine, zmq.POLLIN)
    last_sent = time.monotonic()
    while os.getppid() == parent and thread.is_alive():
        for socket, _ in poller.poll(PARENT_CHECK):
            parts = [part.buffer for part in socket.recv_multipart(copy=False)]
            if socket is from_engine:
                if len(parts[0]):
                    daemon.send_multipart(shared_frames.pack(parts), copy=False)
                continue
            parts = shared_frames.unpack(parts, f"daemon-{number}")
            if not parts:
                continue  # it only gives blocks back
            message, frames = wire.decode(parts)
            engine_thread.receive(message, frames)
            del message, frames, parts  # or the last layer would be held until the next
        if shared_frames.has_news() or time.monotonic() - last_sent > HEARTBEAT:
            last_sent = time.monotonic()
            daemon.send_multipart(shared_frames.pack([]), copy=False)
    # The engine may be in the middle of a step: nothing of it is worth waiting for.
    os._exit(0 if thread.is_alive() else 1)


def _set_up_curve(socket: zmq.Socket[bytes]) -> None:
    from .keys import own_keys  # noqa: PLC0415 - only where there is no ipc

    server, client = own_keys("server"), own_keys("client")
    socket.setsockopt(zmq.CURVE_SERVERKEY, server.public.encode("ascii"))
    socket.setsockopt(zmq.CURVE_PUBLICKEY, client.public.encode("ascii"))
    socket.setsockopt(zmq.CURVE_SECRETKEY, client.secret.encode("ascii"))


def main(make_engine: Callable[[str], Engine] | None = None) -> None:
    """Read the daemon's command line and work; `make_engine` as in `run`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--number", type=int, required=True)
    parser.add_argument("--device", required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--quantise", default="auto")
    options = parser.parse_args()
    logs.set_up("worker ")
    make_engine = make_engine or functools.partial(_import_engine, quantise=options.quantise)
    run(options.endpoint, options.number, options.device, options.parent, make_engine)


if __name__ == "__main__":
    main()
