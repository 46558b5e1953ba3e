"""What differs between two texts, in the form of `diff -u`, in a time that whoever wrote them cannot stretch.

Myers, "An O(ND) difference algorithm and its variations" (1986), with a bound on its steps: `difflib` takes seconds for
some texts of a thousand lines.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

CONTEXT_LINES: Final = 3
STEPS_MAX: Final = 250_000
"""A tenth of a second, some twenty megabytes. Where it takes more, what differs is shown as replaced as a whole."""


class Change(NamedTuple):
    """Lines of the old text that became lines of the new one; each a half-open range, counted from 0."""

    old_start: int
    old_end: int
    new_start: int
    new_end: int


def unified(old: Sequence[str], new: Sequence[str], old_name: str, new_name: str) -> str:
    """Lines without their ends; empty if they are the same."""
    changes = list(_changes(old, new))
    if not changes:
        return ""
    lines = [f"--- {old_name}", f"+++ {new_name}"]
    group = [changes[0]]
    for change in changes[1:]:
        if change.old_start - group[-1].old_end > 2 * CONTEXT_LINES:
            lines += _hunk(old, new, group)
            group = []
        group.append(change)
    lines += _hunk(old, new, group)
    return "".join(f"{line}\n" for line in lines)


def _hunk(old: Sequence[str], new: Sequence[str], changes: list[Change]) -> Iterator[str]:
    before = min(CONTEXT_LINES, changes[0].old_start)
    after = min(CONTEXT_LINES, len(old) - changes[-1].old_end)
    old_start, old_end = changes[0].old_start - before, changes[-1].old_end + after
    new_start, new_end = changes[0].new_start - before, changes[-1].new_end + after
    yield f"@@ -{_span(old_start, old_end)} +{_span(new_start, new_end)} @@"
    at = old_start
    for change in changes:
        yield from (f" {line}" for line in old[at : change.old_start])
        yield from (f"-{line}" for line in old[change.old_start : change.old_end])
        yield from (f"+{line}" for line in new[change.new_start : change.new_end])
        at = change.old_end
    yield from (f" {line}" for line in old[at:old_end])


def _span(start: int, end: int) -> str:
    """An empty range is said to be after the line before it."""
    return f"{start + (end > start)},{end - start}"


def _changes(old: Sequence[str], new: Sequence[str]) -> Iterator[Change]:
    first = 0
    shorter = min(len(old), len(new))
    while first < shorter and old[first] == new[first]:
        first += 1
    last = 0
    while last < shorter - first and old[-1 - last] == new[-1 - last]:
        last += 1
    old_end, new_end = len(old) - last, len(new) - last
    if first == old_end and first == new_end:
        return
    numbers: dict[str, int] = {}
    left = [numbers.setdefault(line, len(numbers)) for line in old[first:old_end]]
    right = [numbers.setdefault(line, len(numbers)) for line in new[first:new_end]]
    start = (0, 0)
    for x, y in [*_common(left, right), (len(left), len(right))]:
        if (x, y) != start:
            yield Change(first + start[0], first + x, first + start[1], first + y)
        start = (x + 1, y + 1)


def _common(left: list[int], right: list[int]) -> list[tuple[int, int]]:
    """The pairs of lines that stay, in order; none where that takes too long to find out."""
    trace: list[dict[int, int]] = []
    furthest = {1: 0}
    steps = 0
    for edits in range(len(left) + len(right) + 1):
        trace.append(dict(furthest))
        steps += edits  # the copy
        for diagonal in range(-edits, edits + 1, 2):
            x = _entered(furthest, diagonal, edits)
            start = x
            while x < len(left) and 0 <= x - diagonal < len(right) and left[x] == right[x - diagonal]:
                x += 1
            furthest[diagonal] = x
            steps += 1 + x - start
            if x >= len(left) and x - diagonal >= len(right):
                return _path(trace, len(left), len(right))
        if steps > STEPS_MAX:
            break
    return []


def _entered(furthest: dict[int, int], diagonal: int, edits: int) -> int:
    """Where a diagonal is entered: from the one above by an insertion, or from the one below by a deletion."""
    if diagonal == -edits or (diagonal != edits and furthest[diagonal - 1] < furthest[diagonal + 1]):
        return furthest[diagonal + 1]
    return furthest[diagonal - 1] + 1


def _path(trace: list[dict[int, int]], x: int, y: int) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    for edits in range(len(trace) - 1, -1, -1):
        furthest, diagonal = trace[edits], x - y
        entered = _entered(furthest, diagonal, edits)
        while x > entered:
            x, y = x - 1, y - 1
            pairs.append((x, y))
        is_insertion = diagonal == -edits or (diagonal != edits and furthest[diagonal - 1] < furthest[diagonal + 1])
        x, y = (x, y - 1) if is_insertion else (x - 1, y)
    return pairs[::-1]
