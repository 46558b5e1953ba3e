"""What a worker has to say, in order, over a socket that never makes it wait unless it asks to."""

import asyncio
import os
import select
import socket
from collections.abc import Callable
from typing import Final

from sandbox.protocol import Message, encode_frame

TOGETHER_MAX: Final = 4
"""So many frames at the most are sent together: the service should go on while the rest are still being run."""


class Outbox:
    """Frames for the service. `put` keeps, `flush` sends as much as the socket takes and leaves the rest to the loop.

    `busy` is true while its own code runs: a signal handler that wants to write must come back later. Whatever is
    raised in the middle, each frame is sent once and whole.
    """

    def __init__(self, connection: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self.busy = False
        self._connection = connection
        self._loop = loop
        self._frames: list[bytes] = []
        self._unsent: bytes | memoryview = b""
        self._poll = select.poll()
        self._poll.register(connection, select.POLLOUT)

    def put(self, message: Message) -> None:
        """Keep a message for the next flush, which many of them bring about."""
        # The collector may run code of a tenant's in here, which prints: `busy` is then still ours.
        outer, self.busy = self.busy, True
        try:
            self._frames.append(encode_frame(message))
        finally:
            self.busy = outer
        if len(self._frames) >= TOGETHER_MAX:
            self.flush()

    def put_frame(self, frame: bytes) -> None:
        """Keep what is a frame already. Raises: MemoryError, and it is not kept."""
        self._frames.append(frame)

    def flush(self) -> None:
        """Send what was kept. Raises: OSError when the service is gone."""
        if not self._frames or self._unsent or self.busy:
            return
        self.busy = True
        try:
            # Again: what the collector closed meanwhile may have printed.
            while self._frames:
                self._gather()
                if not self._send():
                    self._loop.add_writer(self._connection, self._resume)
                    break
        finally:
            self.busy = False

    def flush_waiting(self) -> None:
        """Send everything, waiting until the service has taken it. Ends the process when the service is gone."""
        if self.busy:
            raise RuntimeError("something is being sent")
        self.busy = True
        try:
            while self._unsent or self._frames:
                if not self._unsent:
                    self._gather()
                if not self._send():
                    self._poll.poll()
        except OSError:
            os._exit(0)
        finally:
            self.busy = False
            if self._unsent:
                # There was no memory for the rest; what the loop has registered once is registered.
                self._loop.add_writer(self._connection, self._resume)

    def flush_all(self) -> None:
        """Send everything, waiting for the service to take it."""
        self._connection.setblocking(True)
        self._connection.sendall(bytes(self._unsent) + b"".join(self._frames))
        self._unsent = b""
        self._frames.clear()

    def later(self, delay_s: float, call: Callable[[], None]) -> None:
        """Call when the loop is free, at the earliest after `delay_s`."""
        self._loop.call_later(delay_s, call)

    def _gather(self) -> None:
        frames = self._frames
        count = len(frames)
        self._unsent = b"".join(frames) if count > 1 else frames[0]
        # Not all of them: one may have come in between.
        del frames[:count]

    def _send(self) -> bool:
        """Send what the socket takes. Returns: whether that was all."""
        data = self._unsent
        try:
            sent = self._connection.send(data)
        except BlockingIOError:
            return False
        if sent == len(data):
            self._unsent = b""
            return True
        self._unsent = memoryview(data)[sent:]
        return False

    def _resume(self) -> None:
        if self.busy:
            return
        self.busy = True
        try:
            if self._unsent and not self._send():
                return
            self._loop.remove_writer(self._connection)
        finally:
            self.busy = False
        self.flush()
