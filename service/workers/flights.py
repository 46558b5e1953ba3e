"""A run as the service sees it while a worker has it."""

import asyncio
from dataclasses import dataclass, field

from service.domain.outcome import Logs, Outcome


@dataclass(frozen=True, slots=True)
class Call:
    """One run that somebody asks for: a stored function, or a body that is run once."""

    run_id: str
    parameters_json: bytes
    """JSON object, checked."""
    timeout_ms: int
    function: str = ""
    code: str | None = None
    """Set for an inline run; `function` is then empty."""


@dataclass(slots=True)
class Flight:
    """What is known of one run that was sent to a worker and has not ended."""

    outcome: "asyncio.Future[Outcome]"
    timeout_ms: int
    started: float
    """Loop time."""
    timer: asyncio.TimerHandle | None = None
    entries: list[bytes] = field(default_factory=list)
    entries_bytes: int = 0

    def answer(self, outcome: Outcome) -> None:
        """Give the caller its answer; the first one counts."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def logs(self) -> Logs:
        """What the run has said so far."""
        return tuple(self.entries)

    def set_timer(self, timer: asyncio.TimerHandle | None) -> None:
        """Replace the one timer a flight has."""
        if self.timer is not None:
            self.timer.cancel()
        self.timer = timer
