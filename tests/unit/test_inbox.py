"""What a worker sends, taken a little at a time."""

import asyncio

import pytest

from sandbox import protocol
from service.workers import inbox as module
from service.workers.inbox import LOGS_BURST_BYTES, LOGS_BYTES_PER_S, Inbox

PATIENCE_S = 0.05


class _Transport:
    """What an inbox asks of a connection."""

    def __init__(self) -> None:
        self.resumed = asyncio.Event()

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        self.resumed.set()

    def is_closing(self) -> bool:
        return False


async def test_a_frame_is_not_held_against_a_worker_that_was_made_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FRAME_TIMEOUT_S", PATIENCE_S)
    refused: list[str] = []

    def take(_message: protocol.Upward, _size_bytes: int) -> None:
        # So much that it waits for three times as long as a frame may take.
        inbox.charge(LOGS_BURST_BYTES + int(LOGS_BYTES_PER_S * PATIENCE_S * 3))

    inbox = Inbox(max_bytes=1000, take=take, refuse=refused.append)
    transport = _Transport()
    inbox.open(transport)  # type: ignore[arg-type] # as much of a transport as is asked for
    frame = protocol.encode_frame(protocol.Ended(run=1))
    inbox.feed(frame[:3])
    inbox.feed(frame[3:] + frame[:3])
    await transport.resumed.wait()
    assert refused == []
    inbox.close()
