"""An editor's way to the daemon: connects to it, and starts one where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from underpaint_client.errors import DaemonUnavailableError, to_sentence
from underpaint_client.sentences import sentence

from .launch import DaemonStarter, Launcher
from .log import log_event, log_exception

if TYPE_CHECKING:
    from collections.abc import Callable

    from underpaint_client.messages import Message
    from underpaint_client.sentences import Sentence

    from .contract import EventLoop
    from .pump import Pump
    from .tracker import JobTracker


class DaemonAccess:
    """See the module.

    Parameters
    ----------
    loop : EventLoop
    tracker : JobTracker
        Has the connection.
    pump : Pump
        Handles what arrives on it.
    report : callable
        Shows the artist a message.
    refresh : callable
        Shows what has changed; called after the message.
    launcher : Launcher
        How to start the daemon.
    """

    def __init__(
        self,
        loop: EventLoop,
        tracker: JobTracker,
        pump: Pump,
        report: Callable[[Sentence], object],
        refresh: Callable[[], object],
        launcher: Launcher,
    ) -> None:
        self._tracker, self._pump = tracker, pump
        self._report, self._refresh = report, refresh
        self._starter = DaemonStarter(loop, self._started, launcher)

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection, over which a daemon may not have answered yet."""
        return self._tracker.fd is not None

    @property
    def can_start(self) -> bool:
        """Whether a daemon can be started, and no start is under way."""
        return self._starter.can_start

    def open(self, *, start: bool = False) -> bool:
        """Connect to the daemon, if there is no connection.

        Parameters
        ----------
        start : bool
            Whether to start the daemon if none runs.

        Returns
        -------
        bool
            Whether there is a connection; False while the daemon is being started.

        Raises
        ------
        DaemonUnavailableError
            If there is no daemon, and none is being started for this call; the artist was told.
        """
        try:
            self._tracker.open()
        except DaemonUnavailableError as error:
            if start and self._is_coming():
                return False
            self.report_unavailable(to_sentence(error))
            raise
        return True

    def _is_coming(self) -> bool:
        """Return whether the daemon is being started; start it if that can be done."""
        if self._starter.can_start:
            self.start()
        return self._starter.is_starting

    def connect(self) -> None:
        """Connect to the daemon, if there is no connection; report it if there is no daemon."""
        try:
            self.open()
        except DaemonUnavailableError:
            return  # it was reported
        self._pump.wake()

    def send(self, message: Message) -> None:
        """Send a message, if there is a connection."""
        self._tracker.send(message)
        self._pump.wake()

    def ask_waiting(self) -> None:
        """Ask which results wait."""
        self._tracker.ask_waiting()
        self._pump.wake()

    def report_unavailable(self, why: Sentence) -> None:
        """Report that the daemon cannot be used."""
        if not self.is_connected:
            self._pump.unwatch()
        self._report(why)
        self._refresh()

    def start(self) -> None:
        """Start the daemon, if no start is under way."""
        try:
            if not self._starter.start():
                return
        except DaemonUnavailableError as error:
            log_exception("starting the daemon", error)
            self._report(to_sentence(error))
            return
        log_event("starting the daemon")
        self._report(sentence("Starting the daemon..."))

    def _started(self, message: str) -> None:
        """Connect, now that the process that starts the daemon has ended."""
        try:
            self._tracker.open()
        except DaemonUnavailableError as error:
            why = sentence(
                "The daemon could not be started: {reason}", reason=message or error.sentence
            )
            self.report_unavailable(why)
        else:
            self._pump.wake()
            self._refresh()
