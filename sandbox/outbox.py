"""What a worker has to say, in order, over a socket that never makes it wait."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

from sandbox.protocol import Message, encode_frame

TOGETHER_MAX: Final = 4
"""So many frames at the most are sent together: the service should go on while the rest are still being run."""


class Outbox:
    """Frames for the service. `put` keeps, `flush` sends as much as the socket takes and leaves the rest to the loop.

    `busy` is true while its own code runs: a signal handler that wants to write must come back later.
    """

    def __init__(self, connection: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self.busy = False
        self._connection = connection
        self._loop = loop
        self._frames: list[bytes] = []
        self._unsent = b""

    def put(self, message: Message) -> None:
        """Keep a message for the next flush, which many of them bring about."""
        self.busy = True
        try:
            self._frames.append(encode_frame(message))
        finally:
            self.busy = False
        if len(self._frames) >= TOGETHER_MAX:
            self.flush()

    def flush(self) -> None:
        """Send what was kept. Raises: OSError when the service is gone."""
        if not self._frames or self._unsent:
            return
        self.busy = True
        try:
            self._send(b"".join(self._frames) if len(self._frames) > 1 else self._frames[0])
            self._frames.clear()
        finally:
            self.busy = False

    def flush_all(self) -> None:
        """Send everything, waiting for the service to take it."""
        self._connection.setblocking(True)
        self._connection.sendall(self._unsent + b"".join(self._frames))
        self._unsent = b""
        self._frames.clear()

    def later(self, delay_s: float, call: Callable[[], None]) -> None:
        """Call when the loop is free, at the earliest after `delay_s`."""
        self._loop.call_later(delay_s, call)

    def _send(self, data: bytes) -> None:
        try:
            sent = self._connection.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._unsent = data[sent:]
            self._loop.add_writer(self._connection, self._resume)

    def _resume(self) -> None:
        self.busy = True
        try:
            self._loop.remove_writer(self._connection)
            data, self._unsent = self._unsent, b""
            self._send(data)
        finally:
            self.busy = False
        self.flush()
