"""Connections to servers that mean harm: none costs more than its response may, and none outlives its use.

aiohttp trusts a server in four ways. It parses what arrives on a connection nobody uses, without a limit; it hands
that to the next request; it waits for ever for a peer that reads nothing before it closes; it counts no bytes but those
of a body. The classes here hang on its private names; pyproject.toml has an upper bound for aiohttp because of that.
"""

import asyncio
from collections import deque
from functools import partial
from typing import Any, Final, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ConnectionKey

READ_BYTES: Final = 2**14
"""Parsed in one go: if made to be dear, such as chunks of one byte, 2 ms. uvloop reads 16 times as many."""
QUEUED_MAX: Final = 8
"""Responses to one request that wait to be looked at: the one that counts, and interim ones (1xx) before it."""
BESIDES_MAX_BYTES: Final = 2**17
"""Received for one response besides twice its body: headers, trailers, and what chunks are wrapped in. Nobody counts
them before they are complete, and a server may take its time with them."""


class TooMuch(aiohttp.ClientError):
    """A server sent more for one response than any needs."""


class _Turns:
    """One slice of one connection in each turn of the loop, however many connections have some."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Protocol] = deque()

    def ask(self, protocol: "Protocol") -> None:
        """Its `parse_slice` will be called once."""
        if not self._waiting:
            self._loop.call_soon(self._next)
        self._waiting.append(protocol)

    def _next(self) -> None:
        protocol = self._waiting.popleft()
        if self._waiting:
            self._loop.call_soon(self._next)
        protocol.parse_slice()


class Protocol(ResponseHandler):
    """One connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop, turns: "_Turns") -> None:
        super().__init__(loop)
        self._turns = turns
        self._received_bytes = 0
        self.was_kept = False
        """Whether a request has been sent before this one."""
        self._is_idle = False
        self._is_parsing = False
        self._slices: deque[bytes] = deque()
        """Received, and not parsed yet; nothing is read meanwhile."""
        self._is_slice_due = False
        self._is_resume_due = False

    def rest(self) -> bool:
        """Nobody waits for a response. Whether the next request may have the connection.

        The last byte of a body is enough to come here, in the middle of what was received: `data_received` looks then.
        """
        self._is_idle = True
        return self._is_parsing or not self._has_more()

    def start(self) -> None:
        """The next request is about to be sent."""
        self.was_kept = True
        self._is_idle = False
        self._received_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if hasattr(transport, "max_size"):
            transport.max_size = READ_BYTES
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        # Without data aiohttp calls this itself, to go on with what it had put off.
        if data and (self._slices or (len(data) > READ_BYTES and self._parser is not None)):
            self._slices.extend(data[start : start + READ_BYTES] for start in range(0, len(data), READ_BYTES))
            self._read_later()
        else:
            self._parse(data)

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002  # as aiohttp has it
        # aiohttp calls this for every piece that is taken, paused or not: most of what small pieces cost.
        if not (self._reading_paused or self._buffer_paused):
            return
        if not resume_parser:
            super().resume_reading(resume_parser)
        elif not self._is_resume_due:
            self._is_resume_due = True
            self._loop.call_soon(self._resume)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._is_resume_due:
            super().resume_reading()
        while self._slices:
            self._parse(self._slices.popleft())
        super().connection_lost(exc)

    def abort(self) -> None:
        self._slices.clear()
        super().abort()

    def _resume(self) -> None:
        self._is_resume_due = False
        super().resume_reading()
        if self._slices:
            self._read_later()

    def _read_later(self) -> None:
        """Slice by slice, and the next read after the last of them."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.pause_reading()
        if not self._is_slice_due:
            self._is_slice_due = True
            self._turns.ask(self)

    def parse_slice(self) -> None:
        """It is this connection's turn."""
        self._is_slice_due = False
        if self._slices and not self._reading_paused:
            self._parse(self._slices.popleft())
            if not self._slices:
                self._read_on()
            elif not self._reading_paused:
                self._read_later()

    def _read_on(self) -> None:
        if not self._reading_paused and self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def _parse(self, data: bytes) -> None:
        if self._is_idle and data:
            # An answer that nobody asked for; it must be neither kept nor given to whoever asks next.
            self.abort()
            return
        self._received_bytes += len(data)
        parsed_bytes = 0 if self._payload is None else self._payload.total_bytes
        if self._received_bytes - 2 * parsed_bytes > BESIDES_MAX_BYTES:
            self._refuse(f"the response has more than {BESIDES_MAX_BYTES} bytes of headers and wrapping")
            return
        self._is_parsing = True
        try:
            super().data_received(data)
        finally:
            self._is_parsing = False
        if self._is_idle:
            if self._has_more():
                self.abort()
        elif len(self) > QUEUED_MAX:
            self._refuse(f"the server sent more than {QUEUED_MAX} responses to one request")

    def close(self) -> None:
        # A transport that closes first writes what it still has: never, if the peer reads nothing.
        self.abort()

    def _has_more(self) -> bool:
        """Whether anything came after the response. The next request would take it for its own."""
        if self.should_close or self._slices or self._parser is None:
            return True
        # Between two messages a parser skips empty lines; within one they end its head, or do not belong there.
        try:
            messages, _, _ = self._parser.feed_data(b"\r\n\r\n")
        except aiohttp.http_exceptions.HttpProcessingError:
            return True
        return bool(messages)

    def _refuse(self, message: str) -> None:
        error = TooMuch(message)
        payload = self._payload
        # Without a parser the end of the connection is not taken for the end of the body.
        self._parser = None
        self._buffer.clear()
        self.abort()
        self.set_exception(error)
        if payload is not None:
            payload.set_exception(error)


class Connector(aiohttp.TCPConnector):
    """Connects, and keeps connections."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = cast("partial[ResponseHandler]", partial(Protocol, self._loop, _Turns(self._loop)))

    async def _get(self, key: ConnectionKey, traces: list[Any]) -> Any:
        connection = await super()._get(key, traces)
        if connection is not None and isinstance(connection.protocol, Protocol):
            connection.protocol.start()
        return connection

    def _release(self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False) -> None:
        if isinstance(protocol, Protocol):
            should_close = not protocol.rest() or should_close
        super()._release(key, protocol, should_close=should_close)
