"""The daemon lists what a prompt can name, beside its other work."""

from __future__ import annotations

import select
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemons import serve
from underpaint.server import prompt_names
from underpaint.server.job_queue import Client
from underpaint.server.prompt_names import PromptNameList
from underpaint_client import connect, messages, wire
from underpaint_client.prompt_messages import AskPromptNames, PromptLora, PromptNames
from underpaint_client.styles import Style
from weight_files import write_lora, write_safetensors

ARTIST, OTHER = Client(0, b"artist"), Client(0, b"other")

Sent = list[tuple[Client, PromptNames]]


@pytest.fixture
def sent() -> Sent:
    """What clients were sent."""
    return []


@pytest.fixture
def names(home: Path, sent: Sent) -> Iterator[PromptNameList]:
    """A list for a home with LoRAs and wildcards."""
    write_lora(home / "loras" / "style" / "ink.safetensors", words="ink wash, black")
    write_lora(home / "models" / "gold.safetensors", "sdxl")
    write_safetensors(home / "loras" / "o.safetensors", {"lora_unet_x.oft_blocks": ("F16", (4, 8))})
    for file in ("birds", "animals/birds"):
        path = home / "wildcards" / f"{file}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("owl")
    made = PromptNameList(lambda *found: sent.append(found))
    yield made
    made.close()


def ask(names: PromptNameList, sent: Sent, client: Client = ARTIST) -> PromptNames:
    names.request(client)
    before = len(sent)
    while len(sent) == before:
        assert select.select([names.fd], [], [], 30)[0]
        names.answer()
    assert sent[-1][0] == client
    return sent[-1][1]


def test_what_can_be_named_is_listed(names: PromptNameList, sent: Sent, home: Path) -> None:
    found = ask(names, sent)
    assert found.wildcards == ("animals/birds", "birds")
    gold, odd, ink = found.loras
    assert gold == PromptLora("gold", ("sdxl",), ("SDXL",))
    assert (odd.name, odd.problem) == (
        "o", "a LyCORIS (OFT) cannot be used; use a LoRA, LoHa or LoKr",
    )  # fmt: skip
    assert ink == PromptLora("style/ink", ("sd",), ("Stable Diffusion 1",), ("ink wash", "black"))
    write_lora(home / "loras" / "new.safetensors")
    (home / "wildcards" / "birds.txt").unlink()
    found = ask(names, sent)
    assert "new" in {one.name for one in found.loras}
    assert found.wildcards == ("animals/birds",)


def test_embeddings_are_listed_with_their_models(
    names: PromptNameList, sent: Sent, home: Path
) -> None:
    write_safetensors(home / "embeddings" / "xl.safetensors", {
        "clip_l": ("F16", (2, 768)), "clip_g": ("F16", (2, 1280))})  # fmt: skip
    write_safetensors(home / "embeddings" / "a" / "old.safetensors", {"*": ("F32", (768,))})
    (home / "embeddings" / "torn.safetensors").write_bytes(b"")
    old, torn, xl = ask(names, sent).embeddings
    assert old == PromptLora("a/old", ("sd",), ("Stable Diffusion 1",))
    assert xl == PromptLora("xl", ("sdxl",), ("SDXL",))
    assert torn.problem == "its file cannot be read; fetch it again"
    shutil.rmtree(home / "embeddings")


def test_styles_are_listed_and_fail_alone(names: PromptNameList, sent: Sent, home: Path) -> None:
    (home / "styles").mkdir()
    (home / "styles" / "Ink.json").write_text('{"prompt": "{prompt}, ink", "steps": 9}')
    (home / "styles" / "bad.json").write_text("{")
    found = {one.name: one for one in ask(names, sent).styles}
    assert found["Ink"] == Style("Ink", "{prompt}, ink", steps=9)
    assert "it is not JSON" in found["bad"].problem
    assert len(found) > 2  # those that are shipped
    assert wire.decode(wire.encode(sent[-1][1]))[0] == sent[-1][1]
    shutil.rmtree(home / "styles")


def test_all_who_wait_get_one_list(
    names: PromptNameList, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, made = threading.Event(), list[int]()

    def count() -> Iterator[str]:
        made.append(1)
        return iter(())

    names._thread.submit(gate.wait)
    monkeypatch.setattr(prompt_names, "list_wildcards", count)
    for client in (ARTIST, OTHER, ARTIST):
        names.request(client)
    gate.set()
    while len(sent) < 2:
        assert select.select([names.fd], [], [], 30)[0]
        names.answer()
    assert [client for client, _ in sent] == [ARTIST, OTHER]
    assert made == [1]


def test_headers_that_are_not_read_yet_are_listed_later(
    names: PromptNameList, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt_names, "SLICE", -1)  # no time for any
    found = ask(names, sent)
    assert found.loras == ()
    assert len(found.wildcards) == 2
    monkeypatch.setattr(prompt_names, "SLICE", 30)
    assert len(ask(names, sent).loras) == 3


def test_what_fails_leaves_the_rest(names: PromptNameList, sent: Sent, home: Path) -> None:
    (home / "config.toml").write_text("[prompts]\nwildcards = 3\n")
    found = ask(names, sent)
    assert len(found.loras) == 3
    assert found.wildcards == ()


def test_an_answer_is_bounded(
    names: PromptNameList, sent: Sent, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt_names, "MOST_BYTES", 300)
    for number in range(200):
        (home / "wildcards" / f"{number:03}.txt").write_text("a")
    (home / "wildcards" / ("n" * 220 + ".txt")).write_text("a")
    (home / "wildcards" / "a\nb.txt").write_text("a")
    found = ask(names, sent)
    assert found.wildcards[0] == "000"
    assert 10 < len(found.wildcards) < 100
    assert 0 < len(found.loras) < 3
    monkeypatch.setattr(prompt_names, "MOST_BYTES", 10**6)
    assert len(ask(names, sent).wildcards) == 202


def test_a_daemon_says_that_it_knows_and_names_no_path(home: Path) -> None:
    write_lora(home / "loras" / "ink.safetensors", words="ink wash")
    bad = write_lora(home / "loras" / "cut.safetensors")
    layout = {"lora_unet_mid_block_x_to_k.lora_down.weight": ("F16", (8, 1280))}
    write_safetensors(bad, layout)
    process = serve()
    try:
        with connect() as connection:
            assert connection.hello().prompt_names
            found = connection._ask(AskPromptNames(), PromptNames, 30)
            assert "Watercolour" in {one.name for one in connection.styles()}
        assert {one.name: bool(one.problem) for one in found.loras} == {"ink": False, "cut": True}
        assert str(home).encode() not in bytes(wire.encode(found)[0])
    finally:
        process.terminate()
        process.communicate()
        shutil.rmtree(home / "loras")


def test_a_welcome_of_an_older_daemon_promises_nothing() -> None:
    header = bytes(wire.encode(messages.Welcome("1", 2))[0])
    older = header.replace(b', "prompt_names": false', b"")
    assert older != header
    assert wire.decode([older])[0] == messages.Welcome("1", 2)
