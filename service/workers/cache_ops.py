"""What one worker asks of its workspace's cache, and the answers.

A worker waits for each answer, so an operation that comes before the last answer has left is none of ours: its answers
would pile up here.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Final

from sandbox import protocol
from service.workers.caches import Entry, SharedCache
from service.workers.outbox import Outbox

PAGE_BYTES: Final = 256 * 1024
PAGE_ENTRIES: Final = 2048
"""So much of a whole cache is sent before everybody else has had a turn: a millisecond's work."""
OVERHEAD_S: Final = 10e-6
BYTES_PER_S: Final = 1e9
PAIR_S: Final = 0.2e-6
"""What it costs to wake up for an operation and to receive it, beside the time that is measured."""
UNREAD_TIMEOUT_S: Final = 5.0
"""A worker does nothing but wait for its answer. One that leaves it unread would keep what is in it here."""


class CacheOps:
    """The operations of one worker; `cache` is None in a workspace whose one worker keeps its own.

    `rest` is called with the time in seconds for which the worker should not be listened to, `refuse` with the reason
    when it is to be ended.
    """

    def __init__(
        self,
        cache: SharedCache | None,
        outbox: Outbox,
        rest: Callable[[float], None],
        refuse: Callable[[str], None],
    ) -> None:
        self._cache: Final = cache
        self._outbox = outbox
        self._rest = rest
        self._refuse = refuse
        self._loop = asyncio.get_running_loop()
        self._sent_at = 0.0
        self._patience: asyncio.TimerHandle | None = None
        self._last = 0
        self._told = 0
        """How much of what is written to the worker it must have read to have the last answer, in bytes."""
        self._pages: Iterator[protocol.CacheAnswer] | None = None
        self._is_paused = False
        self._is_due = False
        """The next page goes in the next turn of the loop."""

    @property
    def value_max_bytes(self) -> int:
        """What an operation may have in it beside its overhead."""
        return 0 if self._cache is None else self._cache.max_bytes + protocol.CACHE_PAIRS_OVERHEAD_BYTES

    def take(self, op: protocol.CacheOp, size_bytes: int) -> None:
        """Do it and answer. Raises: ProtocolError for what no worker of ours would send."""
        cache = self._cache
        if cache is None:
            raise protocol.ProtocolError("an operation on a cache that is not shared")
        if op.op <= self._last:
            raise protocol.ProtocolError("an operation with a number that was used before")
        if self._pages is not None or self._told > self._outbox.read_max_bytes():
            raise protocol.ProtocolError("an operation before the answer to the last one")
        self._last = op.op
        started_s = time.thread_time()
        if op.verb in {"keys", "items"}:
            self._pages = _pages(op.op, cache.snapshot(), has_values=op.verb == "items")
            self._send_page()
        else:
            status, parts = cache.apply(op)
            self._send(protocol.CacheAnswer(op.op, status, parts))
        spent_s = time.thread_time() - started_s + OVERHEAD_S + size_bytes / BYTES_PER_S + len(op.pairs) * PAIR_S
        rest_s = cache.charge(spent_s, time.monotonic())
        if rest_s > 0:
            self._rest(rest_s)

    def pause(self) -> None:
        """The worker does not take what was written."""
        self._is_paused = True
        if self._cache is not None and self._patience is None:
            self._patience = self._loop.call_later(UNREAD_TIMEOUT_S, self._look_again)

    def resume(self) -> None:
        """It has taken it."""
        self._is_paused = False
        self._be_patient_again()
        if not self._is_due:
            self._go_on()

    def end(self) -> None:
        """The worker is gone."""
        self._pages = None
        self._be_patient_again()

    def _be_patient_again(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _look_again(self) -> None:
        """What is unread may be something else, which a worker that computes is free to leave."""
        is_unread = self._pages is not None or self._told > self._outbox.read_max_bytes()
        left_s = UNREAD_TIMEOUT_S - (self._loop.time() - self._sent_at if is_unread else 0.0)
        self._patience = None
        if left_s <= 0:
            self._refuse("an answer that it does not read")
        else:
            self._patience = self._loop.call_later(left_s, self._look_again)

    def _go_on(self) -> None:
        self._is_due = False
        if self._cache is not None and self._pages is not None:
            started_s = time.thread_time()
            self._send_page()
            # Whatever has to be waited for is waited for before the next operation.
            self._cache.charge(time.thread_time() - started_s, time.monotonic())

    def _send_page(self) -> None:
        if self._pages is None or self._is_paused:
            return
        page = next(self._pages)
        if page.more:
            self._is_due = True
            self._loop.call_soon(self._go_on)
        else:
            self._pages = None
        self._send(page)

    def _send(self, answer: protocol.CacheAnswer) -> None:
        self._outbox.put(answer)
        # At once: the whole worker waits for it.
        self._outbox.flush()
        self._told = self._outbox.written_bytes
        self._sent_at = self._loop.time()


def _pages(op: int, entries: Iterator[Entry], *, has_values: bool) -> Iterator[protocol.CacheAnswer]:
    """The answer in parts, an empty one last."""
    parts: list[bytes] = []
    size_bytes = 0
    for count, entry in enumerate(entries, 1):
        if has_values:
            parts += entry
            size_bytes += len(entry[1])
        else:
            parts.append(entry[0])
        size_bytes += len(entry[0])
        if size_bytes >= PAGE_BYTES or count % PAGE_ENTRIES == 0:
            yield protocol.CacheAnswer(op, "done", parts, more=True)
            parts, size_bytes = [], 0
    yield protocol.CacheAnswer(op, "done", parts)
