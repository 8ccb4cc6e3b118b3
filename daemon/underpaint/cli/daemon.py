"""`underpaint serve`, `status` and `stop`: the daemon's life."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from underpaint_client import connect
from underpaint_client.daemon_lock import lock_holder
from underpaint_client.errors import DaemonUnavailableError, OtherProtocolError
from underpaint_client.printable import one_line

from .options import Parser
from .printing import say, show, show_json

if TYPE_CHECKING:
    from underpaint.server.config import Config
    from underpaint_client.messages import Status


def run_serve(words: Sequence[str]) -> int:
    """Run a daemon here, or start one in the background."""
    parser = Parser("serve", "Run the daemon that paints for the command line and the editors.")
    parser.add_argument("--background", action="store_true", help="detach once it answers")
    parser.add_argument(
        "--bind",
        action="append",
        default=[],
        metavar="tcp://ADDRESS:PORT",
        help="listen there too, for sandboxed editors and other machines; always encrypted, and"
        " only for the clients that `underpaint keys list` shows",
    )
    parser.add_argument("--no-ipc", action="store_true", help="listen only on TCP")
    parser.add_argument(
        "--device",
        action="append",
        default=[],
        help="auto, cpu, cuda, cuda:1, mps; once for each worker (default: one, auto)",
    )
    parser.epilog = (
        "All this holds for this daemon alone. What every start is to have, one by an editor or"
        "\n`underpaint generate` too, goes under [serve] in config.toml: bind, ipc and devices."
    )
    options = parser.read(words)
    from underpaint.server.config import check_address, check_device, read_config  # noqa: PLC0415 - only this command needs it

    for endpoint in options.bind:
        check_address(endpoint)
    for device in options.device:
        check_device(device)
    config = read_config()  # what is wrong with it is said here, and not in a log
    config = replace(
        config,
        bind=tuple(options.bind) or config.bind,
        ipc=config.ipc and not options.no_ipc,
        devices=tuple(options.device) or config.devices,
    )
    if options.background:
        return _serve_in_background(config)
    from underpaint.server.daemon import serve  # noqa: PLC0415 - only this command needs it

    serve(config)
    return 0


def _serve_in_background(config: Config) -> int:
    from underpaint.server.background import connect_running, start_background  # noqa: PLC0415
    from underpaint.server.paths import daemon_runs  # noqa: PLC0415

    if daemon_runs():
        with connect_running() as connection:
            info = connection.info
        raise DaemonUnavailableError(
            "a daemon is already running (process id {pid}, {endpoint}); use it, or stop it with"
            " `underpaint stop`",
            pid=info.pid,
            endpoint=info.endpoint,
        )
    options = [f"--bind={endpoint}" for endpoint in config.bind]
    options += [] if config.ipc else ["--no-ipc"]
    options += [f"--device={device}" for device in config.devices]
    with start_background(options) as connection:
        endpoint, pid = connection.info.endpoint, connection.info.pid
        endpoints = connection.status().endpoints
    say(f"the daemon listens on {endpoint} (process id {pid})")
    if config.bind:
        from underpaint.server.keys import invitation  # noqa: PLC0415

        say(invitation(endpoints))
    return 0


def run_status(words: Sequence[str]) -> int:
    """Show what the daemon is doing."""
    parser = Parser("status", "Show the daemon, its workers and its queue.")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.read(words)
    with connect() as connection:
        status = connection.status()
    if options.json:
        show_json(asdict(status))
    else:
        show("\n".join(_describe(status)))
    return 0


def _describe(status: Status) -> Iterator[str]:
    """Yield the lines of a status; prompts and names in it are of anybody."""
    yield f"daemon    {one_line(status.version)}, process id {status.pid}, up {status.uptime:.0f} s"
    for endpoint in status.endpoints:
        yield f"listens   {one_line(endpoint)}"
    yield f"default   {one_line(status.default_model) or 'no model yet'}"
    for worker in status.workers:
        model = one_line(worker.model) or "no model loaded"
        state, device = one_line(worker.state), one_line(worker.device)
        yield f"worker    {state} on {device}, process id {worker.pid}, {model}"
    count = len(status.jobs)
    yield f"queue     {count} {'job' if count == 1 else 'jobs'}"
    for job in status.jobs:
        state, name = one_line(job.state), one_line(job.job, 8)
        yield f"          {state:8}{name}  {one_line(job.prompt, 60)}"


def run_stop(words: Sequence[str]) -> int:
    """End the daemon, and wait until it has ended."""
    Parser("stop", "Stop the daemon; its jobs go on when it starts again.").read(words)
    from underpaint.server.background import connect_running  # noqa: PLC0415
    from underpaint.server.paths import daemon_runs  # noqa: PLC0415

    if not daemon_runs():
        say("no daemon runs")
        return 0
    try:
        with connect_running() as connection:
            pid = connection.info.pid
            connection.stop()
    except OtherProtocolError:  # of another version, and not to be asked; a signal ends it as well
        pid = lock_holder()
        if not pid:
            raise
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 15
    while daemon_runs():
        if time.monotonic() > deadline:
            raise DaemonUnavailableError("the daemon does not stop; kill process {pid}", pid=pid)
        time.sleep(0.02)
    say(f"the daemon (process id {pid}) has ended")
    return 0
