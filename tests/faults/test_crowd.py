"""A short run of `crowd`: of many clients at once, each is greeted and gets its jobs done."""

from __future__ import annotations

import threading
from pathlib import Path

from faults.crowd import Voice, flood, run


def all_served(voices: list[Voice]) -> bool:
    return all(voice.waits and voice.done >= 2 for voice in voices)


def test_of_many_clients_nobody_starves(daemon: Path) -> None:
    voices = run(64, 60, enough=all_served)
    assert all_served(voices)
    assert not any(voice.refused for voice in voices)
    # They take turns: nobody gets many before all have had some.
    assert max(voice.done for voice in voices) <= 2 * min(voice.done for voice in voices) + 2


def test_one_that_floods_keeps_nobody_out(daemon: Path) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=flood, args=(stop,))
    thread.start()
    try:
        voices = run(8, 60, enough=all_served)
    finally:
        stop.set()
        thread.join()
    assert all_served(voices)
