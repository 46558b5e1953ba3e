"""One fetch: what is asked on behalf of a run, what comes of it, and the memory it may take meanwhile."""

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from sandbox.protocol import FetchFailure
from service.domain.egress import Rules

Headers = list[tuple[str, str]]


class FetchRequest(msgspec.Struct, frozen=True):
    """What a run asks for. The URL is as a tenant wrote it; method and headers were checked."""

    workspace: str
    network: Rules | None
    """The workspace's own rules; None if it has none."""
    run_id: str
    method: str
    url: str
    headers: Headers
    body: bytes
    timeout_s: float
    hide: Callable[[str], str] = str
    """Masks the workspace's secrets in what is logged."""
    follows_redirects: bool = True


class Response(msgspec.Struct, frozen=True):
    """What a server answered."""

    status: int
    url: str
    headers: Headers
    body: bytes


class Failure(msgspec.Struct, frozen=True):
    """Why there is no response, for the author of the function to read."""

    kind: FetchFailure
    message: str


class Budget:
    """Bytes that the fetches of one worker may hold in the service at the same time."""

    __slots__ = ("left_bytes",)

    def __init__(self, max_bytes: int) -> None:
        self.left_bytes = max_bytes

    def take(self, count: int) -> bool:
        """Count bytes that are now held; False, and nothing counted, if they would be too many."""
        if count > self.left_bytes:
            return False
        self.left_bytes -= count
        return True

    def give_back(self, count: int) -> None:
        """These bytes are held no longer."""
        self.left_bytes += count


class Allowance(msgspec.Struct):
    """What one fetch has taken of its worker's budget."""

    budget: Budget
    taken_bytes: int = 0

    def take(self, count: int) -> bool:
        """As the budget's."""
        if not self.budget.take(count):
            return False
        self.taken_bytes += count
        return True

    def give_back(self) -> None:
        """All of it. May be called again."""
        taken, self.taken_bytes = self.taken_bytes, 0
        self.budget.give_back(taken)


Fetcher = Callable[[FetchRequest, Allowance], Coroutine[Any, Any, Response | Failure]]
"""Fetches for the workers. The response's body is in the allowance until whoever called gives that back."""
