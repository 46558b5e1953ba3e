"""What a worker must not have said: the secrets it was given when it started, and those of its workspace now."""

from collections.abc import Callable, Hashable
from typing import Final, Protocol

import msgspec

from service.domain.masking import Mask
from service.domain.outcome import CodeRefused, Outcome, ParametersRefused, Raised
from service.errors import CodeError, Problem

BYTES_OF_EFFORT: Final = 16
"""So many bytes of log entries cost the service as much as a unit of masking."""


class Sealed(Protocol):
    """The secrets of a workspace, until a worker is given them."""

    async def open(self) -> tuple[dict[str, str], Mask]:
        """The values by name, and what hides them. Raises: SkepError."""

    def version_of(self, definition: Hashable) -> Hashable:
        """What tells this definition with these secrets from others."""


class Masks:
    """Of one worker. `now` is what is secret at the moment, None for nothing."""

    __slots__ = ("_began", "_mask", "_now", "_seen")

    def __init__(self, began: Mask | None = None, now: Callable[[], Mask | None] = lambda: None) -> None:
        self._began = self._mask = began
        self._now = now
        self._seen = began

    @property
    def current(self) -> Mask | None:
        """Both together; None where there is nothing to hide."""
        now = self._now()
        if now is not self._seen:
            self._seen = now
            self._mask = self._began if now is None else now if self._began is None else self._began | now
        return self._mask

    def entries(self, entries: list[bytes]) -> tuple[list[bytes], int]:
        """Log entries that were checked, and for how many bytes more they count."""
        mask = self.current
        if not mask:
            return entries, 0
        masked, effort = mask.entries(entries)
        return masked, sum(map(len, entries)) + effort * BYTES_OF_EFFORT

    def text(self, text: str) -> str:
        """Of the service's own log."""
        mask = self.current
        return mask.text(text) if mask else text

    def outcome(self, outcome: Outcome) -> Outcome:
        """What callers and the history are told of a run. A result is what its function wants to give away."""
        mask = self.current
        if not mask:
            return outcome
        match outcome:
            case Raised():
                return msgspec.structs.replace(
                    outcome,
                    type=mask.text(outcome.type),
                    message=mask.text(outcome.message),
                    function=mask.text(outcome.function),
                    traceback=mask.text(outcome.traceback),
                )
            case ParametersRefused(problems=problems):
                return ParametersRefused(tuple(_problem(problem, mask) for problem in problems))
            case CodeRefused(errors=errors):
                return CodeRefused([_code_error(error, mask) for error in errors])
            case _:
                return outcome


def _problem(problem: Problem, mask: Mask) -> Problem:
    return Problem(mask.text(problem.path), mask.text(problem.message))


def _code_error(error: CodeError, mask: Mask) -> CodeError:
    return CodeError(
        mask.text(error.function), error.line, error.column, mask.text(error.message), mask.text(error.source)
    )
