"""Read small text files that a user or a stranger wrote."""

from __future__ import annotations

import stat
from pathlib import Path

from underpaint_client.errors import BadInputError


def read_text_file(file: Path, most: int) -> str:
    """Return the text of a file, without its byte order mark.

    Parameters
    ----------
    file : Path
    most : int
        Bytes of the largest file that is read.

    Raises
    ------
    OSError
        It cannot be read.
    BadInputError
        It is not a regular file, is too large, or is not UTF-8. Names no file.
    """
    found = file.stat()
    if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for ever
        raise BadInputError("it is not a regular file")
    if found.st_size > most:
        raise BadInputError(
            "it has {size} bytes, and the limit is {most}", size=found.st_size, most=most
        )
    with file.open("rb") as stream:
        data = stream.read(most)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInputError(
            "byte {position} is not UTF-8; save it as UTF-8", position=error.start
        ) from None
