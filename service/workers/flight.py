"""One run on its way: what is asked for, and what is known of it while a worker has it."""

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from service.domain.outcome import Logs, Outcome

LONG_US: Final = 1_000_000
"""What a worker says of times below this is not held against the clock: the loop's is no finer than a millisecond."""


class Call(msgspec.Struct, frozen=True):
    """One run that somebody asks for: a stored function, or a body that is run once."""

    run_id: str
    parameters_json: bytes
    """JSON object, checked."""
    timeout_ms: int
    function: str = ""
    code: str | None = None
    """Set for an inline run; `function` is then empty."""
    key: str = ""
    """The name of the key that it was asked for with."""
    revision: int | None = None
    """The number of what it runs, if it is known; only for whoever writes that down."""

    @property
    def size_bytes(self) -> int:
        """What it takes to keep it."""
        return len(self.parameters_json) + (0 if self.code is None else len(self.code))


class Flight:
    """What is known of one run that was sent to a worker and has not ended."""

    __slots__ = (
        "_cancel", "code", "due", "entries", "entries_bytes", "function", "is_overdue", "listeners", "number",
        "outcome", "overdue_since", "run_id", "started", "timeout_ms", "told", "unwinds", "waited_s",
    )  # fmt: skip
    waited_s: float
    """By the worker for a processor, when that was last asked; set once it is overdue."""

    def __init__(  # noqa: PLR0913  # which, what, and when
        self, outcome: "asyncio.Future[Outcome]", *, number: int, call: Call, started: float, due: float,
        cancel: "Callable[[Flight], None]",
    ) -> None:  # fmt: skip
        self.outcome = outcome
        self._cancel = cancel
        self.number = number
        self.run_id = call.run_id
        self.function = call.function
        self.code = call.code
        """The call itself is not kept: its parameters may be long, and a run may be left without a caller."""
        self.timeout_ms = call.timeout_ms
        self.started = started
        """Loop time."""
        self.due = due
        """Loop time at which something must be done about it."""
        self.is_overdue = False
        """The caller has its answer; when the flight is due again, the worker is killed."""
        self.overdue_since = 0.0
        """Loop time."""
        self.unwinds = False
        """The worker has said `Expired`."""
        self.told = 0
        """How much of what is written to the worker it must have read to know of this run, in bytes."""
        self.entries: list[bytes] = []
        self.entries_bytes = 0
        self.listeners: tuple[Callable[[], None], ...] = ()
        """Called when it has said something."""

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        self._cancel(self)

    def answer(self, outcome: Outcome) -> None:
        """Give the caller its answer; the first one counts."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def duration_ms(self, said_us: int) -> float:
        """What the worker says of the time it took, if that can be."""
        if said_us < LONG_US:
            return said_us / 1000
        return min(said_us / 1000, round((asyncio.get_running_loop().time() - self.started) * 1000, 3))

    def elapsed_ms(self) -> float:
        """Since it was sent."""
        return round((asyncio.get_running_loop().time() - self.started) * 1000, 3)

    def logs(self) -> Logs:
        """What the run has said so far."""
        return tuple(self.entries)
