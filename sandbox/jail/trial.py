"""Trying things out in processes that are thrown away: whether a step works, and whether it then holds."""

import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from sandbox.jail.lockdown import (
    CONNECTION_FD,
    LAST_STEP,
    STEPS,
    Cell,
    Plan,
    Step,
    close_descriptors,
    drop_capabilities,
    forbid_files,
    forbid_system_calls,
)

_REPORT_BYTES: Final = 4096
_NOBODY_BELOW: Final = 1 << 40
"""More address space than anybody has: the trial is about the other steps."""


class NotHeld(Exception):
    """Something went through that should have been refused."""


@dataclass(frozen=True, slots=True)
class Failure:
    """The step that did not work, and why."""

    step: str
    reason: str


def attempt(action: Callable[[], None]) -> str | None:
    """Why the action does not work here, tried in a child; None if it does. The child can fork afterwards, too."""
    return _in_a_child(lambda report_fd: _report(report_fd, _reason(action)))


def try_out(plan: Plan) -> Failure | None:
    """Lock a worker in as planned and see whether it holds. Returns the step that failed; None if it does."""
    zygote_pid = os.getpid()
    report = _in_a_child(
        lambda report_fd: _live_through(
            Cell(plan, zygote_pid, 0, connection_fd=report_fd, address_space_max_bytes=_NOBODY_BELOW)
        )
    )
    if report is None:
        return None
    step, _, reason = report.partition(": ")
    return Failure(step, reason)


def _in_a_child(live: Callable[[int], NoReturn]) -> str | None:
    """What a child that is thrown away reports of itself; None if it has nothing to complain of."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            child = os.fork()
            if child == 0:
                ours.close()
                live(theirs.fileno())
        return _read_report(ours, child)


def _live_through(cell: Cell) -> NoReturn:
    """Every step, and after each that a machine may lack, what it promises."""
    report_fd = cell.connection_fd
    for step in (*STEPS, LAST_STEP):
        reason = _reason(partial(step, cell))
        if step is close_descriptors and reason is None:
            report_fd = CONNECTION_FD
        if reason is None and step in _CLAIMS:
            reason = _reason(partial(_CLAIMS[step], cell))
        if reason is not None:
            _report(report_fd, f"{step.__name__}: {reason}")
    _report(report_fd, None)


def _own_identity_is_all(cell: Cell) -> None:
    if cell.plan.identities is not None:
        _must_fail("another user's id could be taken", lambda: os.setresuid(0, 0, 0))


def _files_are_closed(cell: Cell) -> None:
    if cell.plan.ruleset_fd is not None:
        _must_fail("a folder could be opened", lambda: os.open("/", os.O_RDONLY))


def _calls_are_refused(cell: Cell) -> None:
    if cell.plan.system_calls is not None:
        _must_fail("a socket could be made", lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        _must_fail("a process could be started", os.fork)
        _must_fail("a file could be looked at", Path("/").stat)


_CLAIMS: Final[dict[Step, Callable[[Cell], None]]] = {
    drop_capabilities: _own_identity_is_all,
    forbid_files: _files_are_closed,
    forbid_system_calls: _calls_are_refused,
}


def _must_fail(claim: str, action: Callable[[], object]) -> None:
    with contextlib.suppress(OSError):
        action()
        raise NotHeld(claim)


def _reason(action: Callable[[], None]) -> str | None:
    try:
        action()
    except OSError as error:
        return error.strerror or str(error)
    except Exception as error:  # noqa: BLE001  # a child that is thrown away; whatever it is goes into the report
        return f"{type(error).__name__}: {error}"
    return None


def _report(fd: int, reason: str | None) -> NoReturn:
    """Ends this process."""
    try:
        os.write(fd, (reason or "").encode()[:_REPORT_BYTES] + b"\n")
    finally:
        os._exit(0)


def _read_report(ours: socket.socket, child: int) -> str | None:
    with ours.makefile("rb") as lines:
        report = lines.readline()
    os.waitpid(child, 0)
    if not report.endswith(b"\n"):
        return "trial: the process ended without a word"
    return report.decode().strip() or None
