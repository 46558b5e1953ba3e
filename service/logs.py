"""Structured logs: one line an event, JSON for machines or text for a person.

Ids (`request`, `workspace`, `run`) are passed as keyword arguments where something is logged: context variables would
cost every line, and a worker pool has no one context. Two promises hold for every line: it never raises, whatever is in
it and whatever has become of the stream; and nothing a tenant wrote in it can look like another line.
"""

import contextlib
import datetime as dt
import json
import logging
import sys
import traceback
from collections.abc import MutableMapping
from io import RawIOBase
from typing import Any, Final, TextIO

import orjson
import structlog

from service.domain.keys import without_keys
from service.settings import LogFormat, LogLevel

Event = MutableMapping[str, Any]

_LEVELS: Final[dict[str, int]] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_HEAD: Final = ("timestamp", "level", "event")


def configure(log_format: LogFormat, level: LogLevel, stream: TextIO | None = None) -> None:
    """Send everything that is logged from now on to `stream` (stdout), the standard library's loggers included.

    May be called again: the loggers that modules got by `structlog.get_logger` follow. What `.bind()` returned does
    not, and costs less a line: a hot path binds its logger once, after this was called.
    """
    stream = sys.stdout if stream is None else stream
    if log_format == "auto":
        log_format = "console" if _is_terminal(stream) else "json"
    sink = _Sink(stream)
    _lines.sink = sink if log_format == "json" and level in {"debug", "info"} else None
    structlog.configure(
        processors=[_stamp, _render_json if log_format == "json" else _render_console],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: sink,
        cache_logger_on_first_use=False,
    )
    _route_standard_library(_LEVELS[level])


class _Sink:
    """The end of the line. What cannot be written is dropped: a service does not stop because nobody reads its logs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        # Without a buffer in between: what a full disk has not taken would be kept in it, cut somewhere.
        self._raw: RawIOBase | None = getattr(getattr(stream, "buffer", None), "raw", None)
        self._is_torn = False
        """Whether a line was begun that has no end."""

    def write(self, line: bytes) -> None:
        if b"sk_" in line:
            # A key can be the name of anything that callers name.
            line = without_keys(line.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        with contextlib.suppress(OSError, ValueError):  # EPIPE, a full disk; ValueError is what a closed file raises
            if self._raw is not None:
                self._write_all(self._raw, line)
            else:
                self._stream.write(line.decode())
                self._stream.flush()

    def _write_all(self, raw: RawIOBase, line: bytes) -> None:
        left = b"\n" + line if self._is_torn else line
        while left:
            taken = raw.write(left)
            if not taken:  # None of a pipe that is full and does not block
                return
            left = left[taken:]
            self._is_torn = bool(left)

    debug = info = warning = error = critical = exception = msg = write


class _Lines:
    """Where lines go that were formatted elsewhere; None where that is not to be."""

    sink: _Sink | None = None


_lines: Final = _Lines()


def writes_json() -> bool:
    """Whether lines of level info are written, as JSON: `write_lines` then takes them."""
    return _lines.sink is not None


def write_lines(lines: bytes) -> None:
    """Write lines that are JSON already. For a path so hot that a line through the processors would be felt."""
    if _lines.sink is not None:
        _lines.sink.write(lines)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed
        return False


def _stamp(_logger: Any, method: str, event: Event) -> Event:
    """RFC 3339 in UTC, then level and event, then the rest as it was given; an exception as text."""
    now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
    stamped: Event = {
        "timestamp": f"{now}Z",
        "level": "error" if method == "exception" else method,
        "event": event.pop("event", ""),
    }
    failure = event.pop("exc_info", None)
    stamped.update(event)
    if failure:
        stamped["exception"] = _traceback(failure)
    return stamped


def _traceback(failure: object) -> str:
    if isinstance(failure, tuple):
        failure = failure[1]
    if not isinstance(failure, BaseException):
        failure = sys.exc_info()[1]
    if failure is None:
        return ""
    return "".join(traceback.format_exception(failure)).rstrip()


def _render_json(_logger: Any, _method: str, event: Event) -> bytes:
    try:
        return orjson.dumps(event, default=_text, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError:  # half a surrogate pair, or an integer of more than 64 bits
        plain = {_text(key): _text(value) for key, value in event.items()}
        return f"{json.dumps(plain)}\n".encode()


def _render_console(_logger: Any, _method: str, event: Event) -> bytes:
    """`12:00:00.000 info    what happened run=… workspace=…`, the traceback indented below.

    What is not printable is escaped: a line break would forge a line, an escape sequence could rewrite the terminal.
    """
    failure = event.pop("exception", "")
    head = [event.pop(name, "") for name in _HEAD]
    time = str(head[0])[11:23]
    pairs = [f" {_printable(_text(name))}={_printable(_text(value))}" for name, value in event.items()]
    lines = [f"{time} {head[1]:<8}{_printable(_text(head[2]))}{''.join(pairs)}"]
    lines += [f"    {_printable(line)}" for line in str(failure).splitlines()]
    return "".join(f"{line}\n" for line in lines).encode()


def _printable(text: str) -> str:
    return text if text.isprintable() else repr(text)[1:-1]


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 (a line is never worth an exception, and a __repr__ can raise anything)
        return f"<{type(value).__name__}>"


class _Bridge(logging.Handler):
    """Takes what the standard library's loggers say (aiohttp's, asyncio's)."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 (arguments that do not fit the message, from code that is not ours)
            message = str(record.msg)
        level = min(record.levelno // 10 * 10, logging.CRITICAL)
        structlog.get_logger().log(level or logging.DEBUG, message, logger=record.name, exc_info=record.exc_info)


def _route_standard_library(level: int) -> None:
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, _Bridge)]:
        root.removeHandler(handler)
    root.addHandler(_Bridge())
    root.setLevel(level)
