"""Deadlines inside a worker: the alarm that gets through to Python code which never awaits.

One interval timer serves all runs. It is set for the earliest deadline only, so that a run that ends in time costs no
system call. When it rings, every run that is due is told off: the service hears of it at once, what waits is
cancelled, and if the run's own code is what was interrupted, `RunExpired` is raised right there. From then on the alarm
repeats until nothing of the run is left; code in a `finally` gets one tick at a time.

C code that looks for signals (regular expressions, arithmetic on huge numbers) is interrupted like Python. C code that
does not (`sum(itertools.repeat(1))`) cannot be reached from inside; the service kills the worker for that.
"""

import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Final

from sandbox.expired import RunExpired
from sandbox.outbox import Outbox
from sandbox.protocol import Expired
from sandbox.python.names import FILENAME_PREFIX
from sandbox.runs import RUNNING, RunState

TICK_S: Final = 0.01
_OUR_FILES: Final = __file__.rpartition("/")[0] + "/"
_HELPERS: Final = _OUR_FILES + "python/"
_NEVER: Final = float("inf")


class Deadlines:
    """Watches the runs of this worker. Only one per process: it owns SIGALRM."""

    def __init__(self, outbox: Outbox, unwind: Callable[[RunState], object]) -> None:
        self._outbox = outbox
        self._unwind = unwind
        self._watched: set[RunState] = set()
        self._alarm_at = _NEVER

    def install(self) -> None:
        """Take SIGALRM."""
        signal.signal(signal.SIGALRM, self._ring)

    def watch(self, run: RunState) -> None:
        """Have the alarm ring for this run."""
        self._watched.add(run)
        if run.deadline < self._alarm_at:
            self._set_alarm(run.deadline)

    def forget(self, run: RunState) -> None:
        """Nothing of this run is left. The alarm may still ring; it will find nothing to do."""
        self._watched.discard(run)

    def expire_now(self, run: RunState) -> None:
        """Unwind a run before its deadline: its caller has gone, or it has answered and left something behind."""
        run.expire()
        self._watched.add(run)
        self._set_alarm(time.monotonic() + TICK_S)
        self._unwind(run)

    def _set_alarm(self, at: float) -> None:
        self._alarm_at = at
        # It goes on ringing, since one ring may fail: at the recursion limit not even the handler can be called.
        signal.setitimer(signal.ITIMER_REAL, max(at - time.monotonic(), 1e-6), TICK_S)

    def _ring(self, _signal: int, frame: FrameType | None) -> None:
        """Runs between two instructions of whatever holds the interpreter; the last thing it does is raise."""
        now = time.monotonic()
        due = [run for run in self._watched if run.deadline <= now or run.expired]
        later = min((run.deadline for run in self._watched if not run.expired and run.deadline > now), default=_NEVER)
        next_alarm = min(later, now + TICK_S) if due else later
        if next_alarm < _NEVER:
            self._set_alarm(next_alarm)
        else:
            self._alarm_at = _NEVER
            signal.setitimer(signal.ITIMER_REAL, 0)
        for run in due:
            self._expire(run)
        current = RUNNING.run
        if current is not None and not current.expired:
            return
        if _may_interrupt(frame, helpers=current is not None):
            # Where no run is, there is no tenant code that anybody waits for.
            if current is not None:
                current.rung = False
            raise RunExpired
        if current is not None:
            current.rung = True

    def _expire(self, run: RunState) -> None:
        run.expire()
        if not run.answered and not self._outbox.busy:
            run.console.close()
            self._outbox.put(Expired(run=run.number, duration_us=run.duration_us()))
            # Not before: at the recursion limit any of these calls can fail, and is made again at the next ring.
            run.answered = True
            self._outbox.flush()
        self._unwind(run)


def _may_interrupt(frame: FrameType | None, *, helpers: bool) -> bool:
    """Whether the interrupted code is a tenant's, or a library's that a tenant's called.

    Our own functions that tenants call (`print`, `log`) are let finish: half a frame must not go to the service. Those
    in which a run may spend all its time, operations on a shared cache, ask afterwards whether it has `rung`. The
    helpers of the language have no such state; they count as the tenant's while a run is executing.
    """
    while frame is not None:
        filename = frame.f_code.co_filename
        if filename.startswith(FILENAME_PREFIX):
            return True
        if filename.startswith(_OUR_FILES):
            return helpers and filename.startswith(_HELPERS)
        frame = frame.f_back
    return False
