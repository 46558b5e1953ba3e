"""Operations on a shared cache: one question and one answer at a time, and the worker does nothing else meanwhile.

Tenant code runs neither here nor in what is called from here: the collector, which could close a tenant's generator, is
off. Where an allocation fails, everything is as before or the answer is still to come; then the next operation lets it
come first, because the service ends a worker that asks again before.
"""

import gc
from typing import Final

from sandbox.cache import CacheFull
from sandbox.expired import RunExpired
from sandbox.incoming import Incoming
from sandbox.outbox import Outbox
from sandbox.protocol import CacheAnswer, CacheOp, CacheVerb, encode_frame
from sandbox.runs import RUNNING
from sandbox.scope import OutsideRun

_REFUSALS: Final[dict[str, type[Exception]]] = {
    "full": CacheFull,
    "no-number": TypeError,
    "too-large": OverflowError,
}


class CacheCalls:
    """The operations of one worker."""

    def __init__(self, incoming: Incoming, outbox: Outbox) -> None:
        self.max_bytes = 0
        self._incoming = incoming
        self._outbox = outbox
        self._number = 0
        self._is_busy = False

    def ask(
        self, verb: CacheVerb, key: bytes = b"", shown: bytes = b"", value: bytes = b"",
        pairs: list[tuple[bytes, bytes, bytes]] | None = None,
    ) -> list[bytes] | None:  # fmt: skip
        """What the cache answers, None if what was asked for is not there.

        Raises: CacheFull; TypeError, OverflowError for what cannot be incremented; OutsideRun where no run is, or where
        the collector closes something in the middle of the worker's own work; RunExpired if the alarm rang meanwhile.
        """
        run = RUNNING.run
        if run is None or self._is_busy or self._outbox.busy:
            raise OutsideRun("a shared cache can be used in a run only")
        collecting = gc.isenabled()
        gc.disable()
        self._is_busy = True
        try:
            answer = self._exchange(verb, key, shown, value, pairs or [])
        finally:
            self._is_busy = False
            if collecting:
                gc.enable()
        # The alarm does not interrupt us. A loop that does nothing else would hardly ever be met outside.
        if run.rung:
            run.rung = False
            raise RunExpired
        if answer.status == "done":
            return answer.parts
        if answer.status == "missing":
            return None
        raise _REFUSALS[answer.status](b" ".join(answer.parts).decode())

    def _exchange(
        self, verb: CacheVerb, key: bytes, shown: bytes, value: bytes, pairs: list[tuple[bytes, bytes, bytes]]
    ) -> CacheAnswer:
        incoming, outbox = self._incoming, self._outbox
        while incoming.is_expecting():
            outbox.flush_waiting()
            incoming.wait()
        number = self._number + 1
        frame = encode_frame(CacheOp(number, verb, key, shown, value, pairs))
        self._number = number
        incoming.expect(number)
        try:
            outbox.put_frame(frame)
        except BaseException:
            incoming.cancel()
            raise
        try:
            outbox.flush_waiting()
            while incoming.is_expecting():
                incoming.wait()
        except BaseException:
            incoming.forget()
            raise
        return incoming.take_answer()
