"""What arrives at a worker: read by the loop, or by an operation on the cache that cannot go on without its answer.

What arrives while such an operation waits is kept in order, and taken when the loop is free again.
"""

import asyncio
import os
import select
import socket
from collections import deque
from collections.abc import Callable
from typing import Final

from sandbox import protocol

READ_BYTES: Final = 256 * 1024
_WAITING_BYTES: Final = 16 * 1024
"""So much is read at once for the answer to an operation, which mostly is short."""
_COPIES: Final = 4
"""What is kept of a frame that is not whole, the whole, its body, and what it is decoded to."""
_FRAME_MAX_BYTES: Final = 1 << 31
"""The service is trusted; its own limits on bodies apply before anything gets here."""


class Incoming:
    """Messages of the service, in order. `take_later` is called by the loop when some are left in `arrived`."""

    def __init__(
        self, connection: socket.socket, loop: asyncio.AbstractEventLoop, take_later: Callable[[], None]
    ) -> None:
        self.arrived: deque[protocol.Downward] = deque()
        self._expected = 0
        """The operation that has no answer yet, by number."""
        self._answer: protocol.CacheAnswer | None = None
        self._is_wanted = False
        self._parts: list[bytes] = []
        self._connection = connection
        self._loop = loop
        self._take_later = take_later
        self._is_due = False
        self._frames = protocol.FrameReader(max_bytes=_FRAME_MAX_BYTES)
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)

    def read(self) -> None:
        """Keep what has arrived. Ends the process when the service is gone. Raises: what is the end of the worker."""
        try:
            data = self._connection.recv(READ_BYTES)
        except BlockingIOError:
            # An operation that came between the loop's look and this call has read it all.
            return
        if not data:
            # Not sys.exit: nothing of the tenant's may run any more.
            os._exit(0)
        self._keep(data)

    def expect(self, number: int) -> None:
        """From now on, until it comes, the answer to this operation is waited for."""
        self._answer = None
        self._is_wanted = True
        self._expected = number

    def is_expecting(self) -> bool:
        """Whether there is an operation that has no answer yet."""
        return self._expected != 0

    def cancel(self) -> None:
        """The operation was not sent after all."""
        self._expected = 0

    def take_answer(self) -> protocol.CacheAnswer:
        """The answer to the operation that was expected last. Raises: RuntimeError while there is none."""
        answer, self._answer = self._answer, None
        if answer is None:
            raise RuntimeError("there is no answer yet")
        return answer

    def forget(self) -> None:
        """Nobody wants the answer any more; it will come all the same."""
        self._is_wanted = False
        self._parts.clear()

    def wait(self) -> None:
        """Keep what arrives next. Raises: MemoryError while nothing is lost by it; there is none half-way."""
        # Tried before anything is read: what was read and cannot be kept would be the end of the worker.
        partial_bytes = self._frames.wanted_bytes if self._frames.is_partial else 0
        bytes(_COPIES * max(_WAITING_BYTES, partial_bytes))
        self._poll.poll()
        data = self._connection.recv(READ_BYTES if partial_bytes else _WAITING_BYTES)
        if not data:
            os._exit(0)
        try:
            self._keep(data)
            if self.arrived and not self._is_due:
                self._loop.call_soon(self._take)
                self._is_due = True
        except BaseException:  # noqa: BLE001  # a worker that cannot keep its protocol must not go on half-way
            os._exit(1)

    def _keep(self, data: bytes) -> None:
        for body in self._frames.feed(data):
            message = protocol.decode_downward(body)
            if isinstance(message, protocol.CacheAnswer):
                self._keep_answer(message)
            else:
                self.arrived.append(message)

    def _keep_answer(self, message: protocol.CacheAnswer) -> None:
        if message.op != self._expected:
            raise protocol.ProtocolError("an answer to another operation")
        if self._is_wanted:
            self._parts += message.parts
        if not message.more:
            self._expected = 0
            parts, self._parts = self._parts, []
            self._answer = protocol.CacheAnswer(message.op, message.status, parts) if self._is_wanted else None

    def _take(self) -> None:
        self._is_due = False
        self._take_later()
