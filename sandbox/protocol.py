"""Frames and messages between the service, the zygote and the workers: the one contract both sides import.

A frame is a four-byte big-endian length and that many bytes of MessagePack, one message each. The length is checked
before the body is read, the body is decoded into a typed message, and everything that does not fit is one exception:
`ProtocolError`. Whoever sees it ends the connection; nothing that was malformed is ever answered.

Values that belong to tenants (parameters, results, log entries) travel as JSON bytes inside these messages. The service
passes them on without building objects from them; `check_json` is how it makes sure that they are JSON.
"""

import struct
from collections.abc import Iterator
from typing import Final, Literal, TypeVar

import msgspec

FRAME_HEADER: Final = struct.Struct("!I")
FRAME_OVERHEAD_BYTES: Final = 64 * 1024
"""What a message may need beside its largest value: names, numbers, tracebacks."""

ZYGOTE_FRAME_BYTES: Final = 4096
"""Zygote messages travel on a SOCK_SEQPACKET socket, one message a packet, never larger than this."""

T = TypeVar("T")
Level = Literal["debug", "info", "warning", "error", "critical"]


class ProtocolError(Exception):
    """A peer sent bytes that are no message: oversized, truncated, mistyped, or of an unknown kind."""


class Message(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag_field="kind"):
    """Base of every message: an array on the wire, its kind first."""


# -- values ---------------------------------------------------------------------------------------------------------


class Problem(Message, frozen=True):
    """One thing wrong with a value somebody sent; `path` is dotted, as in `parameters.name`."""

    path: str
    message: str


class CodeError(Message, frozen=True):
    """One thing wrong with a function's code; line and column are 1-based, as its author wrote them."""

    function: str
    line: int
    column: int
    message: str


class LogEntry(msgspec.Struct, frozen=True):
    """What every log entry has; a JSON object on the wire. Extra fields are checked as JSON and passed on unread."""

    time: str
    level: Level
    message: str


# -- service to worker ----------------------------------------------------------------------------------------------


class Load(Message, frozen=True, tag="load"):
    """The first message a worker gets: the workspace it belongs to until it dies."""

    workspace: str
    definition: bytes
    """JSON of the workspace object, as stored."""
    bundle: bytes
    """What an earlier worker compiled from the same definition, or nothing. Ignored if it does not fit exactly."""
    modules: list[str]
    result_max_bytes: int
    logs_max_bytes: int


class Run(Message, frozen=True, tag="run"):
    """Run one stored function."""

    run: int
    """Number of the run on this connection; every answer carries it."""
    run_id: str
    function: str
    parameters: bytes
    """JSON object."""
    timeout_ms: int


class RunInline(Message, frozen=True, tag="inline"):
    """Run a body once, in the workspace's namespace, without keeping it."""

    run: int
    run_id: str
    code: str
    parameters: bytes
    """JSON object; each value becomes a name in the body's scope."""
    timeout_ms: int


class Cancel(Message, frozen=True, tag="cancel"):
    """Nobody waits for this run any more."""

    run: int


Downward = Load | Run | RunInline | Cancel

# -- worker to service ----------------------------------------------------------------------------------------------


class Loaded(Message, frozen=True, tag="loaded"):
    """The workspace is ready. `bundle` is what was compiled, or nothing if the one that was sent could be used."""

    bundle: bytes


class NotLoaded(Message, frozen=True, tag="not-loaded"):
    """The definition was refused, with everything that is wrong with it; the worker ends."""

    errors: list[CodeError]
    problems: list[Problem]


class Log(Message, frozen=True, tag="log"):
    """Log entries of one run, in order, each a JSON object with the fields of `LogEntry`."""

    run: int
    entries: list[bytes]


class Returned(Message, frozen=True, tag="returned"):
    """The run is over and this is its result."""

    run: int
    result: bytes
    """JSON."""
    duration_us: int


class Raised(Message, frozen=True, tag="raised"):
    """The run is over: its code raised."""

    run: int
    type: str
    message: str
    function: str
    line: int
    traceback: str
    duration_us: int


class OutOfMemory(Message, frozen=True, tag="out-of-memory"):
    """The run is over: it needed more memory than the worker may have. The worker lives on."""

    run: int
    duration_us: int


class Expired(Message, frozen=True, tag="expired"):
    """The run's deadline has passed and it is being unwound; `Ended` follows when nothing of it is left."""

    run: int
    duration_us: int


class Ended(Message, frozen=True, tag="ended"):
    """Nothing of an expired or cancelled run is left in the worker."""

    run: int


class BadParameters(Message, frozen=True, tag="bad-parameters"):
    """The run never began: its parameters do not fit the function's schema."""

    run: int
    problems: list[Problem]


class NotCompiled(Message, frozen=True, tag="not-compiled"):
    """The inline run never began: its code was refused."""

    run: int
    errors: list[CodeError]


Upward = (
    Loaded | NotLoaded | Log | Returned | Raised | OutOfMemory | Expired | Ended | BadParameters | NotCompiled
)  # fmt: skip

# -- service and zygote ---------------------------------------------------------------------------------------------


class Fork(Message, frozen=True, tag="fork"):
    """Start a worker; its end of the socket pair comes with this packet as a descriptor."""

    worker: int
    memory_max_bytes: int


class Forked(Message, frozen=True, tag="forked"):
    """The worker runs; a pidfd of it comes with this packet as a descriptor."""

    worker: int
    pid: int


class NotForked(Message, frozen=True, tag="not-forked"):
    """The system refused to fork."""

    worker: int
    reason: str


class Exited(Message, frozen=True, tag="exited"):
    """The worker is gone and reaped; `status` is as `os.waitstatus_to_exitcode` gives it."""

    worker: int
    status: int


class ZygoteReady(Message, frozen=True, tag="ready"):
    """Everything is imported; forks are fast from now on."""

    pid: int


FromZygote = Forked | NotForked | Exited | ZygoteReady

# -- encoding -------------------------------------------------------------------------------------------------------

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
        raise ProtocolError(str(error)) from None


def check_json(value: bytes) -> None:
    """Make sure that bytes are one JSON value in UTF-8, without building it. Raises: ProtocolError.

    The scan does not look inside strings for broken UTF-8, so that is asked of the codec.
    """
    try:
        _any_json.decode(value)
        if not value.isascii():
            value.decode()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(str(error)) from None


def check_log_entry(entry: bytes) -> None:
    """Make sure that bytes are one log entry. Raises: ProtocolError."""
    try:
        _log_entry.decode(entry)
        if not entry.isascii():
            entry.decode()
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(str(error)) from None


class FrameReader:
    """Cuts a stream of bytes into frame bodies, refusing a length before any of its body is kept.

    Costs what arrives and no more: a frame sent a byte at a time is joined once, when it is whole.
    """

    def __init__(self, *, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._pending = bytearray()
        self._wanted = 0

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
