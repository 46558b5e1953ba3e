"""What callers were answered: every answer counted, and each that may not be is kept."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

SHOWN_MAX: Final = 5
"""So many of each sort of violation are printed; all are counted."""
SHOWN_CHARACTERS: Final = 600

_OUTCOMES: Final = {
    (200, ""): "returned",
    (400, "CompilationError"): "code_refused",
    (400, "RequestValidationError"): "parameters_refused",
    (429, "TooManyRequests"): "queue_full",
    (500, "FunctionError"): "raised",
    (500, "MemoryExceeded"): "memory_exceeded",
    (502, "WorkerLost"): "worker_lost",
    (503, "QueueTimeout"): "queue_timeout",
    (503, "ServiceUnavailable"): "unavailable",
    (504, "FunctionTimeout"): "timed_out",
}
"""What the service's own count calls the outcome of a run that was answered like this. Any other answer is none."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer, with the times at which its request was sent and it was read, by the clock of the event loop."""

    status: int
    body: Any
    sent: float
    answered: float

    @property
    def error(self) -> str:
        """The code of the envelope, empty for a success."""
        return str(self.body.get("error", "")) if self.status >= 400 and isinstance(self.body, dict) else ""

    @property
    def outcome(self) -> str | None:
        """As the service counts it, if it was the answer to a run."""
        return _OUTCOMES.get((self.status, self.error))

    @property
    def result(self) -> Any:
        """What the run returned; None if it did not."""
        return self.body.get("result") if self.status == 200 and isinstance(self.body, dict) else None

    @property
    def message(self) -> str:
        return str(self.body.get("message", "")) if isinstance(self.body, dict) else ""

    @property
    def details(self) -> dict[str, Any]:
        found = self.body.get("details") if isinstance(self.body, dict) else None
        return found if isinstance(found, dict) else {}

    @property
    def messages(self) -> list[str]:
        """Of the run's logs."""
        logs = self.body.get("logs") if isinstance(self.body, dict) else None
        return [str(entry.get("message")) for entry in logs or ()]

    def __str__(self) -> str:
        told = shortened(self.body)
        return f"{self.status} after {(self.answered - self.sent) * 1000:.0f} ms: {told}"


@dataclass(slots=True)
class Ledger:
    """Everything that was asked and answered, and what may not have been."""

    sent: int = 0
    answered: int = 0
    left: int = 0
    """Requests whose caller left while their run was under way."""
    statuses: Counter[int] = field(default_factory=Counter)
    """Answers, whatever was asked."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Runs that reached a workspace."""
    seen: Counter[str] = field(default_factory=Counter)
    """By kind of request and what came of it."""
    violations: Counter[str] = field(default_factory=Counter)
    """By sort."""
    details: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What was not checked, and figures that are no violation."""

    def violate(self, sort: str, detail: object) -> None:
        """Something happened that may not."""
        self.violations[sort] += 1
        if self.violations[sort] <= SHOWN_MAX:
            self.details.append(f"{sort}: {detail}")

    def report(self) -> None:
        """Print everything."""
        for name, count in sorted(self.seen.items()):
            print(f"{count:>9}  {name}")
        print(f"{self.sent:>9}  requests, {self.answered} answered, {self.left} given up by their callers on purpose")
        for note in self.notes:
            print(f"           {note}")
        for detail in self.details:
            print(detail)
        for sort, count in sorted(self.violations.items()):
            print(f"{count:>9}  VIOLATION  {sort}")
        if not self.violations:
            print(f"{0:>9}  violations")


def shortened(value: object) -> str:
    """For people to read."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}… ({len(text)} characters)"
