"""Messages that an earlier version kept, as today's protocol has them.

The store keeps messages as they travelled. After an update it holds some of an older protocol; they
are rewritten whenever they are read, and the store is left as it is, so that nothing can be lost
halfway. Messages of protocol 1 differ in two ways: requests have no groups, and recipes are of
format 1 or 2, which `Recipe.from_dict` reads. In protocols 1 and 2 a request has steps and a
guidance scale of its own, also where it leaves them out, results are not blended in, and areas that
lie far apart are painted in one run.
"""

from __future__ import annotations

import json
from typing import Any

from underpaint_client.parameters import nest
from underpaint_client.request import Request
from underpaint_client.wire import PROTOCOL

_CURRENT = json.dumps({"protocol": PROTOCOL})[:-1].encode("ascii") + b","
"""How the header of a message of today begins, as `wire.encode` writes it."""

_UNTIL_2: dict[str, dict[str, Any]] = {
    "sampling": {"steps": 20, "guidance_scale": 7.5},
    "output": {"blend": "none"},
    "size": {"areas": "single"},
}
"""What protocols 1 and 2 took where a request left it out, by groups."""


def upgrade_header(header: bytes) -> bytes:
    """Return a message's header as today's protocol has it.

    Parameters
    ----------
    header : bytes
        The JSON that `wire.encode` wrote, in this version or an earlier one.

    Returns
    -------
    bytes
        The same where it is of today's protocol, of a newer one, or nothing that can be read: that
        is for the reader of the message to tell.
    """
    if header.startswith(_CURRENT) or not header:
        return header
    try:
        message: dict[str, Any] = json.loads(header)
        if message["protocol"] not in (1, 2):
            return header
        body = message["body"]
        if "request" in body:
            given = body["request"]
            request = nest(Request, given) if message["protocol"] == 1 else given
            for group, values in _UNTIL_2.items():
                for name, value in values.items():
                    request.setdefault(group, {}).setdefault(name, value)
            body["request"] = request
        return json.dumps({**message, "protocol": PROTOCOL}).encode("ascii")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return header
