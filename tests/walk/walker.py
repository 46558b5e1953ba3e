"""Breadth first, so that what is found is found by its shortest way."""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from tests.walk import ways
from tests.walk.goals import goal

DEPTH: Final = 3
"""So many objects of one class are looked into, the next string leads where the first ones led; and so often methods of
one name of one class are called.
"""
Walk = Callable[[Any], Iterator[ways.Step]]


class Walker:
    """Walks from objects by name. `found` is what nobody may have, by the way that led there."""

    def __init__(
        self, roots: Mapping[str, Any], *, arguments: dict[str, tuple[Any, ...]], seen: list[Any], depth: int = DEPTH
    ) -> None:
        self.found: dict[str, str] = {}
        self.visited = 0
        self._depth = depth
        self._arguments = arguments
        self._heard = seen
        """What was passed to code of the tenant's."""
        self._queue: deque[tuple[str, Any]] = deque(roots.items())
        self._seen: dict[int, Any] = {}
        """By identity, and kept, so that no other object gets the same."""
        self._instances: Counter[type] = Counter()
        self._called: Counter[tuple[str, str]] = Counter()

    def walk(self) -> None:
        """Until there is nothing new."""
        while self._queue:
            way, obj = self._queue.popleft()
            self._visit(way, obj)

    def _visit(self, way: str, obj: Any) -> None:
        what = goal(obj)
        if what is not None:
            self.found[way] = what  # every way there is told, not only the first
            return
        if id(obj) in self._seen:
            return
        self._seen[id(obj)] = obj
        if not self._is_new(obj):
            return
        self.visited += 1
        for step, value in self._steps(obj):
            if id(value) not in self._seen:
                self._queue.append((way + step, value))
            heard, self._heard[:] = list(self._heard), []
            self._queue.extend((f"{way}{step} passes", passed) for passed in heard if id(passed) not in self._seen)

    def _is_new(self, obj: Any) -> bool:
        if isinstance(obj, type):
            return True
        if callable(obj) and hasattr(obj, "__qualname__"):
            key = (str(getattr(obj, "__module__", "")), str(obj.__qualname__))
            self._called[key] += 1
            return self._called[key] <= self._depth
        self._instances[type(obj)] += 1
        return self._instances[type(obj)] <= self._depth

    def _steps(self, obj: Any) -> Iterator[ways.Step]:
        yield from ways.attributes(obj)
        yield from ways.elements(obj)
        yield from ways.calls(obj)
        yield from ways.calls_with(obj, self._arguments)
