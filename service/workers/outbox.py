"""What the service says to one worker: frames of one turn of the loop together, and a count of what has left."""

import asyncio
from typing import Final

from sandbox import protocol

TOGETHER_MAX: Final = 12
"""So many frames at the most are sent together: the worker should begin while the rest are still being read."""


class Outbox:
    """Frames for one worker. What is put before there is a connection waits for it."""

    __slots__ = ("_loop", "_transport", "_unsent", "_unsent_bytes", "written_bytes")

    def __init__(self) -> None:
        self.written_bytes = 0
        """In all, whether it has left or not."""
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0

    def open(self, transport: asyncio.Transport) -> None:
        """Write here."""
        self._transport = transport

    def put(self, message: protocol.Message) -> None:
        """Send with all else that is put in this turn of the loop: one system call, one wake of the worker."""
        if not self._unsent:
            self._loop.call_soon(self.flush)
        frame = protocol.encode_frame(message)
        self._unsent.append(frame)
        self.written_bytes += len(frame)
        self._unsent_bytes += len(frame)
        if len(self._unsent) >= TOGETHER_MAX:
            self.flush()

    def flush(self) -> None:
        """Send it now."""
        frames, self._unsent, self._unsent_bytes = self._unsent, [], 0
        if frames and self._transport is not None and not self._transport.is_closing():
            try:
                self._transport.write(b"".join(frames))
            except RuntimeError:
                # uvloop's word for a connection that ended in this very turn; that is told by `connection_lost`.
                if not self._transport.is_closing():
                    raise

    def read_max_bytes(self) -> int:
        """How much of what was put the worker can have read: what has left this process."""
        return self.written_bytes - self.unread_bytes()

    def unread_bytes(self) -> int:
        """How much of it has not left this process."""
        return self._unsent_bytes + (0 if self._transport is None else self._transport.get_write_buffer_size())
