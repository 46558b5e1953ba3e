"""The JSON form of results and log fields."""

import dataclasses
import datetime as dt
import decimal
import enum
import json
import math
import uuid
from collections import OrderedDict, defaultdict, namedtuple
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.python.values import ResultRefused, encode_field, encode_result


class Color(enum.Enum):
    RED = "red"
    DEEP = ("a", 1)


class Text(str):  # noqa: SLOT000 - as tenants write them
    pass


class Whole(int):
    pass


class Real(float):
    pass


class Bag(dict[Any, Any]):
    pass


Point = namedtuple("Point", "x y")  # noqa: PYI024 - as tenants write them


@dataclasses.dataclass
class Plain:
    x: int
    _hidden: int = 0
    inner: Any = None


@dataclasses.dataclass(slots=True)
class Slotted:
    x: int
    _hidden: int = 0


SHARED = [1]

FORMS: list[tuple[Any, bytes]] = [
    (None, b"null"),
    (True, b"true"),
    (-5, b"-5"),
    (1.5, b"1.5"),
    ("a\u00e9\u2028\n", '"a\u00e9\u2028\\n"'.encode()),
    ([1, [2]], b"[1,[2]]"),
    ({"a": {"b": 1}}, b'{"a":{"b":1}}'),
    ((1, (2,)), b"[1,[2]]"),
    (Point(1, 2), b"[1,2]"),
    ({3, 1, 2}, b"[1,2,3]"),
    (frozenset({"b", "a"}), b'["a","b"]'),
    ([{decimal.Decimal(2), decimal.Decimal(1)}], b'[["1","2"]]'),
    (decimal.Decimal("1.10"), b'"1.10"'),
    (dt.datetime(2024, 1, 2, 3, 4, 5), b'"2024-01-02T03:04:05"'),  # noqa: DTZ001 - as tenants write them
    (dt.datetime(2024, 1, 2, tzinfo=dt.UTC), b'"2024-01-02T00:00:00+00:00"'),
    (dt.date(2024, 1, 2), b'"2024-01-02"'),
    (dt.time(3, 4), b'"03:04:00"'),
    (dt.time(3, 4, tzinfo=dt.UTC), b'"03:04:00+00:00"'),
    (uuid.UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
    (Color.RED, b'"red"'),
    (Color.DEEP, b'["a",1]'),
    (Plain(1, 2, [Slotted(3)]), b'{"x":1,"inner":[{"x":3}]}'),
    ([Plain(1), 2**70], b'[{"x":1,"inner":null},1180591620717411303424]'),
    ([Slotted(1), 2**70], b'[{"x":1},1180591620717411303424]'),
    ([math.nan, math.inf, -math.inf], b"[null,null,null]"),
    ([math.nan, 2**70], b"[null,1180591620717411303424]"),
    (2**64, b"18446744073709551616"),
    (-(2**63) - 1, b"-9223372036854775809"),
    ([Text("t"), Whole(3), Real(0.5)], b'["t",3,0.5]'),
    ([Bag(a=1), OrderedDict(a=1), defaultdict(int, a=1)], b'[{"a":1},{"a":1},{"a":1}]'),
    ({1: 1, 2.5: 2}, b'{"1":1,"2.5":2}'),
    ({None: 1, False: 2, 2**70: 3, math.inf: 4}, b'{"null":1,"false":2,"1180591620717411303424":3,"Infinity":4}'),
    ({Color.RED: 1, dt.date(2024, 1, 2): 2}, b'{"red":1,"2024-01-02":2}'),
    ({uuid.UUID(int=1): 3}, b'{"00000000-0000-0000-0000-000000000001":3}'),
    ({Text("k"): {1: 2}}, b'{"k":{"1":2}}'),
    ({"a": [SHARED, SHARED]}, b'{"a":[[1],[1]]}'),
    ({1: [SHARED, SHARED]}, b'{"1":[[1],[1]]}'),
    ([], b"[]"),
    ({}, b"{}"),
    (set(), b"[]"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), FORMS)
def test_every_form_is_as_documented(value: Any, expected: bytes) -> None:
    assert encode_result(value) == expected


def test_a_set_that_cannot_be_sorted_is_a_list_all_the_same() -> None:
    assert sorted(map(str, json.loads(encode_result({1, "a", None})))) == ["1", "None", "a"]


def circle() -> list[Any]:
    value: list[Any] = [1]
    value.append({"again": value})
    return value


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


class Thing:
    pass


REFUSED: list[tuple[Any, str, str]] = [
    (b"x", "result", "'bytes'; decode it"),
    ({"items": [1, 2, 3, {"when": dt.timedelta(1)}]}, "result.items[3].when", "total_seconds"),
    ([1j], "result[0]", "complex"),
    ({"f": print}, "result.f", "builtin_function_or_method"),
    ({"m": json}, "result.m", "module"),
    ({"a b": Thing()}, "result['a b']", "Thing"),
    ((n for n in [1]), "result", "make a list"),
    ([Plain(1, inner=Thing())], "result[0].inner", "Thing"),
    (Thing, "result", "type"),
    (circle(), "result[1].again", "contains itself"),
    ({"x": "\ud800"}, "result.x", "surrogate"),
    ({"\ud800": 1}, "result['\\ud800']", "surrogate"),
    ({(1, 2): 3}, "result", "key"),
    ({b"k": 3}, "result", "key"),
    (10**5000, "result", "too many digits"),
    ([{1: {2: Thing()}}], "result[0][1][2]", "Thing"),
    ({1: {Thing()}}, "result[1][0]", "Thing"),
    (Plain, "result", "type"),
]  # fmt: skip


@pytest.mark.parametrize(("value", "path", "words"), REFUSED, ids=[f"{case[1]} {case[2]}" for case in REFUSED])
def test_what_has_no_form_is_refused_with_its_path(value: Any, path: str, words: str) -> None:
    with pytest.raises(ResultRefused) as refused:
        encode_result(value)
    assert refused.value.path == path
    assert words in refused.value.message


@pytest.mark.parametrize("depth", [300, 5000, 100_000])
def test_what_is_nested_too_deeply_is_refused(depth: int) -> None:
    with pytest.raises(ResultRefused, match="nested more than 250") as refused:
        encode_result(nested(depth))
    assert len(refused.value.path) < 200


def test_two_hundred_levels_are_not_too_deep() -> None:
    assert encode_result(nested(200)) == b"[" * 201 + b"]" * 201
    assert encode_result([2**70, nested(200)]).endswith(b"]" * 202)


TEXT = st.text(st.characters(codec="utf-8"))
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=30,
)  # fmt: skip

FIELDS: list[tuple[Any, bytes]] = [
    (None, b"null"),
    (1.5, b"1.5"),
    (2**70, b"1180591620717411303424"),
    ({"a": {1}}, b'{"a":[1]}'),
    (b"x", b'"b\'x\'"'),
    (Color, b'"<enum \'Color\'>"'),
    ("\ud800", b'"\'\\\\ud800\'"'),
]  # fmt: skip


@pytest.mark.parametrize(("value", "expected"), FIELDS)
def test_a_log_field_always_has_a_form(value: Any, expected: bytes) -> None:
    assert encode_field(value) == expected


def test_a_log_field_without_a_form_is_cut() -> None:
    assert len(encode_field(b"x" * 10**6)) < 3000


@given(JSON_VALUES)
def test_a_json_value_comes_back_as_it_was(value: Any) -> None:
    assert json.loads(encode_result(value)) == value


@given(JSON_VALUES)
def test_the_careful_way_and_the_fast_way_agree(value: Any) -> None:
    assert json.loads(encode_result([value, 2**70, {1}]))[0] == value
