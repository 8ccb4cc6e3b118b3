"""Where the Hugging Face Hub is, and what its errors mean, in sentences."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Any

from underpaint_client.errors import ModelUnavailableError
from underpaint_client.sentences import Sentence, sentence


def hub_endpoint() -> str | None:
    """Return where the Hub is; `huggingface_hub` reads the variable only when it is imported."""
    return os.environ.get("HF_ENDPOINT") or None


def hub_page(repository: str) -> str:
    """Return the address of a repository's page, for people."""
    return f"{(hub_endpoint() or 'https://huggingface.co').rstrip('/')}/{repository}"


def refuse_long_waits(repository: str) -> None:
    """Raise an answer that asks for a long pause; `huggingface_hub` would wait for days."""
    from huggingface_hub import get_session  # noqa: PLC0415 - slow, only needed here

    def check(response: Any) -> None:
        if response.status_code not in (429, 503):
            return
        said = response.headers.get("retry-after", "")
        limit = re.search(r"\bt=(\d+)", response.headers.get("ratelimit", ""))
        for wait in (said if said.isdecimal() else "0", limit[1] if limit else "0"):
            if len(wait) > _LONGEST_WAIT_DIGITS or int(wait) > LONGEST_WAIT:
                raise ModelUnavailableError(
                    "the Hugging Face Hub answers {status} for {repository}, and asks to wait for"
                    " {seconds} seconds; try again later",
                    status=response.status_code,
                    repository=repository,
                    seconds=wait[:20],
                )

    client = get_session()
    client.event_hooks = {**client.event_hooks, "response": [check]}


LONGEST_WAIT = 300
"""Seconds that the Hub may ask to wait: it counts requests in windows of five minutes."""

_LONGEST_WAIT_DIGITS = 9


@contextlib.contextmanager
def hub_errors(repository: str) -> Iterator[None]:
    """Raise errors as sentences, without the request, which contains the token."""
    from huggingface_hub.errors import HfHubHTTPError  # noqa: PLC0415 - slow, only needed here

    try:
        yield
    except Exception as error:
        is_network = isinstance(error, (ConnectionError, TimeoutError, ValueError, HfHubHTTPError))
        # `httpx` has errors of its own, under names that depend on the version of the Hub's library
        if not (is_network or type(error).__module__.startswith(("httpx", "huggingface_hub"))):
            raise
        raise ModelUnavailableError(_explain(repository, error)) from None


def _explain(repository: str, error: Exception) -> Sentence:
    from huggingface_hub import errors  # noqa: PLC0415 - as above

    page = hub_page(repository)
    if isinstance(error, errors.OfflineModeIsEnabled):
        return sentence("HF_HUB_OFFLINE is set, so that nothing is downloaded; unset it")
    if isinstance(error, errors.GatedRepoError):
        return sentence(
            "{repository} is gated: accept its terms on {page}, then log in with `hf auth login`",
            repository=repository,
            page=page,
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return sentence(
            "the Hugging Face Hub has no model {repository}, or it is private: look at {page}, and"
            " log in with `hf auth login` if it is yours",
            repository=repository,
            page=page,
        )
    status = _find_status(error)
    if status:
        return sentence(
            "the Hugging Face Hub answers {status} for {repository}; try again later",
            status=status,
            repository=repository,
        )
    if isinstance(error, ValueError):
        return sentence(
            "{repository} cannot be looked up: {error}",
            repository=repository,
            error=str(error)[:200],
        )
    return _unreachable(repository)


def _find_status(error: BaseException | None) -> int:
    """Return the status that the Hub refused with; 0 if it did not answer.

    After some tries, `huggingface_hub` raises another error, of which the refusal is the cause.
    """
    while error is not None:
        status = getattr(getattr(error, "response", None), "status_code", 0)
        if status:
            return int(status)
        error = error.__cause__ or error.__context__
    return 0


def _unreachable(repository: str) -> Sentence:
    return sentence(
        "{server} cannot be reached, so {repository} is not downloaded; check the network and try"
        " again: what was downloaded is kept",
        server=hub_endpoint() or "https://huggingface.co",
        repository=repository,
    )
