"""Frames on a slow line: losslessly packed, and sent once.

Packed pixels are each row less the row above, byte by byte, sorted by their byte in the pixel (all
first bytes, then all second ones) and deflated: what PNG's filter `up` does, with the standard
library alone, since editors' Pythons have no numpy. Painted and photographed layers come out at
half the size of deflate alone, in less time.

Of a frame that the daemon already holds, only the digest is sent. If the daemon no longer holds it,
it answers with `Want`, and the job is sent again with its pixels.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING

from . import messages
from .errors import BadInputError
from .frames import MAX_REMOTE_FRAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .frames import Frame
    from .messages import Message

SMALLEST = 2**12
"""Bytes below which a frame travels as it is."""

MAX_KNOWN = 256
"""Frames of which a client remembers that the daemon holds them."""

_PIECE = 2**15  # bytes that are inflated at once

_SHORTEST_ROW = 2**10  # bytes; of a narrow picture, several rows count as one


def pack(frame: Frame) -> Frame:
    """Return a frame packed, or as it is if packing does not make it smaller."""
    if frame.encoding or frame.size < SMALLEST:
        return frame
    lines = _less_above(bytes(frame.data), _row(frame))
    pixel = frame.pixel
    deflater = zlib.compressobj(1, strategy=zlib.Z_RLE)
    parts = [deflater.compress(lines[place::pixel]) for place in range(pixel)]
    data = b"".join([*parts, deflater.flush()])
    return replace(frame, encoding="packed", data=data) if len(data) < frame.size else frame


def unpack(frame: Frame) -> Frame:
    """Return a frame with its pixels unpacked. Never allocates more bytes than its header says.

    Raises
    ------
    BadInputError
        If the packed pixels are damaged, or of another size than the header says.
    """
    if frame.encoding != "packed":
        return frame
    pixels = bytearray(frame.size)
    _inflate(frame, pixels)
    _add_above(pixels, _row(frame))
    return replace(frame, encoding="", data=pixels)


def _inflate(frame: Frame, pixels: bytearray) -> None:
    """Write the bytes of a packed frame into `pixels`, a piece at a time to save memory."""
    count, pixel, filled = frame.size // frame.pixel, frame.pixel, 0
    try:
        for piece in _inflated(memoryview(frame.data).cast("B")):
            left = memoryview(piece)
            while left and filled < frame.size:
                place, number = divmod(filled, count)
                part, left = left[: count - number], left[count - number :]
                start = number * pixel + place
                pixels[start : start + len(part) * pixel : pixel] = part
                filled += len(part)
            if left:
                filled += len(left)
                break
    except zlib.error as error:
        raise BadInputError(
            "{name}: the packed pixels are damaged ({error})", name=frame.name, error=error
        ) from None
    except EOFError:
        filled = -1
    if filled != frame.size:
        raise BadInputError(
            "{name}: the packed pixels are not {size} bytes, as the header says",
            name=frame.name,
            size=frame.size,
        )


def _inflated(data: memoryview) -> Iterator[bytes]:
    """Inflate piece by piece, none larger than `_PIECE`.

    Raises
    ------
    zlib.error
        The data is damaged.
    EOFError
        The data is cut short, or something follows it.
    """
    inflater = zlib.decompressobj()
    for start in range(0, len(data), _PIECE):
        if inflater.eof:
            break
        piece = inflater.decompress(data[start : start + _PIECE], _PIECE)
        while piece:
            yield piece
            piece = inflater.decompress(inflater.unconsumed_tail, _PIECE)
    if not inflater.eof or inflater.unused_data or start + _PIECE < len(data):
        raise EOFError


def check_packed_size(frame: Frame, limit: int = MAX_REMOTE_FRAME) -> None:
    """Check that a packed frame is not too large for another machine: over `limit` bytes.

    Raises
    ------
    BadInputError
        Says what to do.
    """
    if memoryview(frame.data).nbytes > limit:
        raise BadInputError(
            "{name}: {extent} pixels of {dtype} are over {limit} MiB even packed, too much for"
            " another machine; crop the layer, or use 8 bits a channel",
            name=frame.name,
            extent=frame.box.extent,
            dtype=frame.dtype,
            limit=limit >> 20,
        )


def _row(frame: Frame) -> int:
    """Return the bytes that are taken as a row."""
    row = frame.box.width * frame.pixel
    return row * -(-_SHORTEST_ROW // row)


def _less_above(data: bytes, row: int) -> bytes:
    """Subtract from each row the one above, byte by byte, modulo 256.

    A row is one large number: 128 is set in each byte of the minuend, so that none borrows from
    the next, and what the highest bits should have been is put right after.
    """
    high, low = _masks(row)
    above, rows = 0, []
    for start in range(0, len(data), row):
        this = int.from_bytes(data[start : start + row], "little")
        less = ((this | high) - (above & low)) ^ ((this ^ above ^ high) & high)
        rows.append(less.to_bytes(row, "little"))
        above = this
    return b"".join(rows)[: len(data)]


def _add_above(data: bytearray, row: int) -> None:
    """Undo `_less_above`, in place."""
    high, low = _masks(row)
    above = 0
    for start in range(0, len(data), row):
        less = int.from_bytes(data[start : start + row], "little")
        above = ((above & low) + (less & low)) ^ ((above ^ less) & high)
        end = min(start + row, len(data))
        data[start:end] = above.to_bytes(row, "little")[: end - start]


def _masks(row: int) -> tuple[int, int]:
    """Return the highest bit of each byte, and all the others."""
    return int.from_bytes(b"\x80" * row, "little"), int.from_bytes(b"\x7f" * row, "little")


def with_digest(frame: Frame) -> Frame:
    """Return a frame with the SHA-256 of its pixels, if it is large enough to be held."""
    if frame.size < SMALLEST:
        return frame
    return replace(frame, digest=hashlib.sha256(frame.data).hexdigest())


class Packer:
    """Packs the frames of jobs, and leaves out those that the daemon holds.

    Parameters
    ----------
    held : iterable of str
        The digests of frames that the daemon is known to hold.
    max_frame : int
        Bytes of the largest packed frame.
    """

    def __init__(self, held: Iterable[str] = (), max_frame: int = MAX_REMOTE_FRAME) -> None:
        self._max_frame = max_frame
        self._held: OrderedDict[str, None] = OrderedDict.fromkeys(held)
        self._sent: dict[str, tuple[messages.Submit, tuple[Frame, ...]]] = {}

    def outgoing(
        self, message: Message, frames: tuple[Frame, ...]
    ) -> tuple[Message, tuple[Frame, ...]]:
        """Return the message and frames to send instead of these."""
        if isinstance(message, messages.Cancel):
            self._sent.pop(message.job, None)
        if not isinstance(message, messages.Submit):
            return message, frames
        frames = tuple(with_digest(frame) for frame in frames)
        message = replace(message, packed=True)
        packed = tuple(
            replace(frame, encoding="held", data=b"") if frame.digest in self._held else pack(frame)
            for frame in frames
        )
        for frame in packed:
            check_packed_size(frame, self._max_frame)
        self._sent[message.job] = (message, frames)
        return message, packed

    def again(self, want: messages.Want) -> tuple[Message, tuple[Frame, ...]] | None:
        """Return a job with all frames, since the daemon lacks some; None if it was cancelled."""
        if want.job not in self._sent:
            return None
        message, frames = self._sent[want.job]
        for frame in frames:
            self._held.pop(frame.digest, None)
        return message, tuple(pack(frame) for frame in frames)

    def received(self, message: Message) -> None:
        """Note which jobs have arrived, and with them their frames."""
        if isinstance(message, (messages.Accepted, messages.Failed)):
            _, frames = self._sent.pop(message.job, (None, ()))
            if isinstance(message, messages.Accepted):
                for frame in frames:
                    if frame.digest:
                        self._held[frame.digest] = None
                        self._held.move_to_end(frame.digest)
                while len(self._held) > MAX_KNOWN:
                    self._held.popitem(last=False)
