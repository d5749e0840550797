"""Messages between the factory and its workers: JSON behind a length of four bytes."""

import json
from typing import Any, BinaryIO

HEADER = 4
LIMIT = 64 * 1024 * 1024


def pack(message: dict[str, Any]) -> bytes:
    """Return the frame of a message."""
    body = json.dumps(message, separators=(",", ":")).encode()
    return len(body).to_bytes(HEADER, "big") + body


def length(header: bytes) -> int:
    """Return the length of the body behind `header`. Raise ValueError if it is nonsense."""
    size = int.from_bytes(header, "big")
    if size > LIMIT:
        raise ValueError(f"it has {size} bytes, more than {LIMIT}")
    return size


def read(stream: BinaryIO) -> dict[str, Any] | None:
    """Read one message; None at the end of the stream."""
    header = stream.read(HEADER)
    if len(header) < HEADER:
        return None
    message: dict[str, Any] = json.loads(stream.read(length(header)))
    return message
