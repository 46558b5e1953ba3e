"""Values that fight their encoding: odd objects, lying classes, too much of everything."""

import dataclasses
import datetime as dt
import enum
import gc
import json
import subprocess
import sys
import uuid
from typing import Any

import pytest
from hypothesis import given

from sandbox.python.values import ResultRefused, encode_field, encode_result
from tests.unit.test_values import JSON_VALUES


class Stop(BaseException):
    pass


def zone(answer: Any) -> dt.tzinfo:
    class Zone(dt.tzinfo):
        def utcoffset(self, when: Any) -> Any:
            return answer() if callable(answer) else answer

        def dst(self, when: Any) -> Any:
            return None

        def tzname(self, when: Any) -> Any:
            return None

        def normalize(self, when: Any) -> Any:
            return 5

    return Zone()


def raising(error: Any) -> Any:
    def answer() -> Any:
        raise error

    return answer


@pytest.mark.parametrize("ending", [Stop, MemoryError, KeyboardInterrupt])
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [2**70, value]])
def test_what_ends_a_run_passes_through(ending: type[BaseException], wrap: Any) -> None:
    with pytest.raises(ending):
        encode_result(wrap(dt.datetime(2024, 1, 2, tzinfo=zone(raising(ending)))))


class Order(int):
    """Empties a list that is being encoded, when it is compared."""

    victim: list[Any] = []  # noqa: RUF012 - one for all, as a tenant would write it

    def __lt__(self, other: object) -> bool:
        Order.victim.clear()
        return True

    __hash__ = int.__hash__


def test_a_set_of_the_tenants_own_kind_is_not_compared() -> None:
    Order.victim = [{Order(2), Order(1)}, *range(5)]
    assert sorted(json.loads(encode_result(Order.victim))[0]) == [1, 2]
    assert len(Order.victim) == 6


@dataclasses.dataclass(slots=True)
class Two:
    x: int
    y: int


def emptied() -> Two:
    value = Two(1, 2)
    del value.x
    return value


class Fickle(enum.Enum):
    A = 1

    @property
    def value(self) -> Any:
        raise RuntimeError


class Endless(enum.Enum):
    A = 1


Endless.A._value_ = Endless.A  # type: ignore[assignment]  # that is the point


class Impostor:
    @property  # type: ignore[misc]  # a lie is what it is for
    def __class__(self) -> Any:
        return str


class Name(str):  # noqa: SLOT000 - as tenants write them
    def __str__(self) -> str:
        raise RuntimeError

    isidentifier = __len__ = __str__  # type: ignore[assignment]  # all of them hostile


ODD: list[tuple[Any, bytes]] = [
    (emptied(), b'{"y":2}'),
    (Fickle.A, b"1"),
    ({Fickle.A: Fickle.A}, b'{"1":1}'),
    ([Name("n"), {Name("k"): 1}], b'["n",{"k":1}]'),
    (dt.datetime(2024, 1, 2, tzinfo=zone(dt.timedelta(hours=1))), b'"2024-01-02T00:00:00+01:00"'),
    ([dt.time(1, tzinfo=zone(None))], b'["01:00:00"]'),
    ({dt.datetime(2024, 1, 2, tzinfo=dt.UTC), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)},
     b'["2024-01-01T00:00:00+00:00","2024-01-02T00:00:00+00:00"]'),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), ODD)
def test_an_odd_object_has_the_form_of_what_it_holds(value: Any, expected: bytes) -> None:
    assert encode_result(value) == expected
    assert encode_field(value) == expected


ODD_REFUSED: list[tuple[Any, str]] = [
    (Endless.A, "contains itself"),
    ({Endless.A: 1}, "key"),
    (object.__new__(uuid.UUID), "UUID without a number"),
    (dt.datetime(2024, 1, 2, tzinfo=zone("x" * 8)), "TypeError"),
    (dt.datetime(2024, 1, 2, tzinfo=zone(raising(KeyError("k")))), "KeyError: 'k'"),
    (dt.time(1, tzinfo=zone(5)), "TypeError"),
    (dt.time(1, tzinfo=zone(dt.timedelta(9))), "ValueError"),
    (Impostor(), "'Impostor'"),
    ({10**5000: 1}, "too many digits"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "words"), ODD_REFUSED, ids=[case[1] for case in ODD_REFUSED])
def test_an_odd_object_without_a_form_is_refused(value: Any, words: str) -> None:
    with pytest.raises(ResultRefused) as refused:
        encode_result([value])
    assert refused.value.path == "result[0]"
    assert words in refused.value.message
    assert json.loads(encode_field(value))


def doubled(times: int) -> list[Any]:
    value = [1]
    for _ in range(times):
        value = [value, value]  # type: ignore[list-item]  # a list of itself, twice
    return value


LARGE: list[Any] = [
    "x" * 5000,
    ["x" * 500] * 100,
    {"x" * 5000: 1},
    {1: "x" * 5000},
    {1: {"x" * 5000: 1}},
    [*range(5000)],
    dict.fromkeys(map(str, range(2000))),
    doubled(60),
    [doubled(60), 2**70],
    (doubled(60),),
    {"a": [["y" * 1000] * 100] * 1_000_000},
    "\0" * 900,
    [2**70] * 400,
]


@pytest.mark.parametrize("value", LARGE, ids=range(len(LARGE)))
def test_what_is_too_large_is_refused_before_it_is_made(value: Any) -> None:
    with pytest.raises(ResultRefused, match=r"^the result has more than 4096 bytes of JSON, which are the most$"):
        encode_result(value, max_bytes=4096)
    assert b"of more than 4096 bytes" in encode_field(value, max_bytes=4096)


@given(JSON_VALUES)
def test_a_value_may_have_as_many_bytes_as_it_has(value: Any) -> None:
    for form in (value, (value,)):
        encoded = encode_result(form)
        assert encode_result(form, max_bytes=len(encoded)) == encoded
        with pytest.raises(ResultRefused):
            encode_result(form, max_bytes=len(encoded) - 1)


def test_collections_go_on_after_an_encoding() -> None:
    encode_result([1])
    with pytest.raises(ResultRefused):
        encode_result([[1]], max_bytes=1)
    assert gc.isenabled()


SHORT_OF_MEMORY = """
import resource
from sandbox.python.values import encode_field, encode_result, ResultRefused

with open("/proc/self/statm") as file:
    size = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + (64 << 20),) * 2)

def attempt(make):
    for encode in (encode_result, encode_field):
        try:
            return len(encode(make(), max_bytes=8 << 20))
        except (MemoryError, ResultRefused) as error:
            print(type(error).__name__)

attempt(lambda: "x" * 40_000_000)
attempt(lambda: "x" * 8_000_000)
attempt(lambda: ["\u00e9" * 3_000_000])
attempt(lambda: [["y" * 1000] * 100] * 1_000_000)
attempt(lambda: [["y" * 1000] * 100] * 70)
kept = []
for size in (1 << 20, 1 << 16, 4096, 1024):
    try:
        while True:
            kept.append(bytes(size))
    except MemoryError:
        pass
    attempt(lambda: "x")
    attempt(lambda: [1.5] * 1000)
    attempt(lambda: {"a": ["x" * 1000]})
del kept
print("alive", attempt(lambda: "x"))
"""


def test_a_lack_of_memory_is_an_error_and_not_the_end() -> None:
    worker = subprocess.run([sys.executable, "-c", SHORT_OF_MEMORY], capture_output=True, text=True, check=False)
    assert (worker.returncode, worker.stdout.splitlines()[-1:]) == (0, ["alive 3"]), worker.stderr


class Liar(dict[Any, Any]):
    def items(self) -> Any:
        raise RuntimeError

    def __iter__(self) -> Any:
        raise RuntimeError


def test_methods_of_the_tenants_classes_have_no_say() -> None:
    assert encode_result([Liar(a=1), 2**70]) == b'[{"a":1},1180591620717411303424]'
