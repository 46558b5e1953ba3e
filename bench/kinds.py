"""Runs of every kind that a soak mixes, each with the answers it may have and no other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from bench.ledger import Reply

OVERDUE: Final = "another run of this workspace passed its deadline and could not be stopped without ending the worker"
"""What a run is told whose worker was ended because of a neighbour in the same workspace."""
BIG: Final = 2_000_000
_DEADLINE_MS: Final = 100
_LATE_MS: Final = 30_000
"""By then any run has its answer, however busy the machine."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of run. `n` is different for every run; a function that is not stored is run inline."""

    name: str
    weight: int
    code: str
    is_right: Callable[[Reply, int], bool]
    timeout_ms: int = _LATE_MS
    is_inline: bool = False
    is_rough: bool = False
    """It can hold or end its worker, and is run where all others know that."""
    n: Callable[[int], object] = lambda n: n

    def document(self) -> dict[str, Any]:
        """The function as a deploy takes it."""
        return {"code": self.code, "parameters": {"n": {"type": "integer"}}, "timeout": self.timeout_ms}


def _returns(value: Callable[[int], object]) -> Callable[[Reply, int], bool]:
    return lambda reply, n: reply.status == 200 and reply.result == value(n)


def _fails(status: int, error: str, message: Callable[[int], str] = lambda _n: "") -> Callable[[Reply, int], bool]:
    return lambda reply, n: (reply.status, reply.error) == (status, error) and message(n) in reply.message


def _is_stuck(reply: Reply, _n: int) -> bool:
    """It passes its deadline, or goes down with the worker that another one like it had to end with."""
    return (reply.status, reply.error) == (504, "FunctionTimeout") or is_overdue(reply)


def is_overdue(reply: Reply) -> bool:
    """Whether the worker was ended by the service, for a deadline of another run."""
    return reply.outcome == "worker_lost" and reply.details.get("reason") == OVERDUE


def _has_own_logs(reply: Reply, n: int) -> bool:
    return reply.status == 200 and reply.messages == [f"{n} {line}" for line in range(20)]


_timed_out: Final = _fails(504, "FunctionTimeout")

KINDS: Final = (
    Kind("returns", 30, "return [n, await twice(n)]", _returns(lambda n: [n, 2 * n])),
    Kind("twice", 5, "import asyncio\nawait asyncio.sleep(0.02)\nreturn 2 * n", _returns(lambda n: 2 * n)),
    Kind("raises", 10, "raise ValueError(f'no {n}')", _fails(500, "FunctionError", lambda n: f"ValueError: no {n}")),
    Kind("prints", 10, "for line in range(20):\n    print(n, line)\nreturn n", _has_own_logs),
    Kind("awaits too long", 5, "import asyncio\nawait asyncio.sleep(30)", _timed_out, timeout_ms=_DEADLINE_MS),
    Kind("returns much", 2, f"return [n, 'x' * {BIG}]", _returns(lambda n: [n, "x" * BIG])),
    Kind("returns too much", 1, "return 'x' * 9_000_000", _fails(500, "FunctionError")),
    Kind("asks for all memory", 3, "return len(bytearray(2 ** 40))", _fails(500, "MemoryExceeded")),
    Kind("does not fit", 5, "return n", _fails(400, "RequestValidationError"), n=lambda _n: "many"),
    Kind("inline", 5, "return [n + 1, await twice(n)]", _returns(lambda n: [n + 1, 2 * n]), is_inline=True),
    Kind("inline and refused", 3, "return open('x')\nimport os", _fails(400, "CompilationError"), is_inline=True),
    Kind("spins", 3, "while True:\n    n += 1", _timed_out, timeout_ms=_DEADLINE_MS, is_rough=True),
    Kind("is stuck", 1, "return (n + 10) ** (10 ** 9)", _is_stuck, timeout_ms=_DEADLINE_MS, is_rough=True),
    Kind(
        "fills its memory",
        1,
        "kept = []\nwhile True:\n    kept.append(bytearray(2 ** 20))",
        _fails(500, "MemoryExceeded"),
        is_rough=True,
    ),
    Kind("returns beside them", 5, "return n", _returns(lambda n: n), is_rough=True),
)


def functions_of(*, is_rough: bool) -> dict[str, Any]:
    """The functions of a workspace in which such kinds are run."""
    kinds = [kind for kind in KINDS if kind.is_rough == is_rough and not kind.is_inline]
    return {function_name(kind): kind.document() for kind in kinds}


def function_name(kind: Kind) -> str:
    return kind.name.replace(" ", "_")
