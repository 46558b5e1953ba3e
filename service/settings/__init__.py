"""Every setting, declared once: its field, its default, the names the environment has for it, its unit.

Nobody else reads the environment.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Literal

from service.domain.egress import Rules
from service.settings.access import AccessSettings
from service.settings.declaring import Description, InvalidSettings, describe_settings, names_of, setting
from service.settings.history import HistorySettings
from service.settings.jobs import JobSettings
from service.settings.pools import PoolSettings
from service.settings.quotas import QuotaSettings
from service.settings.revisions import RevisionSettings
from service.settings.secrets import SecretSettings
from service.settings.values import (
    MEGABYTE,
    ONE_YEAR_S,
    egress_rules,
    one_of,
    parse_flag,
    parse_milliseconds,
    parse_modules,
    parse_size,
    parse_text,
    whole,
)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(
    SecretSettings, AccessSettings, HistorySettings, JobSettings, RevisionSettings, PoolSettings, QuotaSettings
):
    """What the operator decides. Tests build one with the fields they care about."""

    port: int = setting(4000, env="PORT", parse=whole(0, 65535), doc="port to listen on; 0 takes any that is free")
    host: str = setting("127.0.0.1", env="HOST", parse=parse_text, doc="address to listen on")
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
        parse=parse_milliseconds,
        unit="ms",
        doc="wall clock one run may take; a function's own timeout can only be shorter",
    )
    workers_max: int = setting(
        500, env="FUNCTIONS_WORKERS_MAX_LRU", parse=whole(1, 1_000_000), unit="workers", doc="workers kept alive"
    )
    inactive_worker_s: int = setting(
        3600,
        env=("INACTIVE_WORKER_DELETION_TIMEOUT", "INACTIVE_NODE_WORKER_DELETION_TIMEOUT"),
        parse=whole(1, ONE_YEAR_S),
        unit="s",
        doc="time without a run after which a worker goes",
    )
    python_modules: tuple[str, ...] = setting(
        DEFAULT_MODULES,
        env="PYTHON_BUILTIN_MODULES",
        parse=parse_modules,
        shown=",".join(DEFAULT_MODULES),
        doc="comma list of the standard modules that a function may import",
    )
    worker_memory_bytes: int = setting(
        256 * MEGABYTE,
        env="PYTHON_WORKER_MAX_MEMORY_MB",
        parse=whole(16, 1_048_576, factor=MEGABYTE),
        unit="MiB",
        shown="256",
        doc="memory that one worker may have",
    )
    jail_least: JailLevel = setting(  # noqa: RUF009 (makes a field; the value is immutable)
        "unprivileged",
        env="SANDBOX_LEVEL",
        parse=one_of("none", "unprivileged", "full"),
        doc="the least jail that is accepted; where the machine gives less, the service does not start",
    )
    update_scripts_on_startup: bool = setting(
        default=False,
        env="UPDATE_SCRIPTS_ON_STARTUP",
        parse=parse_flag,
        shown="no",
        doc="whether every generated module is rebuilt from its YAML at start",
    )
    request_max_bytes: int = setting(
        MEGABYTE, env="REQUEST_MAX_SIZE", parse=parse_size, unit="size", shown="1mb", doc="body of one request"
    )
    result_max_bytes: int = setting(
        8 * MEGABYTE,
        env="RESULT_MAX_SIZE",
        parse=parse_size,
        unit="size",
        shown="8mb",
        doc="result of one run, as JSON",
    )
    logs_max_bytes: int = setting(
        MEGABYTE,
        env="LOGS_MAX_SIZE",
        parse=parse_size,
        unit="size",
        shown="1mb",
        doc="logs of one run; what goes beyond is dropped, and one entry says how much",
    )
    egress_allow: Rules = setting(  # noqa: RUF009 (makes a field; the value is immutable)
        (), env="EGRESS_ALLOW", parse=egress_rules, shown="", doc="comma list of what functions may fetch from"
    )
    egress_deny: Rules = setting(  # noqa: RUF009 (makes a field; the value is immutable)
        (), env="EGRESS_DENY", parse=egress_rules, shown="", doc="comma list of what no function may fetch from"
    )
    fetch_max_bytes: int = setting(
        8 * MEGABYTE,
        env="FETCH_MAX_SIZE",
        parse=parse_size,
        unit="size",
        shown="8mb",
        doc="response of one fetch, as received and again after decompression",
    )
    fetch_timeout_ms: int = setting(
        10_000,
        env="FETCH_TIMEOUT",
        parse=parse_milliseconds,
        unit="ms",
        doc="time one fetch may take, redirects included",
    )
    fetch_at_once: int = setting(
        16,
        env="FETCH_CONCURRENCY",
        parse=whole(1, 1000),
        unit="fetches",
        doc="fetches of one run at the same time; more wait in order",
    )
    fetch_count: int = setting(
        100, env="FETCH_MAX_COUNT", parse=whole(0, 1_000_000), unit="fetches", doc="fetches of one run in all"
    )
    fetch_redirects_max: int = setting(
        10, env="FETCH_MAX_REDIRECTS", parse=whole(0, 100), unit="redirects", doc="redirects that one fetch follows"
    )
    shutdown_grace_ms: int = setting(
        10_000,
        env="SHUTDOWN_GRACE_PERIOD",
        parse=whole(0, ONE_YEAR_S * 1000),
        unit="ms",
        doc="time that runs have to finish after SIGTERM",
    )
    log_format: LogFormat = setting(  # noqa: RUF009 (makes a field; the value is immutable)
        "auto",
        env="LOG_FORMAT",
        parse=one_of("auto", "json", "console"),
        doc="auto is console on a terminal and json elsewhere",
    )
    log_level: LogLevel = setting(  # noqa: RUF009 (makes a field; the value is immutable)
        "info",
        env="LOG_LEVEL",
        parse=one_of("debug", "info", "warning", "error"),
        doc="the mildest level that is logged",
    )


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment; an empty value is none. Raises: InvalidSettings with everything that is wrong."""
    source = os.environ if environ is None else environ
    problems: list[str] = []
    values: dict[str, Any] = {}
    for declared in fields(Settings):
        for name in reversed(names_of(declared)):  # the name that wins comes last, the others are checked all the same
            text = source.get(name, "").strip()
            if not text:
                continue
            try:
                values[declared.name] = declared.metadata["parse"](text)
            except ValueError as error:
                what_it_is = "" if declared.metadata["is_secret"] else f", not {_short(text)}"
                problems.append(f"{name} {error}{what_it_is}")
    if problems:
        raise InvalidSettings(problems)
    return Settings(**values)


def describe() -> list[Description]:
    """Every setting, in the order of its declaration, for the documentation and the test that holds it to this."""
    return describe_settings(Settings)


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")  # noqa: PLR2004 (enough to recognise it by)
