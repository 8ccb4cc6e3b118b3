"""What the tracker asks of a connection to the daemon; for annotations alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from underpaint_client.following import Line

if TYPE_CHECKING:
    from underpaint_client import messages
    from underpaint_client.frames import Frame


class Channel(Line, Protocol):
    """See the module; a `Connection` is one."""

    @property
    def fd(self) -> int:
        """The descriptor to watch for reading (edge-triggered)."""

    @property
    def remedy(self) -> str:
        """What may help if the daemon does not answer, as a clause."""

    def prefer(self, job: str) -> None:
        """Send `Prefer`."""

    def receive(
        self, timeout: float | None = None
    ) -> tuple[messages.Message, tuple[Frame, ...]] | None:
        """Return the next message and its frames; None if there is none in time."""

    def check_process(self) -> None:
        """Raise a `DaemonUnavailableError` if the daemon's process is gone."""

    def close(self, patience: float = 0.5) -> None:
        """Close it; what was not sent yet has some seconds left."""
