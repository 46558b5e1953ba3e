"""The objects every body has in scope beside its parameters and its siblings."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.closed import Closed
from sandbox.console import Console
from sandbox.expired import RunExpired
from sandbox.protocol import Level
from sandbox.runs import RUNNING, RunState


class OutsideRun(RuntimeError):
    """Something that belongs to a run was used where no run is."""


def _current() -> RunState:
    run = RUNNING.run
    if run is None:
        raise OutsideRun("there is no run here")
    return run


class Log(Closed):
    """`log.info("…", key=value)`: one entry of the run's logs, with extra fields."""

    __slots__ = ()

    def debug(self, message: object = "", /, **fields: object) -> None:
        """An entry of level debug."""
        _write("debug", message, fields)

    def info(self, message: object = "", /, **fields: object) -> None:
        """An entry of level info."""
        _write("info", message, fields)

    def warning(self, message: object = "", /, **fields: object) -> None:
        """An entry of level warning."""
        _write("warning", message, fields)

    def error(self, message: object = "", /, **fields: object) -> None:
        """An entry of level error."""
        _write("error", message, fields)

    def critical(self, message: object = "", /, **fields: object) -> None:
        """An entry of level critical."""
        _write("critical", message, fields)


class Context(Closed):
    """What a body may know about the run it is part of."""

    __slots__ = ("_workspace",)

    _workspace: str

    def __init__(self, workspace: str) -> None:
        object.__setattr__(self, "_workspace", workspace)

    @property
    def run_id(self) -> str:
        """The id the caller got as `x-run-id`."""
        return _current().run_id

    @property
    def workspace(self) -> str:
        """The workspace's name."""
        return self._workspace

    @property
    def function(self) -> str:
        """The function the caller asked for, in siblings too."""
        return _current().function

    def remaining_ms(self) -> int:
        """Until the deadline; never below 0."""
        return max(0, int((_current().deadline - time.monotonic()) * 1000))


class Names(Closed, Mapping[str, str]):
    """`env` and `secrets`: read-only, and an unknown name says which exist."""

    __slots__ = ("_kind", "_values")

    _kind: str
    _values: dict[str, str]

    def __init__(self, kind: str, values: Mapping[str, str]) -> None:
        object.__setattr__(self, "_kind", kind)
        object.__setattr__(self, "_values", dict(values))

    def __getitem__(self, name: str) -> str:
        try:
            return self._values[name]
        except KeyError:
            known = ", ".join(self._values) or "none"
            raise KeyError(f"{self._kind} has no {name!r}; there is: {known}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<{self._kind}: {', '.join(self) or 'empty'}>"


def tenant_print(*values: object, flush: bool = False, **options: Any) -> None:  # noqa: ARG001  # see below
    """`print`, into the logs of the run that calls it. Every line leaves at once, whatever `flush` says."""
    console = _console()
    if console is not None:
        console.print(*values, **options)


def check_expired() -> None:
    """What the compiler puts where a tenant's code could have swallowed the end of its run."""
    run = RUNNING.run
    if run is not None and run.expired:
        raise RunExpired


def _console() -> Console | None:
    run = RUNNING.run
    return None if run is None else run.console


def _write(level: Level, message: object, fields: dict[str, object]) -> None:
    console = _console()
    if console is not None:
        console.write(level, str(message), fields)
