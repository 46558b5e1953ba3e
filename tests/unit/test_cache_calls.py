"""The worker's side of an operation on a shared cache, over a real connection: nothing is lost by what comes in."""

import asyncio
import gc
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sandbox import incoming as incoming_module
from sandbox import protocol
from sandbox.expired import RunExpired
from sandbox.protocol import CacheAnswer, CacheOp, Cancel, Ended, Run, encode_frame
from sandbox.runs import RUNNING
from sandbox.scope import OutsideRun
from tests.unit.cache_rig import Rig
from tests.unit.test_runs import make_run


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    RUNNING.run = make_run()
    yield rig
    RUNNING.run = None
    rig.close()


def _done(op: int, *parts: bytes, more: bool = False) -> CacheAnswer:
    return CacheAnswer(op, "done", list(parts), more)


RUN = Run(1, "id", "f", b"{}", 1000)
CANCEL = Cancel(1)


def test_what_was_said_before_is_sent_before(rig: Rig) -> None:
    rig.outbox.put(Ended(1))
    rig.outbox.put(Ended(2))
    rig.send(_done(1, b"7"))
    assert rig.calls.ask("get", b"sa") == [b"7"]
    assert rig.said() == [Ended(1), Ended(2), CacheOp(1, "get", b"sa")]


def test_what_arrives_meanwhile_is_kept_in_order_and_taken_by_the_loop(rig: Rig) -> None:
    rig.send(RUN, CANCEL, _done(1, b"1"), RUN)
    assert rig.calls.ask("get", b"sa") == [b"1"]
    rig.send(_done(2, b"2"), CANCEL)
    assert rig.calls.ask("get", b"sa") == [b"2"]
    assert rig.taken == []
    rig.turn()
    assert rig.taken == [RUN, CANCEL, RUN, CANCEL]
    rig.send(CacheAnswer(3, "missing"))
    assert rig.calls.ask("get", b"sa") is None
    rig.turn()
    assert len(rig.taken) == 4


def test_the_loop_may_find_that_an_operation_has_read_everything(rig: Rig) -> None:
    """What it has seen to be there is gone when it comes to read it."""
    rig.send(_done(1, b"1"), RUN)
    rig.calls.ask("get", b"sa")
    rig.incoming.read()
    assert list(rig.incoming.arrived) == [RUN]


def test_an_answer_in_parts_is_one_answer(rig: Rig) -> None:
    rig.send(_done(1, b"a", b"b", more=True), RUN, _done(1, b"c", more=True), _done(1), CANCEL)
    assert rig.calls.ask("items") == [b"a", b"b", b"c"]
    rig.turn()
    assert rig.taken == [RUN, CANCEL]


def test_answers_come_back_as_errors_of_python(rig: Rig) -> None:
    for number, (status, kind) in enumerate(
        [("full", RuntimeError), ("no-number", TypeError), ("too-large", OverflowError)], 1
    ):
        rig.send(CacheAnswer(number, status, [b"why"]))  # type: ignore[arg-type]  # a table of statuses
        with pytest.raises(kind, match="why"):
            rig.calls.ask("set", b"sa")


class _Failing:
    """A method that has no memory for its first calls."""

    def __init__(self, native: Callable[..., Any], times: int = 1) -> None:
        self._native = native
        self._left = times

    def __call__(self, *args: Any) -> Any:
        if self._left:
            self._left -= 1
            raise MemoryError
        return self._native(*args)


def test_without_memory_for_the_question_nothing_was_asked(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(rig.outbox, "put_frame", _Failing(rig.outbox.put_frame))
        with pytest.raises(MemoryError):
            rig.calls.ask("get", b"sa")
    rig.send(_done(2, b"2"))
    assert rig.calls.ask("get", b"sb") == [b"2"]
    assert rig.said() == [CacheOp(2, "get", b"sb")]


@pytest.mark.parametrize("what", ["outbox.flush_waiting", "incoming.wait"])
def test_without_memory_half_way_the_answer_is_let_come_first_and_dropped(
    what: str, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = getattr(rig, what.partition(".")[0])
    with monkeypatch.context() as patch:
        patch.setattr(owner, what.partition(".")[2], _Failing(getattr(owner, what.partition(".")[2])))
        with pytest.raises(MemoryError):
            rig.calls.ask("get", b"sa")
    rig.answers[2] = _done(2, b"2")
    rig.send(_done(1, b"stale", more=True), _done(1, b"stale"))
    assert rig.calls.ask("get", b"sb") == [b"2"]
    assert rig.said() == [CacheOp(1, "get", b"sa"), CacheOp(2, "get", b"sb")]


def test_an_answer_that_nobody_waits_for_any_more_is_dropped_by_the_loop(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(rig.incoming, "wait", _Failing(rig.incoming.wait))
        with pytest.raises(MemoryError):
            rig.calls.ask("get", b"sa")
    rig.send(_done(1, b"stale"), RUN)
    rig.incoming.read()
    assert list(rig.incoming.arrived) == [RUN]
    rig.send(_done(2, b"2"))
    assert rig.calls.ask("get", b"sb") == [b"2"]


def test_a_frame_for_which_there_is_no_memory_is_left_unread(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = encode_frame(_done(1, b"x" * 20_000))
    rig.theirs.sendall(frame[:100])
    tried: list[int] = []

    def no_memory(size: int) -> bytes:
        tried.append(size)
        if size > 65_536:
            raise MemoryError
        return bytes(size)

    monkeypatch.setattr(incoming_module, "bytes", no_memory, raising=False)
    with pytest.raises(MemoryError):
        rig.calls.ask("get", b"sa")
    assert max(tried) > len(frame)
    monkeypatch.undo()
    rig.answers[2] = _done(2, b"2")
    rig.theirs.sendall(frame[100:])
    assert rig.calls.ask("get", b"sb") == [b"2"]


@pytest.mark.parametrize("answer", [_done(2), _done(0), b"\x00\x00\x00\x01x"], ids=["another", "none", "no message"])
def test_what_is_no_answer_to_this_is_the_end_of_the_worker(
    answer: CacheAnswer | bytes, rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "_exit", _exits)
    rig.theirs.sendall(answer if isinstance(answer, bytes) else encode_frame(answer))
    with pytest.raises(SystemExit) as exited:
        rig.calls.ask("get", b"sa")
    assert exited.value.code == 1


@pytest.mark.parametrize("sent", [False, True])
def test_the_end_of_the_service_is_the_end_of_the_worker(sent: bool, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "_exit", _exits)
    if sent:
        rig.theirs.shutdown(socket.SHUT_WR)
    else:
        rig.theirs.close()
    with pytest.raises(SystemExit) as exited:
        rig.calls.ask("get", b"sa")
    assert exited.value.code == 0


def _exits(status: int) -> None:
    raise SystemExit(status)


def test_a_question_larger_than_the_socket_takes_goes_in_pieces(rig: Rig) -> None:
    """And what was left over from before goes first."""
    value = b"x" * 2_000_000
    rig.outbox.put(Ended(1))
    rig.outbox.put(protocol.Log(1, [value]))
    rig.outbox.flush()
    assert rig.outbox._unsent
    rig.send(_done(1))
    read: list[bytes] = []

    async def service() -> list[Any]:
        reader = protocol.FrameReader(max_bytes=2**24)
        found: list[Any] = []
        while len(found) < 3:
            data = await asyncio.get_running_loop().sock_recv(rig.theirs, 2**20)
            read.append(data)
            found += map(protocol.decode_upward, reader.feed(data))
        return found

    async def both() -> list[Any]:
        rig.theirs.setblocking(False)
        asked = asyncio.get_running_loop().run_in_executor(None, rig.calls.ask, "set", b"sa", b"", value)
        found = await service()
        assert await asked == []
        return found

    assert asyncio.run(both()) == [Ended(1), protocol.Log(1, [value]), CacheOp(1, "set", b"sa", b"", value)]
    assert len(read) > 3
    rig.turn()


def test_the_alarm_that_rang_meanwhile_is_obeyed_afterwards(rig: Rig) -> None:
    run = RUNNING.run
    assert run is not None
    run.rung = True
    rig.answers |= {1: _done(1, b"1"), 2: _done(2, b"2")}
    with pytest.raises(RunExpired):
        rig.calls.ask("get", b"sa")
    assert rig.calls.ask("get", b"sa") == [b"2"]


def test_where_no_run_is_nothing_is_asked(rig: Rig) -> None:
    RUNNING.run = None
    with pytest.raises(OutsideRun):
        rig.calls.ask("get", b"sa")
    RUNNING.run = make_run()
    rig.outbox.busy = True
    with pytest.raises(OutsideRun):
        rig.calls.ask("get", b"sa")
    assert rig.said() == []


def test_nothing_is_collected_while_an_answer_is_waited_for(rig: Rig) -> None:
    """The collector could close a generator of a tenant's, which asks something of its own."""
    seen: list[bool] = []

    def note(_phase: str, _info: object) -> None:
        seen.append(rig.calls._is_busy)

    before = gc.get_threshold()
    gc.callbacks.append(note)
    gc.set_threshold(1)
    try:
        for number in range(1, 20):
            rig.send(_done(number, b"1", b"2"), RUN)
            rig.calls.ask("get", b"sa", pairs=[(b"a", b"b", b"c")])
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(note)
    assert seen
    assert True not in seen


def test_what_is_said_while_something_is_sent_goes_with_it(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector may close a generator in the middle, which prints."""
    native = rig.outbox._send
    left = [Ended(2)]

    def send() -> bool:
        if left:
            rig.outbox.put(left.pop())
            rig.outbox.flush()
            assert rig.outbox.busy
        return native()

    monkeypatch.setattr(rig.outbox, "_send", send)
    rig.outbox.put(Ended(1))
    rig.outbox.flush()
    assert rig.said() == [Ended(1), Ended(2)]
