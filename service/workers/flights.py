"""A run as the service sees it while a worker has it."""

import asyncio

import msgspec

from service.domain.outcome import Logs, Outcome


class Call(msgspec.Struct, frozen=True):
    """One run that somebody asks for: a stored function, or a body that is run once."""

    run_id: str
    parameters_json: bytes
    """JSON object, checked."""
    timeout_ms: int
    function: str = ""
    code: str | None = None
    """Set for an inline run; `function` is then empty."""


class Flight:
    """What is known of one run that was sent to a worker and has not ended."""

    __slots__ = ("due", "entries", "entries_bytes", "is_overdue", "outcome", "started", "timeout_ms")

    def __init__(self, outcome: "asyncio.Future[Outcome]", *, timeout_ms: int, started: float, due: float) -> None:
        self.outcome = outcome
        self.timeout_ms = timeout_ms
        self.started = started
        """Loop time."""
        self.due = due
        """Loop time at which something must be done about it."""
        self.is_overdue = False
        """The caller has its answer; when the flight is due again, the worker is killed."""
        self.entries: list[bytes] = []
        self.entries_bytes = 0

    def answer(self, outcome: Outcome) -> None:
        """Give the caller its answer; the first one counts."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def logs(self) -> Logs:
        """What the run has said so far."""
        return tuple(self.entries)
