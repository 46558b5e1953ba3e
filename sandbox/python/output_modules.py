"""Modules that write somewhere: logging, warnings, traceback and pprint, onto the logs of the current run."""

import contextlib
import io
import pprint
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

from sandbox.python.tracebacks import describe, last_lines, safe_text


class Log(Protocol):
    """The `log` object of the worker, which writes to whichever run is current."""

    def debug(self, message: str, **fields: object) -> None: ...
    def info(self, message: str, **fields: object) -> None: ...
    def warning(self, message: str, **fields: object) -> None: ...
    def error(self, message: str, **fields: object) -> None: ...
    def critical(self, message: str, **fields: object) -> None: ...


class _Silent:
    def debug(self, message: str, **fields: object) -> None:
        """Nothing."""

    info = warning = error = critical = debug


SILENT: Final[Log] = _Silent()

_LEVELS: Final = {"CRITICAL": 50, "FATAL": 50, "ERROR": 40, "WARNING": 30, "WARN": 30, "INFO": 20, "DEBUG": 10}
_METHODS: Final = ((50, "critical"), (40, "error"), (30, "warning"), (20, "info"), (0, "debug"))
_LEVELS_ALL: Final = {**_LEVELS, "NOTSET": 0}


def _level_number(level: int | str) -> int:
    return level if isinstance(level, int) else _LEVELS_ALL[level.upper()]


class Logger:
    """A logger by name, as `logging` has them. Every one writes to the log of the run, with its name beside."""

    def __init__(self, log: Log, name: str) -> None:
        self._log = log
        self.name = name
        self.level = 0
        self.disabled = False
        self.propagate = True
        self.handlers: Sequence[object] = []

    def log(self, level: int, msg: object, *args: object, **options: Any) -> None:
        """Write `msg % args`; `exc_info` adds the traceback, `extra` its items as fields."""
        if self.disabled or level < self.level:
            return
        text = safe_text(msg)
        if args:
            mapping = args[0] if len(args) == 1 and isinstance(args[0], dict) and args[0] else args
            text = _percent(text, mapping)
        fields: dict[str, Any] = {"logger": self.name} if self.name != "root" else {}
        extra = options.get("extra")
        if isinstance(extra, dict):
            fields |= {key: value for key, value in extra.items() if type(key) is str}
        error = _error_of(options.get("exc_info"))
        if error is not None:
            fields["traceback"] = describe(error, {}).traceback
        fields.pop("message", None)
        method = next(name for floor, name in _METHODS if level >= floor or floor == 0)
        getattr(self._log, method)(text, **fields)

    def debug(self, msg: object, *args: object, **options: Any) -> None:
        self.log(10, msg, *args, **options)

    def info(self, msg: object, *args: object, **options: Any) -> None:
        self.log(20, msg, *args, **options)

    def warning(self, msg: object, *args: object, **options: Any) -> None:
        self.log(30, msg, *args, **options)

    warn = warning

    def error(self, msg: object, *args: object, **options: Any) -> None:
        self.log(40, msg, *args, **options)

    def exception(self, msg: object, *args: object, **options: Any) -> None:
        self.log(40, msg, *args, **{"exc_info": True, **options})

    def critical(self, msg: object, *args: object, **options: Any) -> None:
        self.log(50, msg, *args, **options)

    fatal = critical

    def setLevel(self, level: int | str) -> None:  # noqa: N802 - the name it has in logging
        self.level = _level_number(level)

    def getEffectiveLevel(self) -> int:  # noqa: N802 - the name it has in logging
        return self.level

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the name it has in logging
        return not self.disabled and level >= self.level

    def hasHandlers(self) -> bool:  # noqa: N802 - the name it has in logging
        return True

    def addHandler(self, handler: object) -> None:  # noqa: N802 - the name it has in logging
        """Nothing: there is one place to write to."""

    removeHandler = addFilter = removeFilter = addHandler  # noqa: N815 - the names they have in logging

    def getChild(self, suffix: str) -> "Logger":  # noqa: N802 - the name it has in logging
        return Logger(self._log, f"{self.name}.{suffix}" if self.name != "root" else suffix)


def _percent(text: str, values: object) -> str:
    try:
        return text % values
    except Exception as error:  # noqa: BLE001 - a tenant's `__str__` can raise anything; logging never does
        return f"{text} (its arguments do not fit: {safe_text(error)})"


def _error_of(exc_info: object) -> BaseException | None:
    if isinstance(exc_info, BaseException):
        return exc_info
    if isinstance(exc_info, tuple):
        return next((item for item in exc_info if isinstance(item, BaseException)), None)
    return sys.exception() if exc_info else None


class _RootLogger(Logger):
    """The one logger that every function has: nothing can be set on it, so that none silences another."""

    def __init__(self, log: Log) -> None:
        super().__init__(log, "root")
        self.handlers = ()
        vars(self)["_closed"] = True

    def __setattr__(self, name: str, value: object) -> None:
        if "_closed" in vars(self):
            raise AttributeError("the root logger cannot be changed: use logging.getLogger(name)")
        super().__setattr__(name, value)

    def setLevel(self, level: int | str) -> None:  # noqa: N802 - the name it has in logging
        """Nothing: a level would be every function's."""


def logging_facade(log: Log) -> dict[str, object]:
    """What `import logging` gives: loggers that write to the run's log, and nothing that writes elsewhere."""
    root = _RootLogger(log)

    def getLogger(name: str | None = None) -> Logger:  # noqa: N802 - the name it has in logging
        # A new one each time: what a function sets on it is not heard by others who ask for the same name.
        return Logger(log, name or "root")

    def getLevelName(level: int | str) -> int | str:  # noqa: N802 - the name it has in logging
        if isinstance(level, str):
            return _LEVELS_ALL[level]
        return next((name for name, number in _LEVELS_ALL.items() if number == level), f"Level {level}")

    def nothing(*_args: object, **_options: object) -> None:
        """Where output goes is not a function's to say."""

    methods = ("debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "log")
    return {
        **_LEVELS_ALL,
        **{method: getattr(root, method) for method in methods},
        "root": root,
        "Logger": Logger,
        "getLogger": getLogger,
        "getLevelName": getLevelName,
        "basicConfig": nothing,
        "disable": nothing,
        "captureWarnings": nothing,
    }


def warnings_facade(log: Log) -> dict[str, object]:
    """What `import warnings` gives: `warn` writes to the run's log; filters change nothing."""

    def warn(message: object, category: type = UserWarning, *_args: object, **_options: object) -> None:
        kind = type(message) if isinstance(message, Warning) else category
        log.warning(safe_text(message), category=kind.__name__)

    def nothing(*_args: object, **_options: object) -> None:
        """There is nothing to filter."""

    @contextlib.contextmanager
    def catch_warnings(*, record: bool = False, **_options: object) -> Iterator[list[object] | None]:
        yield [] if record else None

    filters = dict.fromkeys(("simplefilter", "filterwarnings", "resetwarnings"), nothing)
    return {"warn": warn, "catch_warnings": catch_warnings, **filters}


def traceback_facade(print_: Callable[..., None]) -> dict[str, object]:
    """What `import traceback` gives: text, of the tenant's own frames only."""

    def format_exc(limit: object = None, chain: object = True) -> str:  # noqa: FBT002, ARG001 - as traceback has it
        error = sys.exception()
        return describe(error, {}).traceback if error is not None else "NoneType: None\n"

    def format_exception(exc: object, value: object = None, tb: object = None, **_options: object) -> list[str]:  # noqa: ARG001 - as traceback has it
        error = value if isinstance(value, BaseException) else exc
        return [describe(error, {}).traceback] if isinstance(error, BaseException) else []

    def format_exception_only(exc: object, value: object = None) -> list[str]:
        error = value if isinstance(value, BaseException) else exc
        return last_lines(error) if isinstance(error, BaseException) else ["NoneType: None\n"]

    def print_exc(*_args: object, **_options: object) -> None:
        print_(format_exc())

    def print_exception(exc: object, value: object = None, *_args: object, **_options: object) -> None:
        print_("".join(format_exception(exc, value)))

    return {
        "format_exc": format_exc,
        "format_exception": format_exception,
        "format_exception_only": format_exception_only,
        "print_exc": print_exc,
        "print_exception": print_exception,
    }


def pprint_facade(print_: Callable[..., None]) -> dict[str, object]:
    """What `import pprint` gives: `pprint` and `pp` write as `print` does."""

    def pretty(obj: object, stream: io.StringIO | None = None, *args: Any, **options: Any) -> None:
        text = pprint.pformat(obj, *args, **options)
        if stream is None:
            print_(text)
        else:
            stream.write(text + "\n")

    def pp(obj: object, *args: Any, sort_dicts: bool = False, **options: Any) -> None:
        pretty(obj, *args, sort_dicts=sort_dicts, **options)

    names = ("pformat", "saferepr", "isreadable", "isrecursive")
    return {"pprint": pretty, "pp": pp, **{name: getattr(pprint, name) for name in names}}


def output_modules(*, log: Log, print_: Callable[..., None]) -> dict[str, dict[str, object]]:
    """Overrides for `Modules`: the modules that write, writing to these."""
    return {
        "logging": logging_facade(log),
        "warnings": warnings_facade(log),
        "traceback": traceback_facade(print_),
        "pprint": pprint_facade(print_),
    }
