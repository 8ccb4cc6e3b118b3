"""Make a small home with the code of today, to be kept as test data for the code of tomorrow.

    python tests/keep_home.py tests/server/old_homes/protocol-N.tar.gz

Run it before the wire's protocol, the recipe or the store changes. The home has jobs in each state:
results that wait, a job that failed, one that ran and some that were queued when the daemon was
killed, and one whose results were taken; besides keys, a configuration, and what a window of GIMP
would keep of its form. `test_old_homes` opens it.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from daemons import serve, until
from tiny_models import build_model
from underpaint.server.arrays import to_frame
from underpaint.server.keys import allow, own_keys
from underpaint_client import Connection, connect, messages
from underpaint_client.address import Address
from underpaint_client.geometry import Box
from underpaint_client.request import Request
from underpaint_client.variations import Variation
from underpaint_editor.form import Form

SIDE = 16
BOX = Box(-3, 5, SIDE, SIDE)
CONFIG = "[results]\ndays = 30\ngigabytes = 2\n"
KEPT = ("config.toml", "form.json", "jobs", "keys")


def layer() -> Any:
    """A layer with a hole, whose colour is still there."""
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    pixels = np.stack([rows * 16, columns * 16, rows * 8, np.full_like(rows, 255)], -1)
    pixels[4:10, 4:10, 3] = 0
    return pixels.astype(np.uint8)


def send(connection: Connection, name: str, request: Request, **frames: Any) -> None:
    note = Address("Krita", f"/{name}.kra", "{layer}", SIDE, SIDE).to_text()
    sent = tuple(
        to_frame(what, pixels, BOX, "RGBA" if pixels.ndim == 3 else "Y")
        for what, pixels in frames.items()
    )
    connection.send(messages.Submit(name, request, note=note), sent)


def fill(home: Path) -> None:
    """Let a daemon paint, and kill it in the middle of it."""
    (home / "config.toml").write_text(CONFIG, encoding="utf-8")
    (home / "form.json").write_text(
        Form.of(prompt="a lake", strength=0.4, seed=3, seed_locked=True, images=2).to_text(),
        encoding="utf-8",
    )
    own_keys("server")
    allow(own_keys("client").public, "laptop")
    process = serve()
    try:
        _send_all()
    finally:
        process.kill()
        process.communicate()
    records = sqlite3.connect(home / "jobs" / "jobs.sqlite")
    records.execute("PRAGMA journal_mode = DELETE")
    records.execute(
        "UPDATE jobs SET ending = CAST(replace(CAST(ending AS TEXT), ?, '/home/artist') AS BLOB)",
        (str(home),),
    )
    records.commit()
    records.execute("VACUUM")
    print(records.execute("SELECT name, state, deaths FROM jobs").fetchall())
    records.close()


def _send_all() -> None:
    half = np.zeros((SIDE, SIDE), np.uint8)
    half[:, 8:] = 255
    tiny: dict[str, Any] = {"model": "sd", "steps": 4, "seed": 7}
    with connect() as connection:
        send(connection, "kept", Request.of(prompt="nothing", strength=0.0, seed=1), layer=layer())
        varied = Request.of(
            prompt="a {red|blue} lake", negative_prompt="people", strength=0.6, images=2,
            variation_amount=0.2, variation_seed=11, variations=(Variation(3, 0.1),),
            result="patch", **tiny,
        )  # fmt: skip
        send(connection, "varied", varied, layer=layer(), selection=half)
        send(connection, "chained", Request.of(prompt="a lake", images=2, chain=True, **tiny),
             layer=layer())  # fmt: skip
        send(connection, "failed", Request.of(prompt="a lake", model="gone"), layer=layer())
        send(connection, "taken", Request.of(prompt="taken", strength=0.0, seed=1), layer=layer())
        until(lambda: not connection.status().jobs)
        connection.acknowledge("taken")
    with connect() as connection:
        until(lambda: len(connection.waiting()) == 4)
        long = Request.of(prompt="a long one", model="sd", steps=500, width=64, height=64, seed=5)
        send(connection, "running", long)
        until(lambda: [job.state for job in connection.status().jobs] == ["running"])
        mode = Request.of(prompt="queued", mode="inpaint", fill="neighbours", compensate=True,
                       guidance_scale=3.0, sampler="k_euler", **tiny)  # fmt: skip
        send(connection, "queued", mode, layer=layer(), selection=half, mask=half)
        new = Request.of(prompt="from nothing", width=64, height=64, seed=9, model="sd", steps=2)
        send(connection, "new", new)
        until(lambda: len(connection.status().jobs) == 3)
        time.sleep(1)  # until what was sent is on the disk


def main(target: Path) -> None:
    home = Path(tempfile.mkdtemp(prefix="up-"))
    os.environ["UNDERPAINT_HOME"] = str(home)
    try:
        build_model(home / "models" / "sd", "sd")
        fill(home)
        with tarfile.open(target, "w:gz", format=tarfile.PAX_FORMAT) as archive:
            for path in sorted(home.iterdir()):
                if path.name in KEPT:
                    archive.add(path, path.name, filter=_nobody)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _nobody(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


if __name__ == "__main__":
    main(Path(sys.argv[1]))
