"""What a worker sends, cut into messages: a little at a time, and no frame for ever."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from sandbox import protocol

A_TURN_MAX: Final = 64
A_TURN_MAX_BYTES: Final = 32 * 1024
"""So many frames of one worker, or so much in them, are taken before everybody else has had a turn."""
LOGS_BYTES_PER_S: Final = 4 * 2**20
LOGS_BURST_BYTES: Final = 2 * 2**20
"""Log entries cost the service more than anything else a worker can send; faster than this they wait, and with them
whatever else the worker has to say.
"""
REST_MAX_S: Final = 1.0
REST_EXCUSE_S: Final = 2.0
"""Rests are no excuse for longer than this: a worker can bring them about for as long as it likes."""
THROTTLED_GRACE_S: Final = 0.2
"""So long after it was made to wait a worker may take to send what it had kept back."""
FRAME_TIMEOUT_S: Final = 5.0


class Inbox:
    """Gives each message, with its size in bytes, to `take`. What is malformed, or begun and not ended within
    `FRAME_TIMEOUT_S`, is told to `refuse` once, and nothing is taken after it. `take` may raise ProtocolError.
    """

    def __init__(
        self, *, max_bytes: int, take: Callable[[protocol.Upward, int], None], refuse: Callable[[str], None]
    ) -> None:
        self._frames = protocol.FrameReader(max_bytes=max_bytes)
        self._take = take
        self._refuse = refuse
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._is_closed = False
        self._throttled_until = self._rested_until = self._loop.time()
        self._allowance_bytes = float(LOGS_BURST_BYTES)
        self._allowed_at = self._loop.time()
        self._rest_s = 0.0

    def open(self, transport: asyncio.Transport) -> None:
        """Read from here."""
        self._transport = transport

    def limit(self, max_bytes: int) -> None:
        """From now on no frame is longer."""
        self._frames.max_bytes = max_bytes

    def charge(self, logs_bytes: int) -> None:
        """What was taken just now had so much of log entries in it."""
        now = self._loop.time()
        allowed = self._allowance_bytes + (now - self._allowed_at) * LOGS_BYTES_PER_S
        self._allowance_bytes = min(LOGS_BURST_BYTES, allowed) - logs_bytes
        self._allowed_at = now

    def rest(self, rest_s: float) -> None:
        """After what was taken just now, take nothing for so long."""
        self._rest_s = max(self._rest_s, min(rest_s, REST_MAX_S))

    def is_throttled(self, since: float) -> bool:
        """Whether the worker may have said something that is left unread for a while, because of what it said; it
        should have said it at the loop time `since`.
        """
        rested_until = min(self._rested_until + THROTTLED_GRACE_S, since + REST_EXCUSE_S)
        return self._loop.time() < max(self._throttled_until + THROTTLED_GRACE_S, rested_until)

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        if self._patience is None and (body := self._frames.only(data)) is not None and self._allowance_bytes >= 0:
            self._take_one(body)
            if self._rest_s:
                self._pause(iter(()))
        else:
            self._take_some(self._frames.feed(data))

    def close(self) -> None:
        """Take nothing any more."""
        self._is_closed = True
        self._take, self._refuse = _nothing, _nothing
        self._be_patient_again()

    def _take_one(self, body: bytes) -> None:
        """What `_take_some` does where there is one message, as nearly always: 1 µs less for each run."""
        if not self._is_closed:
            try:
                self._take(protocol.decode_upward(body), len(body))
            except protocol.ProtocolError as error:
                self._refuse(str(error))

    def _take_some(self, bodies: Iterator[bytes], *, is_paused: bool = False) -> None:
        """Take what is there, but no more than `A_TURN_MAX` at once: a flood must not hold up the other workers."""
        if self._is_closed:
            return
        taken = taken_bytes = 0
        try:
            for taken, body in enumerate(bodies, 1):
                self._take(protocol.decode_upward(body), len(body))
                taken_bytes += len(body)
                is_much = taken == A_TURN_MAX or taken_bytes > A_TURN_MAX_BYTES
                if (is_much or self._allowance_bytes < 0 or self._rest_s) and self._pause(bodies):
                    return
        except protocol.ProtocolError as error:
            self._refuse(str(error))
            return
        if self._frames.is_partial or self._patience is not None:
            self._watch(has_progress=taken > 0)
        if is_paused and self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _pause(self, bodies: Iterator[bytes]) -> bool:
        """Come back to these later; False if there is nothing to read from any more."""
        if self._transport is None or self._is_closed:
            return False
        self._transport.pause_reading()
        # A frame that has begun cannot go on meanwhile, and that is not the worker's doing.
        self._be_patient_again()
        now = self._loop.time()
        rest_s, self._rest_s = self._rest_s, 0.0
        throttled_s = -self._allowance_bytes / LOGS_BYTES_PER_S
        if rest_s > 0:
            self._rested_until = now + rest_s
        if throttled_s > 0:
            self._throttled_until = now + throttled_s
        self._loop.call_later(max(rest_s, throttled_s, 0.0), partial(self._take_some, bodies, is_paused=True))
        return True

    def _watch(self, *, has_progress: bool) -> None:
        """A frame that has begun is kept here until it ends."""
        if has_progress or not self._frames.is_partial:
            self._be_patient_again()
        if self._patience is None and self._frames.is_partial and not self._is_closed:
            self._patience = self._loop.call_later(FRAME_TIMEOUT_S, self._refuse, "a frame that does not end")

    def _be_patient_again(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


def _nothing(*_: object) -> None:
    """For who has nobody to tell any more."""
