"""Frames: a length and a message, checked in that order."""

import struct
from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec

from sandbox.protocol.message import Message
from sandbox.protocol.messages import Downward, Fork, FromZygote, LogEntry, Upward

T = TypeVar("T")

FRAME_HEADER: Final = struct.Struct("!I")
FRAME_OVERHEAD_BYTES: Final = 64 * 1024
"""What a message may need beside its largest value: names, numbers, tracebacks."""

ZYGOTE_FRAME_BYTES: Final = 4096
"""Zygote messages travel on a SOCK_SEQPACKET socket, one message a packet, never larger than this."""


class ProtocolError(Exception):
    """A peer sent bytes that are no message: oversized, truncated, mistyped, or of an unknown kind."""


_REASON_MAX: Final = 200

_encoder: Final = msgspec.msgpack.Encoder()
_downward: Final[msgspec.msgpack.Decoder[Downward]] = msgspec.msgpack.Decoder(Downward)
_upward: Final[msgspec.msgpack.Decoder[Upward]] = msgspec.msgpack.Decoder(Upward)
_to_zygote: Final = msgspec.msgpack.Decoder(Fork)
_from_zygote: Final[msgspec.msgpack.Decoder[FromZygote]] = msgspec.msgpack.Decoder(FromZygote)
_log_entry: Final = msgspec.json.Decoder(LogEntry)
_any_json: Final = msgspec.json.Decoder(msgspec.Raw)


def encode_frame(message: Message) -> bytes:
    """A message with its length in front."""
    body = _encoder.encode(message)
    return FRAME_HEADER.pack(len(body)) + body


def encode_packet(message: Message) -> bytes:
    """A message for a socket that keeps packets apart by itself."""
    return _encoder.encode(message)


def decode_downward(body: bytes | memoryview) -> Downward:
    """Read what the service sent. Raises: ProtocolError."""
    return _decode(_downward, body)


def decode_upward(body: bytes | memoryview) -> Upward:
    """Read what a worker sent. Raises: ProtocolError."""
    return _decode(_upward, body)


def decode_to_zygote(body: bytes) -> Fork:
    """Read what the service asks of the zygote. Raises: ProtocolError."""
    return _decode(_to_zygote, body)


def decode_from_zygote(body: bytes) -> FromZygote:
    """Read what the zygote reports. Raises: ProtocolError."""
    return _decode(_from_zygote, body)


def _decode(decoder: "msgspec.msgpack.Decoder[T]", body: bytes | memoryview) -> T:
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(_short(error)) from None


def check_json(value: bytes) -> None:
    """Make sure that bytes are one JSON value in UTF-8, without building it. Raises: ProtocolError."""
    _check(_any_json, value)


def check_log_entry(entry: bytes) -> None:
    """Make sure that bytes are one log entry. Raises: ProtocolError."""
    _check(_log_entry, entry)


def _check(decoder: "msgspec.json.Decoder[T]", value: bytes) -> None:
    try:
        decoder.decode(value)
        # The scan does not look inside strings for broken UTF-8, so that is asked of the codec.
        if not value.isascii():
            value.decode()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(_short(error)) from None


def _short(error: Exception) -> str:
    """What is wrong, without all of what it is wrong with: the sender chose that, and it goes into the log."""
    return str(error)[:_REASON_MAX]


class FrameReader:
    """Cuts a stream of bytes into frame bodies, refusing a length before any of its body is kept.

    Costs what arrives and no more: a frame sent a byte at a time is joined once, when it is whole.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._pending = bytearray()
        self._wanted = 0

    @property
    def is_partial(self) -> bool:
        """Whether a frame has begun and not ended."""
        return bool(self._pending)

    @property
    def wanted_bytes(self) -> int:
        """How long the frame is that has begun, its length included."""
        return self._wanted

    def only(self, data: bytes) -> bytes | None:
        """The body, if nothing is pending and `data` is one whole frame; else None, and nothing is taken."""
        header = FRAME_HEADER.size
        if self._pending or len(data) < header:
            return None
        (length,) = FRAME_HEADER.unpack_from(data)
        return data[header:] if length == len(data) - header and length <= self.max_bytes else None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The bodies that are complete with `data`. Raises: ProtocolError for a frame longer than `max_bytes`."""
        if self._pending:
            self._pending += data
            if len(self._pending) < self._wanted:
                return
            data = bytes(self._pending)
            self._pending.clear()
        start, end = 0, len(data)
        self._wanted = FRAME_HEADER.size
        while end - start >= FRAME_HEADER.size:
            (length,) = FRAME_HEADER.unpack_from(data, start)
            if length > self.max_bytes:
                raise ProtocolError(f"a frame of {length} bytes, where {self.max_bytes} is the most")
            self._wanted = FRAME_HEADER.size + length
            if end - start < self._wanted:
                break
            body_start = start + FRAME_HEADER.size
            start += self._wanted
            self._wanted = FRAME_HEADER.size
            yield data[body_start:start]
        if start < end:
            self._pending += data[start:]
