"""Logs: whatever is logged comes out as one line, and nothing that is logged or written to ever raises."""

import errno
import io
import json
import logging
import os
import re
from typing import Any, TextIO

import pytest
import structlog

from service import logs
from service.settings import LogFormat

log = structlog.get_logger()


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


pytestmark = pytest.mark.usefixtures("logging_as_it_was")


class Output(io.TextIOWrapper):
    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")

    @property
    def text(self) -> str:
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode()

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.split("\n")[:-1]]


def configured(log_format: LogFormat = "json", level: Any = "info") -> Output:
    out = Output()
    logs.configure(log_format, level, out)
    return out


def test_a_line_has_its_fields_in_order_and_a_time_in_utc() -> None:
    out = configured()
    log.info("served", request="r1", workspace="w", status=200)
    (entry,) = out.entries
    assert list(entry) == ["timestamp", "level", "event", "request", "workspace", "status"]
    assert (entry["level"], entry["event"], entry["status"]) == ("info", "served", 200)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["timestamp"])


@pytest.mark.parametrize(
    ("level", "logged"),
    [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)],
)
def test_milder_levels_are_dropped(level: str, logged: int) -> None:
    out = configured(level=level)
    for method in (log.debug, log.info, log.warning, log.error):
        method("event")
    assert len(out.entries) == logged


def test_an_exception_is_logged_with_its_traceback_in_one_line() -> None:
    out = configured()
    try:
        raise ValueError("first\nsecond")  # noqa: TRY301 (raised to be caught)
    except ValueError:
        log.exception("failed", run="r")
    (entry,) = out.entries
    assert entry["level"] == "error"
    assert entry["exception"].startswith("Traceback (most recent call last)")
    assert entry["exception"].endswith("ValueError: first\nsecond")


HOSTILE: list[Any] = [
    "a\nb",
    "a\r\n2026-01-01 forged",
    "\x1b[2J\x9b31m",
    "\u2028\u2029\x85",
    "\u202eevil",
    "\ud800",
    2**80,
    float("nan"),
    object(),
    Unprintable(),
    {"k": {1, 2}},
    {"\ud800": Unprintable()},
    b"\xff",
]


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_is_logged_is_one_line(log_format: LogFormat, value: Any) -> None:
    out = configured(log_format)
    log.info(str(value) if isinstance(value, str) else "event", field=value, **{str(type(value)): 1})
    log.info("next")
    text = out.text
    assert len(text.splitlines() if log_format == "console" else text.split("\n")[:-1]) == 2
    if log_format == "console":
        assert text.replace("\n", "").isprintable()
    else:
        assert len(out.entries) == 2


def test_a_person_reads_time_level_event_and_fields() -> None:
    out = configured("console")
    log.warning("bundle not kept", workspace="w", reason="disk full")
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} warning bundle not kept workspace=w reason=disk full\n", out.text)


def test_a_traceback_is_indented_so_that_no_message_can_look_like_a_line() -> None:
    out = configured("console")
    log.error("failed", exc_info=ValueError("x\n12:00:00.000 info    forged\x1b[0m"))
    head, *rest = out.text.splitlines()
    assert head.endswith("error   failed")
    assert rest == ["    ValueError: x", "    12:00:00.000 info    forged\\x1b[0m"]


def test_loggers_follow_a_second_configuration() -> None:
    first = configured()
    log.info("to the first")
    second = configured(level="error")
    log.info("too mild now")
    log.error("to the second")
    assert [entry["event"] for entry in first.entries] == ["to the first"]
    assert [entry["event"] for entry in second.entries] == ["to the second"]


def test_the_standard_library_logs_here_too() -> None:
    logging.getLogger().handlers.clear()  # pytest's own, which raise at what is malformed
    out = configured()
    logging.getLogger("aiohttp.server").warning("bad %s", "request")
    logging.getLogger("asyncio").debug("too mild")
    logging.getLogger("other").warning("bad %d", "argument")
    logging.getLogger("other").log(35, "between two levels")
    assert [(entry["level"], entry["event"], entry["logger"]) for entry in out.entries] == [
        ("warning", "bad request", "aiohttp.server"),
        ("warning", "bad %d", "other"),
        ("warning", "between two levels", "other"),
    ]


def test_configuring_twice_does_not_log_twice() -> None:
    configured()
    out = configured()
    logging.getLogger("x").warning("once")
    assert len(out.entries) == 1


def closed_file() -> TextIO:
    stream = io.TextIOWrapper(io.BytesIO())
    stream.close()
    return stream


def broken_pipe() -> TextIO:
    reading, writing = os.pipe()
    os.close(reading)
    return os.fdopen(writing, "w")


def full_disk() -> TextIO:
    return open("/dev/full", "w", encoding="utf-8")  # noqa: PTH123 (a stream, closed by the test)


@pytest.mark.parametrize("stream", [closed_file, broken_pipe, full_disk])
@pytest.mark.parametrize("log_format", ["json", "console", "auto"])
def test_a_stream_that_takes_nothing_is_no_failure(stream: Any, log_format: LogFormat) -> None:
    opened = stream()
    logs.configure(log_format, "info", opened)
    for _ in range(3):
        log.info("into the void", size="x" * 100_000)
        logging.getLogger("x").warning("into the void")
    try:
        opened.close()
    except OSError:
        os.close(os.open("/dev/null", os.O_RDONLY))  # what was buffered cannot be flushed: not what is asked here


class Disk(io.RawIOBase):
    """Takes so many bytes and no more, until it is given room."""

    def __init__(self, room: int) -> None:
        self.content = b""
        self.room = room

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        taken = min(len(data), self.room)
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.content += bytes(data[:taken])
        self.room -= taken
        return taken


def test_a_line_that_a_full_disk_has_cut_does_not_swallow_the_next_that_it_takes() -> None:
    disk = Disk(room=20_000)
    logs.configure("json", "info", io.TextIOWrapper(io.BufferedWriter(disk)))
    for number in range(3):
        log.info("cut", number=number, size="x" * 15_000)  # more than a buffer holds
    assert disk.room == 0
    disk.room = 10_000
    for number in range(3, 5):
        log.info("whole", number=number)
    first, _torn, last_but_one, last = disk.content.decode().splitlines()
    assert [json.loads(line)["number"] for line in (first, last_but_one, last)] == [0, 3, 4]


def test_a_stream_of_text_without_bytes_below_it_will_do() -> None:
    out = io.StringIO()
    logs.configure("json", "info", out)
    log.info("é")
    assert json.loads(out.getvalue())["event"] == "é"


def test_auto_is_json_where_nobody_watches() -> None:
    out = configured("auto")
    log.info("event")
    assert out.entries[0]["event"] == "event"
