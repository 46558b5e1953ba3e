"""Settings: the established names and defaults, typed, with all that is wrong said at once."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from service.settings import DEFAULT_MODULES, Settings, describe, load_settings
from service.settings.declaring import InvalidSettings

MB = 2**20


def test_an_empty_environment_gives_the_established_defaults() -> None:
    assert load_settings({}) == Settings()
    assert Settings() == Settings(
        port=4000,
        host="127.0.0.1",
        functions_dirpath=Path("data/functions/"),
        database_path=Path("data/skep.db"),
        run_timeout_ms=20_000,
        workers_max=500,
        inactive_worker_s=3600,
        python_modules=DEFAULT_MODULES,
        worker_memory_bytes=256 * MB,
        update_scripts_on_startup=False,
        request_max_bytes=MB,
        result_max_bytes=8 * MB,
        logs_max_bytes=MB,
        shutdown_grace_ms=10_000,
        log_format="auto",
        log_level="info",
    )


@pytest.mark.parametrize(
    ("environ", "field", "value"),
    [
        ({"PORT": "8080"}, "port", 8080),
        ({"PORT": " 0 "}, "port", 0),
        ({"PORT": ""}, "port", 4000),
        ({"HOST": "::1"}, "host", "::1"),
        ({"FUNCTIONS_STORAGE_FILESYSTEM_DIRPATH": "/srv/f/"}, "functions_dirpath", Path("/srv/f")),
        ({"DATABASE_PATH": "x.db"}, "database_path", Path("x.db")),
        ({"FUNCTIONS_RUN_TIMEOUT": "5000"}, "run_timeout_ms", 5000),
        ({"PYTHON_FUNCTIONS_RUN_TIMEOUT": "7", "FUNCTIONS_RUN_TIMEOUT": "5"}, "run_timeout_ms", 7),
        ({"PYTHON_FUNCTIONS_RUN_TIMEOUT": "", "FUNCTIONS_RUN_TIMEOUT": "5"}, "run_timeout_ms", 5),
        ({"FUNCTIONS_WORKERS_MAX_LRU": "1"}, "workers_max", 1),
        ({"INACTIVE_NODE_WORKER_DELETION_TIMEOUT": "60"}, "inactive_worker_s", 60),
        (
            {"INACTIVE_WORKER_DELETION_TIMEOUT": "9", "INACTIVE_NODE_WORKER_DELETION_TIMEOUT": "60"},
            "inactive_worker_s",
            9,
        ),
        (
            {"PYTHON_BUILTIN_MODULES": "json, math,urllib.parse,,json"},
            "python_modules",
            ("json", "math", "urllib.parse"),
        ),
        ({"PYTHON_WORKER_MAX_MEMORY_MB": "64"}, "worker_memory_bytes", 64 * MB),
        ({"UPDATE_SCRIPTS_ON_STARTUP": "Yes"}, "update_scripts_on_startup", True),
        ({"UPDATE_SCRIPTS_ON_STARTUP": "true"}, "update_scripts_on_startup", True),
        ({"UPDATE_SCRIPTS_ON_STARTUP": "1"}, "update_scripts_on_startup", True),
        ({"UPDATE_SCRIPTS_ON_STARTUP": "0"}, "update_scripts_on_startup", False),
        ({"REQUEST_MAX_SIZE": "1.5MB"}, "request_max_bytes", 3 * MB // 2),
        ({"REQUEST_MAX_SIZE": "500 kb"}, "request_max_bytes", 500 * 1024),
        ({"REQUEST_MAX_SIZE": "1024"}, "request_max_bytes", 1024),
        ({"REQUEST_MAX_SIZE": "10b"}, "request_max_bytes", 10),
        ({"RESULT_MAX_SIZE": "1gb"}, "result_max_bytes", 1024 * MB),
        ({"LOGS_MAX_SIZE": "64Kb"}, "logs_max_bytes", 64 * 1024),
        ({"SHUTDOWN_GRACE_PERIOD": "0"}, "shutdown_grace_ms", 0),
        ({"LOG_FORMAT": "JSON"}, "log_format", "json"),
        ({"LOG_LEVEL": "debug"}, "log_level", "debug"),
    ],
)
def test_a_setting_is_read_with_its_unit(environ: dict[str, str], field: str, value: Any) -> None:
    assert load_settings(environ) == dataclasses.replace(Settings(), **{field: value})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PORT", "http", "PORT must be a whole number from 0 to 65535, not 'http'"),
        ("PORT", "65536", "PORT must be a whole number from 0 to 65535, not '65536'"),
        ("PORT", "-1", "PORT must be a whole number from 0 to 65535, not '-1'"),
        ("PORT", "٤", "PORT must be a whole number from 0 to 65535, not '٤'"),
        ("PORT", "4_000", "PORT must be a whole number"),
        ("PORT", "9" * 10_000, "PORT must be a whole number"),
        ("HOST", "a b", "HOST must be a name or an address, without blanks, not 'a b'"),
        ("FUNCTIONS_RUN_TIMEOUT", "0", "FUNCTIONS_RUN_TIMEOUT must be a whole number from 1 to "),
        ("FUNCTIONS_RUN_TIMEOUT", "1.5", "FUNCTIONS_RUN_TIMEOUT must be a whole number from 1 to "),
        ("FUNCTIONS_WORKERS_MAX_LRU", "0", "FUNCTIONS_WORKERS_MAX_LRU must be a whole number from 1 to "),
        ("INACTIVE_NODE_WORKER_DELETION_TIMEOUT", "x", "INACTIVE_NODE_WORKER_DELETION_TIMEOUT must be a whole"),
        ("PYTHON_BUILTIN_MODULES", "json;math", "PYTHON_BUILTIN_MODULES must be names of modules, with commas"),
        ("PYTHON_BUILTIN_MODULES", "os.", "PYTHON_BUILTIN_MODULES must be names of modules, with commas"),
        ("PYTHON_BUILTIN_MODULES", ",", "PYTHON_BUILTIN_MODULES must be names of modules, with commas"),
        ("PYTHON_WORKER_MAX_MEMORY_MB", "1gb", "PYTHON_WORKER_MAX_MEMORY_MB must be a whole number from 16 to "),
        ("UPDATE_SCRIPTS_ON_STARTUP", "maybe", "UPDATE_SCRIPTS_ON_STARTUP must be yes or no, not 'maybe'"),
        ("REQUEST_MAX_SIZE", "1mib", "REQUEST_MAX_SIZE must be a size up to 2gb, "),
        ("REQUEST_MAX_SIZE", "0", "REQUEST_MAX_SIZE must be a size up to 2gb, "),
        ("REQUEST_MAX_SIZE", "-1mb", "REQUEST_MAX_SIZE must be a size up to 2gb, "),
        ("RESULT_MAX_SIZE", "3gb", "RESULT_MAX_SIZE must be a size up to 2gb, "),
        ("LOG_FORMAT", "xml", "LOG_FORMAT must be one of auto, json, console, not 'xml'"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL must be one of debug, info, warning, error, not 'loud'"),
    ],
)
def test_a_bad_value_is_refused_with_what_it_must_be(name: str, value: str, message: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        load_settings({name: value})
    (problem,) = refused.value.problems
    assert problem.startswith(message)
    assert len(problem) < 300


def test_all_bad_values_are_reported_at_once_also_those_that_another_name_overrides() -> None:
    environ = {
        "PORT": "x",
        "LOG_LEVEL": "y",
        "FUNCTIONS_RUN_TIMEOUT": "z",
        "PYTHON_FUNCTIONS_RUN_TIMEOUT": "5",
        "HOST": "0.0.0.0",
    }
    with pytest.raises(InvalidSettings) as refused:
        load_settings(environ)
    assert [problem.split()[0] for problem in refused.value.problems] == ["PORT", "FUNCTIONS_RUN_TIMEOUT", "LOG_LEVEL"]
    assert str(refused.value).count("\n") == 2


def test_without_an_argument_it_is_the_process_environment_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "4321")
    assert load_settings().port == 4321


def test_every_default_can_be_written_as_described() -> None:
    environ = {setting.names[0]: setting.default for setting in describe()}
    assert load_settings(environ) == Settings()
    assert all(setting.doc for setting in describe())
    names = [name for setting in describe() for name in setting.names]
    assert len(names) == len(set(names))
