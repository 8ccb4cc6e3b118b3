"""A client's connection to the daemon.

Usable from a plain blocking loop::

    connection = connect()
    connection.hello()
    job = connection.submit(Request.of(prompt="a lake"), InputFrames(layer=frame))
    for message, frames in connection.events(job):
        ...

and from a foreign event loop: watch `Connection.fd`, and on every wake-up, and after every send, go
through what `drain()` yields. zmq is imported when a connection is made, not before.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any

from . import messages, model_messages, prompt_messages
from .dealer import DirectSocket, open_dealer
from .errors import DaemonUnavailableError, from_code
from .following import Following
from .job_messages import read_job_messages
from .locate import check_process, describe_daemon, locate_daemon, suggest_remedy
from .patience import Silence
from .slow_line import SlowLine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .dealer import MessageSocket, Received
    from .frames import Frame
    from .home import ConnectionInfo
    from .inputs import InputFrames
    from .messages import Message
    from .model_entry import ModelEntry
    from .packing import Packer
    from .request import Request
    from .styles import Style

HEARTBEAT = 2.0
"""Seconds of silence after which a waiting client asks whether the daemon is still there."""


def connect(info: ConnectionInfo | None = None) -> Connection:
    """Connect to the running daemon. Never starts one.

    Parameters
    ----------
    info : ConnectionInfo, optional
        Where it is. Without it, `locate_daemon` finds it: by `remote.json` if there is one, else by
        the connection file that this machine's daemon has left.

    Raises
    ------
    DaemonUnavailableError
        If no daemon has left a connection file, others can write that file, or there are no keys
        for a daemon on another machine.
    """
    return Connection(info or locate_daemon())


def _import_zmq() -> Any:
    try:
        import zmq  # noqa: PLC0415 - the plug-ins must import without it
    except ImportError as error:
        version = ".".join(map(str, sys.version_info[:2]))
        raise DaemonUnavailableError(
            "pyzmq for Python {version} is missing ({error}); install it for that Python, or, in"
            " an editor, run `underpaint install` with the editor's name",
            version=version,
            error=error,
        ) from None
    return zmq


class Connection:
    """One DEALER socket that speaks `wire`. Not for use by two threads at once.

    Parameters
    ----------
    info : ConnectionInfo
        Where the daemon is and, on TCP, the keys to it.
    clock : callable
        Returns the seconds of a monotonic clock.
    packer : Packer, optional
        As in `SlowLine`; not used for a daemon on the same machine.

    Raises
    ------
    DaemonUnavailableError
        If pyzmq is missing, or the daemon's address or keys cannot be used.
    """

    def __init__(
        self,
        info: ConnectionInfo,
        *,
        clock: Callable[[], float] = time.monotonic,
        packer: Packer | None = None,
    ) -> None:
        zmq = _import_zmq()
        if not (info.server_public or info.endpoint.startswith("ipc://")):
            raise DaemonUnavailableError(
                "there are no keys to encrypt the connection to {endpoint}, and Underpaint sends"
                " nothing unencrypted; `underpaint connect {endpoint} SERVER_PUBLIC_KEY` makes"
                " them",
                endpoint=info.endpoint,
            )
        context = zmq.Context()
        try:
            dealer = open_dealer(zmq, context, info)
        except DaemonUnavailableError:
            context.term()
            raise
        self._line: MessageSocket = (
            SlowLine(zmq, context, dealer, packer) if info.is_far else DirectSocket(context, dealer)
        )
        self._fd_option = zmq.FD
        self._inbox: deque[Received] = deque()
        self._clock = clock
        self._silence = Silence(clock(), slow=info.is_far)
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
            Seconds that sending what was not sent yet may still take.
        """
        if not self._line.socket.closed:
            self._line.close(patience)

    @property
    def fd(self) -> int:
        """The descriptor to watch for reading. Edge-triggered: `drain` after each wake-up."""
        return int(self._line.socket.getsockopt(self._fd_option))

    @property
    def patience(self) -> float:
        """Seconds of silence after which the daemon counts as gone, now."""
        return self._silence.patience

    @property
    def remedy(self) -> str:
        """What may help if the daemon does not answer, as a clause."""
        return suggest_remedy(self.info)

    def continue_from(self, earlier: Connection) -> None:
        """Be more patient than an earlier connection that fell silent, until a picture arrives.

        What it waited for may have been on its way, over a line slower than expected.
        """
        self._silence.wait_longer_than(earlier._silence)

    # ---- sending ---------------------------------------------------------------------------

    def send(self, message: Message, frames: tuple[Frame, ...] = ()) -> None:
        """Send a message. Pixels are not copied: do not change them until it has gone."""
        if isinstance(message, messages.Submit):
            self._silence.begin(self._clock())
        self._silence.sent(message, frames)
        self._line.send(message, frames)

    def submit(
        self,
        request: Request,
        inputs: InputFrames | None = None,
        *,
        previews: str = "",
        note: str = "",
    ) -> str:
        """Submit a job.

        Parameters
        ----------
        request : Request
        inputs : InputFrames, optional
            The rasters to run it on; without them the job is txt2img.
        previews : str
            `quick` or `full`, as `messages.Submit` says; empty for none.
        note : str
            Where the results go, for a client that fetches them later.

        Returns
        -------
        str
            The job's id, for `events` and `cancel`.
        """
        job = uuid.uuid4().hex
        frames = () if inputs is None else inputs.frames
        self.send(messages.Submit(job, request, previews, note), frames)
        return job

    def follow(self, *jobs: str) -> None:
        """Ask for the messages of jobs, earlier ones too: after a reconnection."""
        self.send(messages.Follow(jobs))

    def acknowledge(self, job: str) -> None:
        """Confirm that the results of an ended job are safe; the daemon then forgets it."""
        self.send(messages.Taken(job))

    def cancel(self, job: str) -> None:
        """Cancel a job; its `Failed` with the code `cancelled` follows."""
        self.send(messages.Cancel(job))

    def cancel_anywhere(self, job: str) -> None:
        """Cancel a job of another connection, perhaps from another machine."""
        self.send(messages.AskCancel(job))

    def prefer(self, job: str) -> None:
        """Run a job before the others of this client."""
        self.send(messages.Prefer(job))

    # ---- receiving -------------------------------------------------------------------------

    def receive(self, timeout: float | None = None) -> Received | None:
        """Wait for the next message.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits for ever, 0 does not wait.

        Returns
        -------
        tuple or None
            The message and its frames; None if none has arrived in time.
        """
        if self._inbox:
            return self._inbox.popleft()
        return self._receive(timeout)

    def drain(self) -> Iterator[Received]:
        """Yield the messages that have arrived, without waiting: for foreign event loops."""
        while True:
            received = self.receive(0)
            if received is None:
                return
            yield received

    def put_back(self, received: Iterable[Received]) -> None:
        """Keep messages for later calls of `receive`."""
        self._inbox.extend(received)

    def _receive(self, timeout: float | None) -> Received | None:
        milliseconds = None if timeout is None else max(0, int(timeout * 1000))
        if not self._line.socket.poll(milliseconds):
            return None
        now = self._clock()
        self._silence.begin(now)  # even if the message cannot be read
        received = self._line.receive()
        self._silence.received(received[0], now)
        return received

    def _ask(self, question: Message, answer: Any, timeout: float) -> Any:
        """Send a question and wait for its answer; other messages are kept for `receive`."""
        self.send(question)
        deadline = self._clock() + timeout
        while True:
            received = self._receive(deadline - self._clock())
            if received is None:
                raise DaemonUnavailableError(
                    "{daemon} did not answer within {timeout:g} seconds; {remedy}",
                    daemon=describe_daemon(self.info),
                    timeout=timeout,
                    remedy=self.remedy,
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
            If no answer arrives within `timeout` seconds.
        BadInputError
            If the daemon speaks another version of the protocol.
        """
        welcome: messages.Welcome = self._ask(
            messages.Hello(client=f"python pid {os.getpid()}"), messages.Welcome, timeout
        )
        self._welcome = welcome
        return welcome

    @property
    def welcome(self) -> messages.Welcome:
        """The daemon's answer to the last `hello`; sends one if there was none yet."""
        return self._welcome or self.hello()

    def status(self, timeout: float = 5.0) -> messages.Status:
        """Ask what the daemon is doing; raises as `hello` does."""
        status: messages.Status = self._ask(messages.AskStatus(), messages.Status, timeout)
        return status

    def models(self, timeout: float = 5.0) -> tuple[ModelEntry, ...]:
        """Ask which models the daemon has; raises as `hello` does."""
        models: model_messages.Models = self._ask(
            model_messages.AskModels(), model_messages.Models, timeout
        )
        return models.models

    def styles(self, timeout: float = 5.0) -> tuple[Style, ...]:
        """Ask which styles the daemon has; raises as `hello` does."""
        names: prompt_messages.PromptNames = self._ask(
            prompt_messages.AskPromptNames(), prompt_messages.PromptNames, timeout
        )
        return names.styles

    def waiting(self, timeout: float = 5.0) -> tuple[messages.WaitingJob, ...]:
        """Ask which jobs have results that no client fetched; raises as `hello` does."""
        waiting: messages.Waiting = self._ask(messages.AskWaiting(), messages.Waiting, timeout)
        return waiting.jobs

    def stop(self) -> None:
        """Ask the daemon to stop; it does so without an answer to this client."""
        self.send(messages.AskStop())
        self.close(2)

    def events(self, job: str | Following) -> Iterator[Received]:
        """Yield the messages of a job as they arrive, up to its `Done` or `Failed`.

        Each picture is yielded once. The results are acknowledged after the last message was
        yielded, and the daemon then forgets them: store each picture before you ask for the next
        message. A `Failed` with the code of `ResultsKeptError` says that not all pictures could be
        sent; the daemon keeps them, and nothing is acknowledged. Messages of other jobs are kept
        for later calls.

        Parameters
        ----------
        job : str or Following
            Its id, if it was submitted or followed by this connection. If it is the job's
            `Following` instead, another connection can continue from it when this one fails.

        Raises
        ------
        DaemonStoppedError
            If the daemon was told to stop.
        TurnedAwayError
            If the daemon no longer allows this machine.
        DaemonUnavailableError
            If it ends otherwise, or falls silent. Then, and if it was told to stop, the job goes on
            when the daemon is back, and can be followed.
        BadInputError
            If the daemon refused the submission.
        """
        following = job if isinstance(job, Following) else Following(job)
        return read_job_messages(self, following, HEARTBEAT)

    def check_alive(self) -> None:
        """Check that the daemon's process runs, and that the daemon was heard of lately.

        Raises
        ------
        DaemonUnavailableError
            If not.
        """
        self.check_process()
        now = self._clock()
        if self._silence.is_too_long(now):
            silent = now - self._silence.since
            raise DaemonUnavailableError(
                "{daemon} has not answered for {seconds:.0f} seconds; {remedy}",
                daemon=describe_daemon(self.info),
                seconds=silent,
                remedy=self.remedy,
            )

    def check_process(self) -> None:
        """Check that the daemon's process runs, as far as that can be seen from here.

        Raises
        ------
        DaemonUnavailableError
            If it is gone.
        """
        check_process(self.info)
