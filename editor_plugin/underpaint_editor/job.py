"""One job of an editor: its request, where its results go, and its state."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from underpaint_client.following import Following

from .progress import Pace

if TYPE_CHECKING:
    from underpaint_client.request import Request


@dataclass
class Job:
    """One job of this editor.

    Parameters
    ----------
    name : str
        Its id on the wire.
    request : Request
    destination : any
        Where the results go; the tracker does not look at it. A session keeps a `Batch` here.
    pace : Pace
        Estimates how long the job will take.
    following : Following
        Its state as the client sees it; made from `name` if it is left out.
    """

    name: str
    request: Request
    destination: Any
    pace: Pace = field(default_factory=Pace)
    following: Following = field(default=None, repr=False)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.following = self.following or Following(self.name)

    @property
    def accepted(self) -> bool:
        """Whether the job is not to be sent again; see `Following.accepted`."""
        return self.following.accepted

    @property
    def pictures(self) -> set[int]:
        """The indexes of the images that have arrived."""
        return self.following.pictures

    @property
    def remark(self) -> str:
        """What the daemon says about how it stores the job; mostly empty."""
        return self.following.remark

    @property
    def position(self) -> int:
        """How many jobs run or wait before it; 0 while it runs."""
        return self.following.position
