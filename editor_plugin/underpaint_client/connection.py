"""A client's connection to the daemon: one ZeroMQ DEALER socket and its framing.

Usable from a plain blocking loop::

    connection = connect()
    connection.hello()
    job = connection.submit(Request.of(prompt="a lake"), InputFrames(layer=frame))
    for message, frames in connection.events(job):
        ...

and from a foreign event loop: watch `Connection.fd`, and on every wake-up, and after every send,
take what `drain()` gives. zmq is imported when a connection is made, not before.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import messages, wire
from .errors import (
    DaemonStoppedError,
    DaemonUnavailableError,
    TurnedAwayError,
    from_code,
)
from .following import ENDED, Event, Following, find_error, perform
from .home import ConnectionInfo, connection_file, read_connection_file, remote_file
from .patience import Silence
from .slow_line import SlowLine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .frames import Frame
    from .inputs import InputFrames
    from .messages import Message
    from .request import Request

    Received = tuple[Message, tuple[Frame, ...]]

HEARTBEAT = 2.0
"""Seconds of silence after which a waiting client asks whether the daemon is still there."""

START_HINT = "start it with `underpaint serve --background`"


def connect(info: ConnectionInfo | None = None) -> Connection:
    """Connect to the running daemon. Never starts one.

    Parameters
    ----------
    info : ConnectionInfo, optional
        Where it is; without it, the connection file tells: `remote.json` where there is one, else
        the one that this machine's daemon left.

    Raises
    ------
    DaemonUnavailableError
        Where no daemon has left a connection file, others can write it, or there are no keys for
        a daemon of another machine.
    """
    far = remote_file() if info is None and remote_file().exists() else None
    info = info or read_connection_file(far)
    if info is None and far is not None:
        raise DaemonUnavailableError(
            f"{far}, which says where the daemon is, cannot be read; `underpaint connect` writes it"
            " anew, and with --forget this machine's own daemon is used"
        )
    if info is not None and far is not None and not info.server_public:
        raise DaemonUnavailableError(
            f"{far} has no keys to encrypt what is sent to {info.endpoint}, and nothing goes there"
            " in clear; `underpaint connect` writes it anew, and with --forget this machine's own"
            " daemon is used"
        )
    if info is None:
        raise DaemonUnavailableError(
            f"no Underpaint daemon runs (there is no {connection_file()}); {START_HINT}"
        )
    transport, _, path = info.endpoint.partition("://")
    if transport == "ipc" and not (Path(path).exists() and process_lives(info.pid)):
        raise DaemonUnavailableError(
            f"the Underpaint daemon with process id {info.pid} is gone; {START_HINT}"
        )
    return Connection(info)


def process_lives(pid: int) -> bool:
    """Return whether a process of this machine lives; on Windows nobody can ask without harm."""
    if os.name == "nt":
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it is another user's
        return True
    return True


def _name(info: ConnectionInfo) -> str:
    where = f"process id {info.pid}, {info.endpoint}" if info.pid else info.endpoint
    return f"the Underpaint daemon ({where})"


def remedy(info: ConnectionInfo) -> str:
    """Return what may help where a daemon does not answer."""
    if info.pid:
        return f"look at its log, or {START_HINT}"
    return (
        "see there that it runs and that it lets this machine in:"
        f" `underpaint keys allow {info.client_public}`"
    )


class Connection:
    """A DEALER socket that speaks `wire`. Not for use by two threads at once.

    Parameters
    ----------
    info : ConnectionInfo
        Where the daemon is and, on TCP, the keys to it.
    """

    def __init__(self, info: ConnectionInfo) -> None:
        try:
            import zmq  # noqa: PLC0415 - the plug-ins must import without it
        except ImportError as error:
            version = ".".join(map(str, sys.version_info[:2]))
            raise DaemonUnavailableError(
                f"pyzmq for Python {version} is missing ({error}); install it for the Python that"
                " runs this, in an editor by `underpaint install` with that editor's name"
            ) from None
        if not (info.server_public or info.endpoint.startswith("ipc://")):
            raise DaemonUnavailableError(
                f"there are no keys to encrypt what is sent to {info.endpoint}, and nothing goes in"
                f" clear; `underpaint connect {info.endpoint} SERVER_PUBLIC_KEY` makes them"
            )
        self._zmq = zmq
        self._slow_line: SlowLine | None = None
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.SNDHWM, 0)
        self._socket.setsockopt(zmq.RCVHWM, 0)
        try:
            if info.server_public:
                self._socket.curve_serverkey = info.server_public.encode("ascii")
                self._socket.curve_publickey = info.client_public.encode("ascii")
                self._socket.curve_secretkey = info.client_secret.encode("ascii")
            self._socket.connect(info.endpoint)
        except (zmq.ZMQError, ValueError) as error:
            self.close(0)
            raise DaemonUnavailableError(
                f"{info.endpoint!r} cannot be connected to ({error}); {START_HINT}"
            ) from None
        self._inbox: deque[Received] = deque()
        if info.is_far:
            self._slow_line = SlowLine(zmq, self._context, self._socket)
            self._socket = self._slow_line.end
        self._silence = Silence(time.monotonic(), slow=info.is_far)
        self._welcome: messages.Welcome | None = None
        self.info = info

    def __enter__(self) -> Connection:  # noqa: PYI034 - Python 3.9 has no Self
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self, patience: float = 0.5) -> None:
        """Close the socket.

        Parameters
        ----------
        patience : float
            Seconds that what was not yet sent may still take.
        """
        if self._socket.closed:
            return
        if self._slow_line is not None:
            self._slow_line.close(patience)
            return
        self._socket.close(linger=int(1000 * patience))
        self._context.term()

    @property
    def fd(self) -> int:
        """The descriptor to watch for reading. Edge-triggered: `drain` after each wake-up."""
        return int(self._socket.getsockopt(self._zmq.FD))

    @property
    def patience(self) -> float:
        """Seconds of silence after which the daemon counts as gone, now."""
        return self._silence.patience

    # ---- sending ---------------------------------------------------------------------------

    def send(self, message: Message, frames: tuple[Frame, ...] = ()) -> None:
        """Send a message; pixels are not copied, so leave them alone until it has gone."""
        if isinstance(message, messages.Submit):
            self._silence.begin(time.monotonic())
        self._silence.sent(message, frames)
        if self._slow_line is not None:
            self._slow_line.send(message, frames)
            return
        self._socket.send_multipart(wire.encode(message, frames), copy=False)

    def submit(
        self,
        request: Request,
        inputs: InputFrames | None = None,
        *,
        previews: str = "",
        note: str = "",
    ) -> str:
        """Send a job off.

        Parameters
        ----------
        request : Request
            What to make.
        inputs : InputFrames, optional
            The rasters to run it on; without them a picture is made from nothing.
        previews : str
            `quick` or `full` ones, as `messages.Submit` says, or none.
        note : str
            Where the results go, to find that again when they were not fetched.

        Returns
        -------
        str
            The job's id, to follow with `events` and to `cancel` by.
        """
        job = uuid.uuid4().hex
        frames = () if inputs is None else inputs.frames
        self.send(messages.Submit(job, request, previews, note), frames)
        return job

    def follow(self, *jobs: str) -> None:
        """Ask for what becomes of jobs, and has become of them: after a reconnection."""
        self.send(messages.Follow(jobs))

    def take(self, job: str) -> None:
        """Say that an ended job's results are in safety; the daemon forgets them."""
        self.send(messages.Taken(job))

    def cancel(self, job: str) -> None:
        """Ask for that job to stop; its `Failed` with the code `cancelled` follows."""
        self.send(messages.Cancel(job))

    def cancel_anywhere(self, job: str) -> None:
        """Ask for a job to stop that came by another connection, or from another machine."""
        self.send(messages.AskCancel(job))

    def prefer(self, job: str) -> None:
        """Ask for that job to be the next of this client's."""
        self.send(messages.Prefer(job))

    # ---- receiving -------------------------------------------------------------------------

    def receive(self, timeout: float | None = None) -> Received | None:
        """Wait for the next message.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits for ever, 0 only looks.

        Returns
        -------
        tuple or None
            The message and its frames; None where the time ran out.
        """
        if self._inbox:
            return self._inbox.popleft()
        return self._receive(timeout)

    def drain(self) -> Iterator[Received]:
        """Return all messages that are there, without waiting: for foreign event loops."""
        while True:
            received = self.receive(0)
            if received is None:
                return
            yield received

    def _receive(self, timeout: float | None) -> Received | None:
        if not self._socket.poll(None if timeout is None else max(0, int(timeout * 1000))):
            return None
        now = time.monotonic()
        self._silence.begin(now)  # though what has come cannot be read
        if self._slow_line is not None:
            received = self._slow_line.receive()
        else:
            parts = self._socket.recv_multipart(copy=False)
            received = wire.decode([part.buffer for part in parts])
        self._silence.heard(received[0], now)
        return received

    def _ask(self, question: Message, answer: Any, timeout: float) -> Any:
        """Send a question and wait for its answer; what else comes meanwhile is kept."""
        self.send(question)
        deadline = time.monotonic() + timeout
        while True:
            received = self._receive(deadline - time.monotonic())
            if received is None:
                raise DaemonUnavailableError(
                    f"{_name(self.info)} did not answer within {timeout:g} seconds;"
                    f" {remedy(self.info)}"
                )
            message, _ = received
            if isinstance(message, answer):
                return message
            if isinstance(message, messages.Failed) and not message.job:
                raise from_code(message.code, message.message)
            self._inbox.append(received)

    def hello(self, timeout: float = 5.0) -> messages.Welcome:
        """Greet the daemon.

        Raises
        ------
        DaemonUnavailableError
            Where no answer comes within `timeout` seconds.
        BadInputError
            Where the daemon speaks another protocol.
        """
        welcome: messages.Welcome = self._ask(
            messages.Hello(client=f"python pid {os.getpid()}"), messages.Welcome, timeout
        )
        self._welcome = welcome
        return welcome

    @property
    def welcome(self) -> messages.Welcome:
        """What the daemon answered to the last `hello`, which is said now if it was not yet."""
        return self._welcome or self.hello()

    def status(self, timeout: float = 5.0) -> messages.Status:
        """Ask what the daemon is doing; raises as `hello` does."""
        status: messages.Status = self._ask(messages.AskStatus(), messages.Status, timeout)
        return status

    def models(self, timeout: float = 5.0) -> tuple[messages.ModelEntry, ...]:
        """Ask for the models that the daemon has; raises as `hello` does."""
        models: messages.Models = self._ask(messages.AskModels(), messages.Models, timeout)
        return models.models

    def waiting(self, timeout: float = 5.0) -> tuple[messages.WaitingJob, ...]:
        """Ask for the jobs whose results wait for a client; raises as `hello` does."""
        waiting: messages.Waiting = self._ask(messages.AskWaiting(), messages.Waiting, timeout)
        return waiting.jobs

    def stop(self) -> None:
        """Ask the daemon to end; it does so without another word to this client."""
        self.send(messages.AskStop())
        self.close(2)

    def events(self, job: str | Following) -> Iterator[Received]:
        """Return the messages of a job as they come, up to its `Done` or `Failed`.

        Each picture is given once. When all have been, the daemon is told to forget them: so see
        to each before asking for the next. A `Failed` with the code of `ResultsKeptError` says
        that not all could be sent; the daemon keeps them, and is told nothing. Messages of other
        jobs wait in the meantime.

        Parameters
        ----------
        job : str or Following
            Its id, where it was submitted or followed by this connection. With its state machine
            instead, it can be gone on with by another connection where this one fails.

        Raises
        ------
        DaemonStoppedError
            Where the daemon was told to end.
        TurnedAwayError
            Where the daemon lets this machine in no more.
        DaemonUnavailableError
            Where it ends otherwise, or falls silent. Then, and when it was told to end, the job
            goes on when it is back, and can be followed.
        BadInputError
            Where the daemon refused the submission as a message.
        """
        following = job if isinstance(job, Following) else Following(job)
        set_aside: list[Received] = []
        try:
            while following.state not in ENDED:
                received = self._next_of_job(following, set_aside)
                if received is None:
                    continue
                step = following.hear(received[0])
                perform(self, following, step.actions)
                if following.ended:
                    perform(self, following, following.handle(Event.TAKE))
                if step.news:
                    yield received
        finally:
            self._inbox.extend(set_aside)

    def _next_of_job(self, following: Following, others: list[Received]) -> Received | None:
        """Wait for a moment for a message of a job; set those of others aside."""
        try:
            received = self.receive(HEARTBEAT)
            if received is None:
                self._check_alive()
                perform(self, following, following.handle(Event.CHECK))
                return None
            error = find_error(received[0])
            if isinstance(error, DaemonStoppedError):
                raise DaemonStoppedError(
                    f"{error}; the job goes on when it starts again; {START_HINT}"
                )
            if error is not None:
                raise error
        except TurnedAwayError as error:
            following.give_up(error)
            raise
        except DaemonUnavailableError:
            following.handle(Event.DISCONNECTED)
            raise
        if isinstance(received[0], messages.Followed):
            return None  # it lives
        if getattr(received[0], "job", None) != following.job:
            others.append(received)
            return None
        return received

    def _check_alive(self) -> None:
        self.see_process()
        now = time.monotonic()
        if self._silence.is_too_long(now):
            silent = now - self._silence.since
            raise DaemonUnavailableError(
                f"{_name(self.info)} has not answered for {silent:.0f} seconds; {remedy(self.info)}"
            )

    def see_process(self) -> None:
        """Check that the daemon's process is there, as far as that can be seen from here.

        Raises
        ------
        DaemonUnavailableError
            Where it is gone.
        """
        if self.info.endpoint.startswith("ipc:") and not process_lives(self.info.pid):
            raise DaemonUnavailableError(
                f"the Underpaint daemon with process id {self.info.pid} is gone; {START_HINT}"
            )
