"""Answers what clients ask of models: the list of them, and the small picture of one."""

from __future__ import annotations

import functools
from collections.abc import Callable

from underpaint.models.pictures import SmallPicture
from underpaint_client import messages, model_messages
from underpaint_client.errors import GenerationFailedError, UnderpaintError
from underpaint_client.frames import Frame
from underpaint_client.geometry import Box

from .job_queue import Client
from .model_list import Entries, ModelList

Send = Callable[[Client, messages.Message, tuple[Frame, ...]], object]
"""Sends a client a message with its frames."""

Refuse = Callable[[Client, str, UnderpaintError], object]
"""Sends a client an error, about a job or, where its name is empty, about none."""


class ModelAnswers:
    """See the module.

    Parameters
    ----------
    models : ModelList
    send, refuse : callable
        Send a client a message, or an error.
    """

    def __init__(self, models: ModelList, send: Send, refuse: Refuse) -> None:
        self._models, self._send, self._refuse = models, send, refuse

    def answer(
        self, client: Client, message: model_messages.AskModels | model_messages.AskModelPicture
    ) -> None:
        """Answer a client, when the models have been looked at."""
        if isinstance(message, model_messages.AskModels):
            self._models.request(functools.partial(self._send_models, client))
        else:
            send = functools.partial(self._send_picture, client, message.model)
            self._models.request_picture(client, message.model, send)

    def _send_models(
        self, client: Client, entries: Entries | None, error: Exception | None
    ) -> None:
        if entries is None:
            refusal = GenerationFailedError(
                "the models cannot be listed ({error}); the daemon's log has the details",
                error=error,
            )
            self._refuse(client, "", refusal)
        else:
            self._send(client, model_messages.Models(entries), ())

    def _send_picture(self, client: Client, model: str, picture: SmallPicture | None) -> None:
        frames: tuple[Frame, ...] = ()
        if picture is not None:
            box = Box(0, 0, picture.width, picture.height)
            frames = (Frame("picture", box, "u1", "RGBA", picture.pixels),)
        self._send(client, model_messages.ModelPicture(model), frames)
