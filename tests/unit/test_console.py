"""What a run prints and logs, entry by entry."""

import json
import time
from collections.abc import Callable
from typing import Any, cast

import pytest

from sandbox.console import Console
from sandbox.outbox import Outbox
from sandbox.protocol import Log, Message, check_log_entry


class Kept:
    """An outbox that keeps what is put into it."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def put(self, message: Message) -> None:
        self.messages.append(message)

    def flush(self) -> None:
        pass

    def later(self, delay_s: float, call: Callable[[], None]) -> None:
        pass

    @property
    def raw(self) -> list[bytes]:
        return [entry for message in self.messages if isinstance(message, Log) for entry in message.entries]

    @property
    def entries(self) -> list[dict[str, Any]]:
        for entry in self.raw:
            check_log_entry(entry)
        return [json.loads(entry) for entry in self.raw]

    @property
    def texts(self) -> list[str]:
        return [entry["message"] for entry in self.entries]


def made(max_bytes: int = 100_000) -> tuple[Console, Kept]:
    kept = Kept()
    return Console(1, outbox=cast(Outbox, kept), max_bytes=max_bytes), kept


class Lonely(str):  # noqa: SLOT000 - as tenants write them
    """Equal to nothing but itself."""

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return self is other

    def __format__(self, specification: str) -> str:
        return "time"


@pytest.mark.parametrize("name", ["time", "level", "message"])
def test_a_field_never_takes_the_place_of_the_entrys_own(name: str) -> None:
    console, kept = made()
    console.write("info", "x", {Lonely(name): 5, name: 6})
    (entry,) = kept.entries
    assert (entry["level"], entry["message"], entry[f"{name}_"]) == ("info", "x", 6)
    assert kept.raw[0].count(f'"{name}":'.encode()) == 1


def test_an_odd_character_spoils_nothing_but_itself() -> None:
    console, kept = made()
    console.write("info", "\ud800", {"x": 1, "\ud801": {"y": [2]}, "z": "\ud802"})
    (entry,) = kept.entries
    assert entry["message"] == "\\ud800"
    assert entry["x"] == 1
    assert entry["\\ud801"] == {"y": [2]}
    assert entry["z"] == "'\\ud802'"


@pytest.mark.parametrize("end", [Console.close, Console.finish])
def test_half_a_line_is_not_lost(end: Callable[[Console], None]) -> None:
    console, kept = made()
    console.print("half", end="")
    end(console)
    console.print("late")
    assert kept.texts == ["half"]


def test_a_line_is_put_together_from_its_parts() -> None:
    console, kept = made()
    console.print("a", 1, end="")
    console.print("", end="")
    console.print("b", "c", sep="-", end=None)
    console.write("info", "d", {})
    console.print()
    assert kept.texts == ["a 1b-c", "d", ""]


def test_many_parts_cost_what_they_are() -> None:
    console, _ = made(10_000_000)

    def took(parts: int) -> float:
        started = time.perf_counter()
        for _ in range(parts):
            console.print("x" * 100, end="")
        return time.perf_counter() - started

    took(1000)
    # Parts that are joined each time would cost thirty times as much at the end as at the beginning.
    assert took(50_000) < 50 * 10 * max(took(1000), 0.001)


def test_a_line_that_never_ends_is_cut_and_counted() -> None:
    console, kept = made(1000)
    for _ in range(50):
        console.print("x" * 100, end="")
    console.close()
    assert "dropped" in kept.texts[-1]


def test_what_is_too_large_for_the_logs_is_told_by_its_kind() -> None:
    console, kept = made(1000)
    console.write("info", "m", {"x": [1] * 1000})
    assert kept.entries[0]["x"].startswith("<list of more than 1000 bytes")
    console.write("info", "x" * 2000, {})
    console.close()
    assert kept.texts[-1].startswith("1 log entries were dropped")


@pytest.mark.parametrize("option", ["sep", "end"])
def test_print_takes_texts_between_and_after(option: str) -> None:
    console, _ = made()
    options: dict[str, Any] = {option: 5}
    with pytest.raises(TypeError, match=f"{option} must be None or a string, not int"):
        console.print("a", **options)
