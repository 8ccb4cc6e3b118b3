"""A connection to no daemon, for tests of what is sent and of what is made of messages."""

from __future__ import annotations

from typing import Any

from underpaint_client import Frame, messages
from underpaint_client.sentences import sentence


class FakeConnection:
    """A connection that has received messages, and notes what is done with it."""

    fd = 1
    remedy = sentence("look at its log")

    def __init__(self, *received: tuple[Any, tuple[Frame, ...]]) -> None:
        self.messages = list(received)
        self.sent: list[tuple[str, ...]] = []

    def send(self, message: messages.Message, frames: tuple[Frame, ...] = ()) -> None:
        pass

    def check_process(self) -> None:
        pass

    def follow(self, *jobs: str) -> None:
        self.sent.append(("follow", *jobs))

    def acknowledge(self, job: str) -> None:
        self.sent.append(("acknowledge", job))

    def cancel(self, job: str) -> None:
        self.sent.append(("cancel", job))

    def prefer(self, job: str) -> None:
        self.sent.append(("prefer", job))

    def close(self, patience: float = 0.5) -> None:
        pass

    def receive(self, timeout: float | None = None) -> Any:
        return self.messages.pop(0) if self.messages else None
