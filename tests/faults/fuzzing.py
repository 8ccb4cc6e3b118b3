"""Hostile messages: `cd tests && python -m faults.fuzzing [--count 1000000] [--socket 200000]`.

Real messages are mutated, byte by byte and as JSON, and read as the daemon reads them. What makes
the reader run lines in an order not seen before is kept and mutated on (coverage guided fuzzing, by
`sys.settrace`). Each must come out as a message or as an `UnderpaintError` that can be told; any
other exception is printed with the message that made it, and ends the run. With `--socket`, as many
go through the socket of a real daemon, half of them over TCP with a key, which must answer each
batch and grow no larger.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import psutil
import zmq

from limited import limited_daemon, memory_limit, new_guest
from underpaint.server import validation
from underpaint_client import (
    messages,
    model_messages,
    packing,
    prompt_messages,
    request,
    rules,
    wire,
)
from underpaint_client.errors import OtherProtocolError, UnderpaintError
from underpaint_client.frames import Bytes, Frame
from underpaint_client.geometry import Box
from underpaint_client.home import ConnectionInfo, read_connection_file
from underpaint_client.packing import pack, unpack, with_digest
from underpaint_client.request import Request
from underpaint_client.variations import Variation

Parts = list[bytes]

BATCH = 50
"""Messages after which an answer is waited for."""

MAX_CORPUS = 2000
MAX_SIZE = 2**16
"""Bytes of the largest message that is mutated on."""

RARE = 0.005
"""How often something becomes large or long."""

LARGE = 2**21
"""Bytes of the largest part that is sent: more than a header may have."""

MANY = 20_000
"""Parts of the longest message, and entries of the longest list."""

_WATCHED = {module.__file__ for module in (wire, validation, packing, rules, request)}

_ODD: list[Callable[[random.Random], Any]] = [
    lambda rng: None,
    lambda rng: rng.choice([True, False]),
    lambda rng: rng.choice([0, -1, 1, 2**31, 2**32, 2**63, -(2**63), 10**40, 255, 65536]),
    lambda rng: rng.choice([0.5, -0.0, 1e308, 1e-320, float("inf"), float("nan")]),
    lambda rng: rng.choice(["", "\0", "\ud800", "ä" * 300, "../..", "layer", "held", "packed"]),
    lambda rng: rng.choice(["x" * 21_000, "0" * 64, "{a|{b|", "\U0001f3a8", "RGBA", "Y", "f4"]),
    lambda rng: rng.choice(sorted(messages.TYPES)),
    lambda rng: [],
    lambda rng: {},
    lambda rng: [[]] * rng.randrange(200),
    lambda rng: _nested(rng.choice([5, 100, 3000])),
    lambda rng: {"seed": rng.randrange(9), "weight": rng.random()},
]


def _nested(depth: int) -> Any:
    found: Any = 0
    for _ in range(depth):
        found = [found]
    return found


def seeds() -> list[Parts]:
    """Return real messages, of each kind that a client sends and some that it does not."""
    rich = Request.of(
        prompt="a {lake|river}", negative_prompt="fog", strength=0.0, seed=7, images=2,
        width=64, height=64, variation_amount=0.3, variation_seed=3, chain=True,
        variations=(Variation(1, 0.5), Variation(2, 0.25)),
    )  # fmt: skip
    layer = Frame("layer", Box(-1, 2, 40, 30), "u1", "RGBA", bytes(range(240)) * 20)
    selection = Frame("selection", Box(-1, 2, 40, 30), "u1", "Y", bytes(1200))
    large = with_digest(Frame("layer", Box(0, 0, 64, 64), "u2", "BGRA", bytes(64 * 64 * 8)))
    held = Frame("layer", large.box, "u2", "BGRA", b"", "held", large.digest)
    named = {"job": "j", "request": rich}
    known: list[tuple[messages.Message, tuple[Frame, ...]]] = [
        (messages.Hello("fuzz"), ()),
        (messages.Submit(**named), ()),  # type: ignore[arg-type]
        (messages.Submit("k", Request.of(strength=0.0), previews="quick"), (layer, selection)),
        (messages.Submit("l", Request.of(strength=0.0), packed=True), (pack(large),)),
        (messages.Submit("m", Request.of(strength=0.0), packed=True), (held,)),
        (messages.Follow(("j", "k")), ()),
        (messages.Taken("j"), ()),
        (messages.AskWaiting(), ()),
        (messages.Cancel("j"), ()),
        (messages.Prefer("j"), ()),
        (messages.AskStatus(), ()),
        (model_messages.AskModels(), ()),
        (prompt_messages.AskPromptNames(), ()),
        (model_messages.AskSuggestions(), ()),
        (model_messages.StartDownload("no id"), ()),
        (model_messages.StopDownload("some/model"), ()),
        (model_messages.AskModelPicture("starter"), ()),
        (messages.Progress("j", "x"), ()),
        (messages.WorkerReady(1, "cpu"), ()),
    ]
    return [[bytes(part) for part in wire.encode(*one)] for one in known]


def mutate(rng: random.Random, parts: Parts, others: list[Parts]) -> Parts:
    """Return a message like that one, changed in a few places."""
    found = list(parts)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 6])):
        kind = rng.random()
        if kind < 0.55:
            found = _mutate_tree(rng, found)
        elif kind < 0.9 and found:
            place = rng.randrange(len(found))
            found[place] = _mutate_bytes(rng, found[place])
        else:
            found = _mutate_parts(rng, found, others)
    return found


def _mutate_tree(rng: random.Random, parts: Parts) -> Parts:
    """Change something in the header as JSON."""
    try:
        tree = json.loads(parts[0])
    except (ValueError, IndexError, RecursionError):
        return parts
    if not isinstance(tree, dict):
        return parts
    node: Any = tree
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            break
        key = rng.choice(keys)
        if isinstance(node[key], dict | list) and node[key] and rng.random() < 0.8:
            node = node[key]
            continue
        action = rng.random()
        if action < 0.7:
            node[key] = rng.choice(_ODD)(rng)
        elif action < 0.8:
            del node[key]
        elif isinstance(node, dict):
            node[rng.choice(["mood", "job", "digest", "\ud800", ""])] = rng.choice(_ODD)(rng)
        else:
            node.extend([node[key]] * rng.choice([1, 3, 20, MANY if rng.random() < RARE else 2]))
        break
    try:
        return [json.dumps(tree).encode(), *parts[1:]]
    except (ValueError, RecursionError):
        return parts


def _mutate_bytes(rng: random.Random, part: bytes) -> bytes:
    """Change some bytes: put in, take out, turn over, repeat."""
    data = bytearray(part)
    place = rng.randrange(len(data) + 1)
    length = rng.choice([0, 1, 1, 2, 4, 16, 64])
    telling = rng.choice([b'"', b"{", b"[" * 2000, b"\\ud800", b"1e999", b"NaN", b"\0"])
    new = rng.choice([b"", rng.randbytes(length), data[place : place + length] * 3, telling])
    if rng.random() < RARE:
        new = bytes(new) * (LARGE // max(1, len(new)))
    data[place : place + rng.choice([0, len(new), length])] = new
    return bytes(data[:LARGE])


def _mutate_parts(rng: random.Random, parts: Parts, others: list[Parts]) -> Parts:
    """Change which frames there are."""
    found = list(parts)
    place = rng.randrange(len(found) + 1)
    action = rng.random()
    if action < 0.3:
        del found[place : place + 1]
    elif action < 0.6:
        found.insert(place, rng.choice([b"", b"x", *rng.choice(others)]))
    elif action < 0.8:
        rng.shuffle(found)
    else:
        found = [*found[:1], *rng.choice(others)[1:]]
    if found and rng.random() < RARE:
        found += [rng.choice([b"", b"x", found[-1][:100]])] * rng.randrange(MANY)
    return found


def judge(parts: Parts) -> bool:
    """Read a message as the daemon, its worker and a client would; return whether it was taken.

    Raises
    ------
    Exception
        Any but an `UnderpaintError`: that is what is looked for.
    """
    received: list[Bytes] = [memoryview(part) for part in parts]
    job = validation.find_job_name(received)
    try:
        envelope = wire.open_envelope(received)
        message = validation.read_message(envelope)
        for frame in envelope.frames:
            unpack(frame)
    except UnderpaintError as error:
        told = wire.encode(messages.Failed(job, error.code, str(error)[:1000]))
        assert isinstance(wire.decode(told)[0], messages.Failed)
        taken = False
    else:
        wire.encode(message, envelope.frames)
        taken = True
    with contextlib.suppress(UnderpaintError):
        wire.decode(received)
    return taken


@dataclass
class Fuzzer:
    """Mutates, and keeps what reaches something new.

    Parameters
    ----------
    rng : Random
        Makes a run one that can be run again.
    guided : bool
        Watch which lines run; ten times slower.
    """

    rng: random.Random
    guided: bool = True
    corpus: list[Parts] = field(default_factory=seeds)
    seen: set[tuple[str, int, int]] = field(default_factory=set)
    taken: int = 0
    run: int = 0

    def step(self) -> Parts:
        """Try one message and give it."""
        parts = mutate(self.rng, self.rng.choice(self.corpus), self.corpus)
        self.run += 1
        before = len(self.seen)
        if self.guided:
            sys.settrace(self._listen)
        try:
            self.taken += judge(parts)
        except Exception as error:
            error.add_note(f"after {self.run} messages, by {parts!r}")
            raise
        finally:
            sys.settrace(None)
        if len(self.seen) > before and sum(map(len, parts)) < MAX_SIZE:
            self.corpus.append(parts)
            if len(self.corpus) > MAX_CORPUS:
                self.corpus.pop(self.rng.randrange(len(self.corpus)))
        return parts

    def _listen(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        name = frame.f_code.co_filename
        if name not in _WATCHED:
            return None
        last = frame.f_lineno

        def walk(frame: FrameType, event: str, _argument: Any) -> Any:
            nonlocal last
            if event == "line":
                self.seen.add((name, last, frame.f_lineno))
                last = frame.f_lineno
            return walk

        return walk


def through_socket(fuzzer: Fuzzer, count: int, info: ConnectionInfo | None = None) -> int:
    """Send messages to the daemon that runs, which must answer each batch.

    Parameters
    ----------
    fuzzer : Fuzzer
    count : int
        How many.
    info : ConnectionInfo, optional
        How to come in; without it as this user.

    Returns
    -------
    int
        How many answers came.
    """
    info = info or read_connection_file()
    assert info, "no daemon runs"
    answers = 0
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.linger = 0
        if info.server_public:
            socket.curve_serverkey = info.server_public.encode()
            socket.curve_publickey = info.client_public.encode()
            socket.curve_secretkey = info.client_secret.encode()
        socket.connect(info.endpoint)
        for number in range(0, count, BATCH):
            for _ in range(BATCH):
                parts = mutate(fuzzer.rng, fuzzer.rng.choice(fuzzer.corpus), fuzzer.corpus)
                if parts and b"ask_stop" not in parts[0]:
                    socket.send_multipart(parts)
            # Its answer is known from all others: each batch has a protocol of its own.
            last = 10**9 + number
            socket.send_multipart([json.dumps({"protocol": last}).encode()])
            heard = False
            while not heard:
                assert socket.poll(60_000), "the daemon fell silent"
                answer: list[Bytes] = list(socket.recv_multipart())
                answers += 1
                try:
                    message, _ = wire.decode(answer)
                except OtherProtocolError:  # an older plug-in is told in its own words
                    continue
                heard = isinstance(message, messages.Failed) and str(last) in message.message
    return answers


def memory(pid: int) -> float:
    """Return the megabytes that a process takes."""
    return float(psutil.Process(pid).memory_info().rss) / 2**20


def main() -> None:
    """Fuzz, and return what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--socket", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    fuzzer = Fuzzer(random.Random(options.seed))
    began, warm = time.monotonic(), 0.0
    for number in range(options.count):
        fuzzer.step()
        if number == options.count // 10:
            warm = memory(os.getpid())
        if number and number % (options.count // 10 or 1) == 0:
            print(f"{number}: {len(fuzzer.seen)} ways, {len(fuzzer.corpus)} kept,"
                  f" {memory(os.getpid()):.1f} MiB", flush=True)  # fmt: skip
    print(
        f"{fuzzer.run} messages in {time.monotonic() - began:.0f} s: {fuzzer.taken} taken,"
        f" {fuzzer.run - fuzzer.taken} refused, no other end; {len(fuzzer.seen)} ways through the"
        f" reader; memory {warm:.1f} MiB after a tenth, {memory(os.getpid()):.1f} MiB at the end",
        flush=True,
    )
    if options.socket:
        _fuzz_daemon(fuzzer, options.socket)


def _fuzz_daemon(fuzzer: Fuzzer, count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="up-") as folder:
        os.environ["UNDERPAINT_HOME"] = folder
        os.environ["UNDERPAINT_MODEL"] = "none"  # what is accepted shall not paint for hours
        with limited_daemon("--bind", "tcp://127.0.0.1:*") as process:
            guest = new_guest()
            before = read_connection_file()
            through_socket(fuzzer, count // 20)
            through_socket(fuzzer, count // 20, guest)
            warm, began = memory(process.pid), time.monotonic()
            answers = through_socket(fuzzer, count * 9 // 20)
            answers += through_socket(fuzzer, count * 9 // 20, guest)
            print(
                f"{count} messages through sockets, the last {count * 9 // 10} in"
                f" {time.monotonic() - began:.0f} s, {answers} answers; the daemon's memory"
                f" {warm:.1f} MiB after a tenth, {memory(process.pid):.1f} MiB at the end, the same"
                f" process: {read_connection_file() == before}"
            )


if __name__ == "__main__":
    with memory_limit():
        main()
