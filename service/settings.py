"""Every setting, declared once: its field, its default, the names the environment has for it, its unit.

Nobody else reads the environment.
"""

import os
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from service.domain.egress import Rules, parse_rules

JailLevel = Literal["none", "unprivileged", "full"]
LogFormat = Literal["auto", "json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]

# fmt: off
DEFAULT_MODULES: Final = (
    "json", "csv", "html", "email", "re", "string", "textwrap", "unicodedata", "difflib",
    "math", "cmath", "decimal", "fractions", "numbers", "random", "statistics",
    "datetime", "time", "calendar", "zoneinfo",
    "collections", "itertools", "functools", "operator", "array", "heapq", "bisect", "queue", "copy",
    "enum", "typing", "dataclasses", "abc", "types", "io",
    "base64", "hashlib", "hmac", "binascii", "struct", "secrets", "zlib", "gzip", "bz2", "lzma",
    "urllib.parse", "uuid", "contextlib", "weakref", "asyncio", "logging", "warnings", "traceback", "pprint",
    "ipaddress", "graphlib",
)
# fmt: on
"""Standard modules that a function may import unless the operator names others."""

_MEGABYTE: Final = 2**20
_SIZE_UNITS: Final = {"": 1, "b": 1, "kb": 2**10, "mb": 2**20, "gb": 2**30}
_SIZE_MAX: Final = 2 * 2**30  # the length of a frame has 32 bits, and a message is more than its largest value
_SIZE: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?) *(b|kb|mb|gb)?", re.ASCII | re.IGNORECASE)
_WHOLE: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
_HOST: Final = re.compile(r"[^\s\x00-\x20\x7f]+")
_TRUE: Final = frozenset({"yes", "true", "1", "on"})
_FALSE: Final = frozenset({"no", "false", "0", "off"})


class InvalidSettings(ValueError):
    """The environment has values that cannot be used; `problems` has a sentence for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Description(NamedTuple):
    """What documentation says about one setting."""

    names: tuple[str, ...]
    """In the environment; the first that is set wins."""
    default: str
    """As one would write it there."""
    unit: str
    doc: str


def setting(  # noqa: PLR0913 (one argument for each thing a setting declares)
    default: Any,
    *,
    env: str | tuple[str, ...],
    doc: str,
    parse: Callable[[str], Any],
    unit: str = "",
    shown: str | None = None,
) -> Any:
    """Declare one setting. `parse` raises ValueError with what the value must be; `shown` is the default as text."""
    names = (env,) if isinstance(env, str) else env
    return field(default=default, metadata={"names": names, "doc": doc, "parse": parse, "unit": unit, "shown": shown})


def _text(text: str) -> str:
    if _HOST.fullmatch(text) is None:
        raise ValueError("must be a name or an address, without blanks")
    return text


def _whole(least: int, most: int, *, factor: int = 1) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if _WHOLE.fullmatch(text) is None or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text) * factor

    return parse


def _size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    size = int(float(match[1]) * _SIZE_UNITS[(match[2] or "").lower()]) if match is not None else 0
    if not 1 <= size <= _SIZE_MAX:
        raise ValueError('must be a size up to 2gb, such as "500kb" or "1.5mb", or a number of bytes')
    return size


def _flag(text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError("must be yes or no")
    return text.lower() in _TRUE


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text.lower()

    return parse


def _modules(text: str) -> tuple[str, ...]:
    names = dict.fromkeys(name for part in text.split(",") if (name := part.strip()))
    if not names or not all(part.isidentifier() for name in names for part in name.split(".")):
        raise ValueError("must be names of modules, with commas between them")
    unknown = [name for name in names if name.partition(".")[0] not in sys.stdlib_module_names]
    if unknown:
        raise ValueError(f"must be names of standard modules, which {', '.join(unknown)} is not")
    return tuple(names)


def _rules(text: str) -> Rules:
    return parse_rules(rule for part in text.split(",") if (rule := part.strip()))


_ONE_YEAR_S: Final = 366 * 24 * 3600
_milliseconds: Final = _whole(1, _ONE_YEAR_S * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the operator decides. Tests build one with the fields they care about."""

    port: int = setting(4000, env="PORT", parse=_whole(0, 65535), doc="port to listen on; 0 takes any that is free")
    host: str = setting("127.0.0.1", env="HOST", parse=_text, doc="address to listen on")
    functions_dirpath: Path = setting(  # noqa: RUF009 (makes a field; the value is immutable)
        Path("data/functions"),
        env="FUNCTIONS_STORAGE_FILESYSTEM_DIRPATH",
        parse=Path,
        shown="data/functions/",
        doc="the volume: one folder a workspace",
    )
    database_path: Path = setting(  # noqa: RUF009 (makes a field; the value is immutable)
        Path("data/skep.db"), env="DATABASE_PATH", parse=Path, doc="SQLite file of the run records"
    )
    run_timeout_ms: int = setting(
        20_000,
        env=("PYTHON_FUNCTIONS_RUN_TIMEOUT", "FUNCTIONS_RUN_TIMEOUT"),
        parse=_milliseconds,
        unit="ms",
        doc="wall clock one run may take; a function's own timeout can only be shorter",
    )
    workers_max: int = setting(
        500, env="FUNCTIONS_WORKERS_MAX_LRU", parse=_whole(1, 1_000_000), unit="workers", doc="workers kept alive"
    )
    inactive_worker_s: int = setting(
        3600,
        env=("INACTIVE_WORKER_DELETION_TIMEOUT", "INACTIVE_NODE_WORKER_DELETION_TIMEOUT"),
        parse=_whole(1, _ONE_YEAR_S),
        unit="s",
        doc="time without a run after which a worker goes",
    )
    python_modules: tuple[str, ...] = setting(
        DEFAULT_MODULES,
        env="PYTHON_BUILTIN_MODULES",
        parse=_modules,
        shown=",".join(DEFAULT_MODULES),
        doc="comma list of the standard modules that a function may import",
    )
    worker_memory_bytes: int = setting(
        256 * _MEGABYTE,
        env="PYTHON_WORKER_MAX_MEMORY_MB",
        parse=_whole(16, 1_048_576, factor=_MEGABYTE),
        unit="MiB",
        shown="256",
        doc="memory that one worker may have",
    )
    jail_least: JailLevel = setting(  # noqa: RUF009 (makes a field; the value is immutable)
        "unprivileged",
        env="SANDBOX_LEVEL",
        parse=_one_of("none", "unprivileged", "full"),
        doc="the least jail that is accepted; where the machine gives less, the service does not start",
    )
    update_scripts_on_startup: bool = setting(
        default=False,
        env="UPDATE_SCRIPTS_ON_STARTUP",
        parse=_flag,
        shown="no",
        doc="whether every generated module is rebuilt from its YAML at start",
    )
    request_max_bytes: int = setting(
        _MEGABYTE, env="REQUEST_MAX_SIZE", parse=_size, unit="size", shown="1mb", doc="body of one request"
    )
    result_max_bytes: int = setting(
        8 * _MEGABYTE, env="RESULT_MAX_SIZE", parse=_size, unit="size", shown="8mb", doc="result of one run, as JSON"
    )
    logs_max_bytes: int = setting(
        _MEGABYTE,
        env="LOGS_MAX_SIZE",
        parse=_size,
        unit="size",
        shown="1mb",
        doc="logs of one run; what goes beyond is dropped, and one entry says how much",
    )
    egress_allow: Rules = setting(  # noqa: RUF009 (makes a field; the value is immutable)
        (), env="EGRESS_ALLOW", parse=_rules, shown="", doc="comma list of what functions may fetch from"
    )
    egress_deny: Rules = setting(  # noqa: RUF009 (makes a field; the value is immutable)
        (), env="EGRESS_DENY", parse=_rules, shown="", doc="comma list of what no function may fetch from"
    )
    fetch_max_bytes: int = setting(
        8 * _MEGABYTE,
        env="FETCH_MAX_SIZE",
        parse=_size,
        unit="size",
        shown="8mb",
        doc="response of one fetch, as received and again after decompression",
    )
    fetch_timeout_ms: int = setting(
        10_000, env="FETCH_TIMEOUT", parse=_milliseconds, unit="ms", doc="time one fetch may take, redirects included"
    )
    fetch_at_once: int = setting(
        16,
        env="FETCH_CONCURRENCY",
        parse=_whole(1, 1000),
        unit="fetches",
        doc="fetches of one run at the same time; more wait in order",
    )
    fetch_count: int = setting(
        100, env="FETCH_MAX_COUNT", parse=_whole(0, 1_000_000), unit="fetches", doc="fetches of one run in all"
    )
    fetch_redirects_max: int = setting(
        10, env="FETCH_MAX_REDIRECTS", parse=_whole(0, 100), unit="redirects", doc="redirects that one fetch follows"
    )
    shutdown_grace_ms: int = setting(
        10_000,
        env="SHUTDOWN_GRACE_PERIOD",
        parse=_whole(0, _ONE_YEAR_S * 1000),
        unit="ms",
        doc="time that runs have to finish after SIGTERM",
    )
    log_format: LogFormat = setting(  # noqa: RUF009 (makes a field; the value is immutable)
        "auto",
        env="LOG_FORMAT",
        parse=_one_of("auto", "json", "console"),
        doc="auto is console on a terminal and json elsewhere",
    )
    log_level: LogLevel = setting(  # noqa: RUF009 (makes a field; the value is immutable)
        "info",
        env="LOG_LEVEL",
        parse=_one_of("debug", "info", "warning", "error"),
        doc="the mildest level that is logged",
    )


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment; an empty value is none. Raises: InvalidSettings with everything that is wrong."""
    source = os.environ if environ is None else environ
    problems: list[str] = []
    values: dict[str, Any] = {}
    for declared in fields(Settings):
        for name in reversed(_names(declared)):  # the name that wins comes last, the others are checked all the same
            text = source.get(name, "").strip()
            if not text:
                continue
            try:
                values[declared.name] = declared.metadata["parse"](text)
            except ValueError as error:
                problems.append(f"{name} {error}, not {_short(text)}")
    if problems:
        raise InvalidSettings(problems)
    return Settings(**values)


def describe() -> list[Description]:
    """Every setting, in the order of its declaration, for the documentation and the test that holds it to this."""
    return [
        Description(
            _names(declared),
            str(declared.default) if declared.metadata["shown"] is None else declared.metadata["shown"],
            declared.metadata["unit"],
            declared.metadata["doc"],
        )
        for declared in fields(Settings)
    ]


def _names(declared: Field[Any]) -> tuple[str, ...]:
    names: tuple[str, ...] = declared.metadata["names"]
    return names


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")  # noqa: PLR2004 (enough to recognise it by)
