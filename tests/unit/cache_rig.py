"""A worker's connection, whose other end a test has, and what operations on a shared cache are made of."""

import asyncio
import socket
from typing import Any

from sandbox import protocol
from sandbox.cache_calls import CacheCalls
from sandbox.incoming import Incoming
from sandbox.outbox import Outbox
from sandbox.protocol import CacheAnswer, CacheOp, encode_frame


class Rig:
    """A worker's connection, whose other end the test has. Answers are sent before they are asked for."""

    def __init__(self) -> None:
        self.theirs, self.ours = socket.socketpair()
        self.ours.setblocking(False)
        self.loop = asyncio.new_event_loop()
        self.taken: list[protocol.Downward] = []
        self.incoming = Incoming(self.ours, self.loop, self._take)
        self.outbox = Outbox(self.ours, self.loop)
        self.calls = CacheCalls(self.incoming, self.outbox)
        self.answers: dict[int, CacheAnswer] = {}
        """Sent when they are asked for, by the number of the operation."""
        self._put_frame = self.outbox.put_frame
        self.outbox.put_frame = self._answer  # type: ignore[method-assign]  # as if the service had heard it

    def _answer(self, frame: bytes) -> None:
        self._put_frame(frame)
        op = protocol.decode_upward(frame[4:])
        assert isinstance(op, CacheOp)
        if op.op in self.answers:
            self.send(self.answers[op.op])

    def _take(self) -> None:
        while self.incoming.arrived:
            self.taken.append(self.incoming.arrived.popleft())

    def send(self, *messages: protocol.Message) -> None:
        self.theirs.sendall(b"".join(map(encode_frame, messages)))

    def turn(self) -> None:
        """One turn of the loop."""
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()

    def said(self) -> list[Any]:
        """What the worker has sent so far."""
        self.theirs.setblocking(False)
        reader = protocol.FrameReader(max_bytes=2**24)
        found: list[Any] = []
        try:
            while True:
                found += map(protocol.decode_upward, reader.feed(self.theirs.recv(2**20)))
        except BlockingIOError:
            return found
        finally:
            self.theirs.setblocking(True)

    def close(self) -> None:
        self.loop.close()
        self.ours.close()
        self.theirs.close()
