"""What a worker may say. The test holds the other end of a real connection and says what hostile code could."""

import asyncio
import contextlib
import socket
import struct

import msgspec
import pytest

from sandbox import protocol
from service.domain.outcome import Returned, WorkerLost
from service.workers import flights, inbox
from service.workers.ends import MALFORMED
from service.workers.flight import Call
from service.workers.flights import LOG_SLACK_BYTES
from service.workers.inbox import A_TURN_MAX
from tests.integration.rig import FRAME_MAX_BYTES, LOGS_MAX_BYTES, RESULT_MAX_BYTES, open_rig

GRACE_S = 0.3


def _entry(message: str) -> bytes:
    return msgspec.json.encode({"time": "2025-01-01T00:00:00Z", "level": "info", "message": message})


def _frame(value: object) -> bytes:
    body = msgspec.msgpack.encode(value)
    return struct.pack("!I", len(body)) + body


MALFORMED_FRAMES = {
    "a length beyond the limit": struct.pack("!I", FRAME_MAX_BYTES + 1),
    "a length of 4 GiB": b"\xff\xff\xff\xff",
    "nothing in it": struct.pack("!I", 0),
    "no message": struct.pack("!I", 3) + b"abc",
    "an unknown kind": _frame(["surprise", 1]),
    "a message of the other direction": protocol.encode_frame(protocol.Cancel(run=1)),
    "a message of the zygote": protocol.encode_frame(protocol.ZygoteReady(pid=1, level="none", layers=[])),
    "a wrong type": _frame(["returned", "1", b"1", 1]),
    "a field too few": _frame(["returned", 1, b"1"]),
    "a field too many": _frame(["returned", 1, b"1", 1, 1]),
    "an object for an array": _frame({"kind": "returned", "run": 1, "result": b"1", "duration_us": 1}),
    "a run that never was": protocol.encode_frame(protocol.Returned(run=2, result=b"1", duration_us=1)),
    "run 0": protocol.encode_frame(protocol.Ended(run=0)),
    "a negative run": protocol.encode_frame(protocol.Ended(run=-1)),
    "a result that is no JSON": protocol.encode_frame(protocol.Returned(run=1, result=b"{", duration_us=1)),
    "a result that closes our JSON": protocol.encode_frame(
        protocol.Returned(run=1, result=b'1,"logs":[]}', duration_us=1)
    ),
    "a result that is no UTF-8": protocol.encode_frame(protocol.Returned(run=1, result=b'"\xff"', duration_us=1)),
    "an empty result": protocol.encode_frame(protocol.Returned(run=1, result=b"", duration_us=1)),
    "an entry that is no JSON": protocol.encode_frame(protocol.Log(run=1, entries=[b"x"])),
    "an entry without a message": protocol.encode_frame(protocol.Log(run=1, entries=[b'{"time":"","level":"info"}'])),
    "an entry of no level": protocol.encode_frame(
        protocol.Log(run=1, entries=[b'{"time":"","level":"shout","message":""}'])
    ),
    "no entries": protocol.encode_frame(protocol.Log(run=1, entries=[])),
    "entries of a run that never was": protocol.encode_frame(protocol.Log(run=2, entries=[_entry("x")])),
    "the end of a run that never was": protocol.encode_frame(protocol.Expired(run=2, duration_us=1)),
    "a result longer than any may be": protocol.encode_frame(
        protocol.Returned(run=1, result=b'"' + b"x" * RESULT_MAX_BYTES + b'"', duration_us=1)
    ),
    "a duration below nothing": _frame(["returned", 1, b"1", -1]),
    "a duration of ages": _frame(["returned", 1, b"1", 2**63]),
    "more logs than allowed": protocol.encode_frame(protocol.Log(run=1, entries=[_entry("x" * 800)] * 8)),
    "an answer to no load": protocol.encode_frame(protocol.Loaded(bundle=b"")),
    "a refusal of no load": protocol.encode_frame(protocol.NotLoaded(errors=[], problems=[])),
}


@pytest.mark.parametrize("data", MALFORMED_FRAMES.values(), ids=MALFORMED_FRAMES)
async def test_a_malformed_frame_ends_the_worker_and_its_runs_are_told(data: bytes) -> None:
    async with open_rig() as rig:
        running = await rig.run()
        rig.send(data)
        assert await running == WorkerLost(MALFORMED.sentence, ())
        await asyncio.to_thread(rig.process.wait, 5)
        assert rig.worker.is_ending


async def test_a_frame_that_is_begun_and_not_ended_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "FRAME_TIMEOUT_S", 0.05)
    async with open_rig() as rig:
        running = await rig.run()
        rig.send(protocol.encode_frame(protocol.Returned(run=1, result=b"[1]", duration_us=1))[:-1])
        assert await running == WorkerLost(MALFORMED.sentence, ())


def test_what_is_said_of_a_malformed_frame_is_short() -> None:
    with pytest.raises(protocol.ProtocolError) as refused:
        protocol.decode_upward(msgspec.msgpack.encode(["x" * 1_000_000, 1]))
    assert len(str(refused.value)) <= 200


@pytest.mark.parametrize("kind", ["bad-parameters", "not-compiled", "log"])
def test_lists_without_end_are_refused_before_they_are_read(kind: str) -> None:
    with pytest.raises(protocol.ProtocolError, match="length"):
        protocol.decode_upward(msgspec.msgpack.encode([kind, 1, [["", ""]] * 10_000]))


async def test_a_frame_may_come_a_byte_at_a_time() -> None:
    async with open_rig() as rig:
        running = await rig.run()
        entry = _entry("hi")
        for byte in protocol.encode_frame(protocol.Log(run=1, entries=[entry])):
            rig.send(bytes([byte]))
            await asyncio.sleep(0)
        answer = protocol.encode_frame(protocol.Returned(run=1, result=b"[1]", duration_us=1500))
        rig.send(answer[:5])
        await asyncio.sleep(0)
        rig.send(answer[5:])
        assert await running == Returned(b"[1]", (entry,), 1.5)


async def test_a_run_cannot_have_taken_longer_than_the_service_has_waited() -> None:
    async with open_rig() as rig:
        running = await rig.run()
        rig.send(protocol.encode_frame(protocol.Returned(run=1, result=b"1", duration_us=10**13)))
        outcome = await running
        assert isinstance(outcome, Returned)
        assert outcome.duration_ms < 5000


async def test_a_run_that_ends_without_an_answer_is_answered_all_the_same() -> None:
    async with open_rig() as rig:
        running = await rig.run()
        rig.send(protocol.encode_frame(protocol.Ended(run=1)))
        assert (await running).__class__.__name__ == "TimedOut"


async def test_a_second_answer_to_a_run_is_ignored() -> None:
    async with open_rig() as rig:
        running = await rig.run()
        answer = protocol.encode_frame(protocol.Returned(run=1, result=b"1", duration_us=1))
        rig.send(answer + answer.replace(b"\xc4\x011", b"\xc4\x012"))
        assert await running == Returned(b"1", (), 0.001)
        again = await rig.run()
        rig.send(protocol.encode_frame(protocol.Returned(run=2, result=b"2", duration_us=1)))
        assert await again == Returned(b"2", (), 0.001)


async def test_more_answers_to_runs_that_are_over_than_there_were_runs_end_the_worker() -> None:
    async with open_rig() as rig:
        running = await rig.run()
        answer = protocol.encode_frame(protocol.Returned(run=1, result=b"1", duration_us=1))
        rig.send(answer * 3)
        assert await running == Returned(b"1", (), 0.001)
        await asyncio.to_thread(rig.process.wait, 5)


async def test_an_answer_to_what_the_worker_has_not_read_ends_it() -> None:
    async with open_rig() as rig:
        running = asyncio.create_task(rig.outcome(Call("id", b'"' + b"x" * 4_000_000 + b'"', 5000, "f")))
        await asyncio.get_running_loop().sock_recv(rig.theirs, 1000)
        rig.send(protocol.encode_frame(protocol.Returned(run=1, result=b"1", duration_us=1)))
        assert await running == WorkerLost(MALFORMED.sentence, ())


async def test_a_worker_that_goes_on_saying_it_unwinds_is_killed_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(flights, "UNWIND_GRACE_S", GRACE_S)
    async with open_rig() as rig:
        running = await rig.run()
        expired = protocol.encode_frame(protocol.Expired(run=1, duration_us=1))
        while rig.process.poll() is None:
            with contextlib.suppress(BrokenPipeError):
                rig.send(expired)
            await asyncio.sleep(GRACE_S / 10)
        assert (await running).__class__.__name__ == "TimedOut"


async def test_a_flood_of_one_worker_is_taken_a_little_at_a_time() -> None:
    async with open_rig() as rig:
        running = await rig.run()
        entry = protocol.encode_frame(protocol.Log(run=1, entries=[_entry("")]))
        answer = protocol.encode_frame(protocol.Returned(run=1, result=b"1", duration_us=1))
        frames = (LOGS_MAX_BYTES + LOG_SLACK_BYTES) // len(_entry(""))
        assert frames > A_TURN_MAX
        rig.send(entry * frames + answer)
        assert await running == Returned(b"1", (_entry(""),) * frames, 0.001)


async def test_a_worker_that_closes_its_connection_is_killed() -> None:
    async with open_rig() as rig:
        running = await rig.run()
        rig.theirs.shutdown(socket.SHUT_RDWR)
        assert await running == WorkerLost("the worker was ended by signal 9", ())
        await asyncio.to_thread(rig.process.wait, 5)


async def test_a_worker_that_says_nothing_is_killed_after_the_deadline() -> None:
    async with open_rig() as rig:
        outcome = await rig.outcome(Call("id", b"{}", 50, "f"))
        assert outcome.__class__.__name__ == "TimedOut"
        assert rig.worker.is_stuck
        await asyncio.to_thread(rig.process.wait, 5)
