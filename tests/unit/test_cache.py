"""`cache` as functions see it, both kinds, by one table: `cases/cache.txt`, which the integration tests run as well."""

import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sandbox import protocol
from sandbox.cache import Cache, CacheFull
from sandbox.cache_calls import CacheCalls
from sandbox.protocol import CacheAnswer, CacheOp
from sandbox.python import frozen_classes
from sandbox.runs import RUNNING
from sandbox.shared_cache import SharedCache
from service.workers import caches
from tests.unit.bodies import cases, make_namespace, run
from tests.unit.test_runs import make_run

CASES = cases("cache")
MAX_BYTES = 100_000


class _Direct(CacheCalls):
    """Asks a store in this process, in the words of the protocol."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        super().__init__(cast("Any", None), cast("Any", SimpleNamespace(busy=False)))  # nothing is sent
        self.max_bytes = max_bytes
        self._store = caches.Caches(cache_max_bytes=max_bytes, caches_max_bytes=2**30).hold("w")

    def _exchange(self, verb: Any, key: bytes, shown: bytes, value: bytes, pairs: Any) -> CacheAnswer:
        sent = protocol.encode_frame(CacheOp(1, verb, key, shown, value, pairs))
        op = protocol.decode_upward(sent[4:])
        assert isinstance(op, CacheOp)
        if op.verb in {"keys", "items"}:
            parts = [part for entry in self._store.snapshot() for part in entry[: 1 + (op.verb == "items")]]
            return CacheAnswer(1, "done", parts)
        return CacheAnswer(1, *self._store.apply(op))


@pytest.fixture
def shared() -> Iterator[SharedCache]:
    """In a run."""
    RUNNING.run = make_run()
    yield SharedCache(_Direct())
    RUNNING.run = None


@pytest.mark.parametrize(("code", "expected"), CASES.values(), ids=CASES)
def test_a_shared_cache_does_what_a_dict_does(code: str, expected: Any, shared: SharedCache) -> None:
    for cls in (Cache, SharedCache):
        frozen_classes._freeze([cls])
    assert run(code, make_namespace(cache=Cache())) == expected
    assert run(code, make_namespace(cache=shared)) == expected


def test_a_cache_of_one_worker_is_a_dict() -> None:
    cache = Cache(a=1)
    assert isinstance(cache, dict)
    assert json.dumps(cache) == '{"a": 1}'
    assert type(cache | {}) is dict
    assert type(cache.copy()) is dict
    cache["x"] = cache["y"] = [object()]
    cache["x"].append(1)
    assert cache["y"] == cache["x"]


def test_a_change_to_what_was_read_is_not_written_back_and_a_tuple_is_a_list(shared: SharedCache) -> None:
    shared["a"] = [1, (2, {"b": (3,)})]
    shared["a"].append(4)
    assert shared["a"] == [1, [2, {"b": [3]}]]


class _Own(dict[str, int]):
    """Of a tenant."""


_nested: list[Any] = []
_nested.append(_nested)
_wide: list[Any] = []
_wide += [_wide] * 50

REFUSED: dict[str, tuple[object, str]] = {
    "a set": ([{1}], "cache['k'][0] cannot be kept in a shared cache: it is of type 'set'; use a list"),
    "an object": ({"a": [1, object()]}, "cache['k']['a'][1] cannot be kept in a shared cache: it is of type 'object'"),
    "bytes": (b"x", "cache['k'] cannot be kept in a shared cache: it is of type 'bytes'; decode it, or use base64"),
    "a subclass": (_Own(a=1), "cache['k'] cannot be kept in a shared cache: it is of type '_Own'; use dict() of it"),
    "a number as key": ({"a": {1: 2}}, "cache['k']['a'] has a key of type 'int'; the keys of a dict in a shared cache"),
    "nan": ((float("nan"),), "cache['k'][0] is nan, which JSON does not have"),
    "infinity in a long list": ([1.0] * 50 + [float("inf")], "cache['k'][50] is inf, which JSON does not have"),
    "too many digits": ([10**4400], "cache['k'][0] has more than 4300 digits"),
    "digits in a long list": ([1] * 40 + [10**4400], "cache['k'][40] has more than 4300 digits"),
    "itself": (_nested, "is nested more than 250 levels deep"),
    "itself, many times": (_wide, "is nested more than 250 levels deep"),
}


@pytest.mark.parametrize(("value", "message"), REFUSED.values(), ids=REFUSED)
def test_what_has_no_written_form_is_refused_with_its_path(value: Any, message: str, shared: SharedCache) -> None:
    shared["k"] = "before"
    for write in (
        lambda: shared.__setitem__("k", value),
        lambda: shared.setdefault("k", value),
        lambda: shared.update(a=1, k=value),
    ):
        with pytest.raises(TypeError) as raised:
            write()
        assert message in str(raised.value)
    assert shared.copy() == {"k": "before"}


@pytest.mark.parametrize(
    "key", [[1], {}, b"x", frozenset(), object, float("nan"), float("inf"), (1, [2]), ("x" * 9000,)], ids=repr
)
def test_what_cannot_be_a_key_is_refused_wherever_a_key_is_asked_for(key: Any, shared: SharedCache) -> None:
    for use in (shared.get, shared.__contains__, shared.pop, shared.setdefault, shared.increment, shared.__delitem__):
        with pytest.raises((TypeError, ValueError)):
            use(key)
    deep: Any = ()
    for _ in range(100):
        deep = (deep,)
    with pytest.raises(TypeError):
        shared.get(deep)


def test_what_has_no_room_raises_and_changes_nothing() -> None:
    RUNNING.run = make_run()
    try:
        shared = SharedCache(_Direct(2000))
        shared["a"] = "x" * 1000
        writes: dict[str, Callable[[], object]] = {
            "set": lambda: shared.__setitem__("b", "x" * 1000),
            "alone": lambda: shared.__setitem__("b", "x" * 3000),
            "setdefault": lambda: shared.setdefault("b", ["x" * 1000]),
            "update": lambda: shared.update(b=1, c="x" * 1000),
            "update, too much by itself": lambda: shared.update({str(number): "x" * 100 for number in range(30)}),
            "increment": lambda: shared.increment("n" * 800),
            "an endless value": lambda: shared.__setitem__("b", _endless()),
        }
        for name, write in writes.items():
            with pytest.raises(CacheFull) as raised:
                write()
            assert "2000" in str(raised.value), name
            with pytest.raises(shared.Full):
                write()
        assert shared.copy() == {"a": "x" * 1000}
        shared["a"] = "y"
        shared["b"] = "x" * 1000
    finally:
        RUNNING.run = None


def _endless() -> list[Any]:
    """Small in memory, without end in writing."""
    value: list[Any] = [1]
    for _ in range(200):
        value = [value, value]
    return value


def test_update_takes_so_many_at_once(shared: SharedCache) -> None:
    with pytest.raises(ValueError, match="8192 keys at once"):
        shared.update((str(number), 0) for number in range(protocol.CACHE_PAIRS_MAX + 1))
    with pytest.raises(ValueError, match="8192 keys at once"):
        shared.update(_same_for_ever())
    assert len(shared) == 0


def _same_for_ever() -> Iterator[tuple[str, int]]:
    while True:
        yield "a", 1
