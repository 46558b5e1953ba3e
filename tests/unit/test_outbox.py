"""What is put for a worker that has just ended."""

import asyncio
import socket
from typing import Any

import uvloop

from sandbox import protocol
from service.workers.outbox import Outbox


def test_what_is_put_when_the_connection_has_just_ended_is_no_failure() -> None:
    failures: list[dict[str, Any]] = []

    async def put_too_late() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: failures.append(context))
        ours, theirs = socket.socketpair()
        with theirs:
            ours.setblocking(False)
            transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
            outbox = Outbox()
            outbox.open(transport)
            transport.abort()
            for _ in range(3):
                outbox.put(protocol.Cancel(run=1))
                await asyncio.sleep(0)

    uvloop.run(put_too_late())
    assert failures == []
