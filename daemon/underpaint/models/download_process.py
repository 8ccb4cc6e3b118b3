"""A process that downloads one model for the daemon, and prints a line for each event.

    {"received": 1000, "size": 2000}      bytes, about twice a second
    {"path": "/home/ann/..."}             the model is complete
    {"error": "the Hub has no such model"}

It may be killed at any time: the next one goes on where it ended.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

from underpaint_client.errors import UnderpaintError
from underpaint_client.sentence_json import to_data
from underpaint_client.sentences import sentence

from .downloading import RemoteModel, download, look_up, received_bytes, split_id
from .kinds import with_article
from .probes import MODEL
from .scanning import contents_of

INTERVAL = 0.5
"""Seconds between two reports of progress."""


def _report(**event: Any) -> None:
    # Fails, and ends this process, where the daemon has gone.
    print(json.dumps(event), flush=True)


def _report_progress(model: RemoteModel, ended: threading.Event) -> None:
    while not ended.wait(INTERVAL):
        _report(received=min(received_bytes(model), model.size), size=model.size)


def _run(said: str) -> None:
    from huggingface_hub.utils.tqdm import disable_progress_bars  # noqa: PLC0415 - slow to import

    disable_progress_bars()
    model = look_up(*split_id(said))
    _report(received=0, size=model.size)
    ended = threading.Event()
    progress = threading.Thread(target=_report_progress, args=(model, ended), daemon=True)
    progress.start()
    path = download(model)
    ended.set()
    progress.join()
    kind = MODEL if model.is_folder else contents_of(path).kind
    if kind == MODEL:
        _report(path=str(path))
    else:
        what = with_article(kind) if kind else "nothing that Underpaint knows"
        told = sentence(
            "{path} was downloaded, and is {what}: it cannot be painted with alone",
            path=path,
            what=what,
        )
        _report(error=told, sentence=to_data(told))


def main(said: str) -> int:
    """Download a model; return the exit status.

    Parameters
    ----------
    said : str
        As `split_id` takes it.
    """
    try:
        _run(said)
    except UnderpaintError as error:
        _report(error=str(error), sentence=to_data(error.sentence))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
