"""A Hugging Face Hub on the loopback: as much of it as downloading a model needs."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

REVISION = "0123456789" * 4
SMALL = 1000
"""Files with fewer bytes are no LFS files."""


@dataclass
class Hub:
    """What it has, and what it was asked.

    Parameters
    ----------
    files : dict of str to bytes
        Of its one repository, `some/model`.
    licence : str
    gated : bool
        Whether files are given only to who has the token `hf_secret`.
    cut_after : int
        Bytes of a large file after which the line breaks, once; 0 for never.
    damaged : set of str
        Files that arrive with a byte changed.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    licence: str = "openrail++"
    gated: bool = False
    cut_after: int = 0
    damaged: set[str] = field(default_factory=set)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    endpoint: str = ""

    def paths(self, method: str = "GET") -> list[str]:
        """Return the files that were asked for."""
        found = [re.fullmatch(r"/some/model/resolve/\w+/(.*)", path) for _, path, _ in self.asked]
        methods = [one[0] for one in self.asked]
        return [m[1] for m, asked in zip(found, methods, strict=True) if m and asked == method]


def describe(hub: Hub) -> dict[str, Any]:
    siblings = []
    for name, data in hub.files.items():
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
        one: dict[str, Any] = {"rfilename": name, "size": len(data), "blobId": blob}
        if len(data) >= SMALL:
            sha = hashlib.sha256(data).hexdigest()
            one["lfs"] = {"sha256": sha, "size": len(data), "pointerSize": 130}
        siblings.append(one)
    return {
        "id": "some/model",
        "modelId": "some/model",
        "sha": REVISION,
        "private": False,
        "gated": "auto" if hub.gated else False,
        "tags": [f"license:{hub.licence}"] if hub.licence else [],
        "cardData": {"license": hub.licence} if hub.licence else {},
        "siblings": siblings,
    }


class Handler(BaseHTTPRequestHandler):
    """One connection to `hub`."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Log nothing."""

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        path = self.path.partition("?")[0]
        self.hub.asked.append((self.command, path, self.headers.get("Authorization") or ""))
        if re.fullmatch(r"/api/models/some/model(/revision/\w+)?", path):
            told: Any = describe(self.hub)
            self.send(200, told if isinstance(told, bytes) else json.dumps(told).encode(), {})
            return
        found = re.fullmatch(rf"/some/model/resolve/{REVISION}/(.*)", path)
        if not found:
            self.send(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif self.hub.gated and self.headers.get("Authorization") != "Bearer hf_secret":
            self.send(403, b"", {"X-Error-Code": "GatedRepo"})
        elif found[1] not in self.hub.files:
            self.send(404, b"", {"X-Error-Code": "EntryNotFound"})
        else:
            self.give(found[1])

    def give(self, name: str) -> None:
        data = self.hub.files[name]
        large = len(data) >= SMALL
        etag = hashlib.sha256(data).hexdigest() if large else hashlib.md5(data).hexdigest()
        if name in self.hub.damaged:
            data = bytes([data[0] ^ 1]) + data[1:]
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": REVISION, "Accept-Ranges": "bytes"}
        start = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if start:
            first = int(start[1])
            headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
            self.send(206, data[first:], headers)
            return
        cut = self.hub.cut_after if large and self.command == "GET" else 0
        self.hub.cut_after = 0 if cut else self.hub.cut_after
        self.send(200, data, headers, cut)

    def send(self, code: int, data: bytes, headers: dict[str, str], cut: int = 0) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data[:cut] if cut else data)
        if cut:
            self.wfile.flush()
            self.close_connection = True


@contextmanager
def serve_hub(hub: Hub) -> Iterator[Hub]:
    """Run it, at `hub.endpoint`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
