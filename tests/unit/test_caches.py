"""The caches that the service keeps: every operation whole or not at all, and never more than there may be."""

import tracemalloc
from typing import Any

import pytest

from sandbox import protocol
from service.workers.caches import ENTRY_OVERHEAD_BYTES, Caches, SharedCache

MAX_BYTES = 4000
ALL_MAX_BYTES = 100_000


def _caches(cache_max_bytes: int = MAX_BYTES, caches_max_bytes: int = ALL_MAX_BYTES) -> Caches:
    return Caches(cache_max_bytes=cache_max_bytes, caches_max_bytes=caches_max_bytes)


@pytest.fixture
def cache() -> SharedCache:
    return _caches().hold("w")


def _op(verb: protocol.CacheVerb, **fields: Any) -> protocol.CacheOp:
    return protocol.CacheOp(1, verb, **fields)


def _entries(cache: SharedCache) -> list[tuple[bytes, bytes]]:
    return list(cache.snapshot())


def test_what_was_put_is_there_in_its_order_under_the_key_that_was_first(cache: SharedCache) -> None:
    assert cache.apply(_op("set", key=b"i1", shown=b"b1", value=b"1")) == ("done", [])
    assert cache.apply(_op("set", key=b"sb", value=b"2")) == ("done", [])
    assert cache.apply(_op("set", key=b"i1", value=b"3")) == ("done", [])
    assert _entries(cache) == [(b"b1", b"3"), (b"sb", b"2")]
    assert cache.apply(_op("get", key=b"i1")) == ("done", [b"3"])
    assert cache.apply(_op("get", key=b"i2")) == ("missing", [])
    assert cache.apply(_op("has", key=b"sb")) == ("done", [])
    assert cache.apply(_op("len")) == ("done", [b"2"])
    assert cache.apply(_op("setdefault", key=b"sb", value=b"9")) == ("done", [b"2"])
    assert cache.apply(_op("setdefault", key=b"sc", value=b"9")) == ("done", [b"9"])
    assert cache.apply(_op("popitem")) == ("done", [b"sc", b"9"])
    assert cache.apply(_op("pop", key=b"i1")) == ("done", [b"3"])
    assert cache.apply(_op("delete", key=b"i1")) == ("missing", [])
    assert cache.apply(_op("delete", key=b"sb")) == ("done", [])
    assert cache.apply(_op("popitem")) == ("missing", [])


@pytest.mark.parametrize(
    ("there", "by", "answer"),
    [
        (None, b"1", ("done", [b"1"])),
        (b"41", b"1", ("done", [b"42"])),
        (b"-1", b"1", ("done", [b"0"])),
        (b"1", b"0.5", ("done", [b"1.5"])),
        (b"1e22", b"1", ("done", [b"1e22"])),
        (b"9" * 4299, b"1", ("done", [b"1" + b"0" * 4299])),
        (b"9" * 4300, b"1", "too-large"),
        (b"9" * 4300, b"0.5", "too-large"),
        (b"1.7e308", b"1.7e308", "too-large"),
        (b'"1"', b"1", "no-number"),
        (b"true", b"1", "no-number"),
        (b"null", b"1", "no-number"),
        (b"1", b"null", "no-number"),
        (b"[1]", b"1", "no-number"),
        (b"1_0", b"1", "no-number"),
        (b" 1", b"1", "no-number"),
        (b"inf", b"1", "no-number"),
        (b"1e9999", b"1", "no-number"),
        (b"9" * 4301, b"1", "no-number"),
        ("٣".encode(), b"1", "no-number"),
    ],
)
def test_increment_adds_numbers_and_nothing_else(there: bytes | None, by: bytes, answer: Any) -> None:
    cache = _caches(20_000).hold("w")
    if there is not None:
        cache.apply(_op("set", key=b"n", value=there))
    before = _entries(cache)
    status, parts = cache.apply(_op("increment", key=b"n", value=by))
    if isinstance(answer, str):
        assert (status, _entries(cache)) == (answer, before)
    else:
        assert (status, parts) == answer
        assert cache.apply(_op("get", key=b"n")) == answer


def test_what_has_no_room_changes_nothing_and_says_how_much_there_is(cache: SharedCache) -> None:
    value = b"x" * 1000
    pairs = [(b"%d" % number, b"", value) for number in range(4)]
    status, (message,) = cache.apply(_op("update", pairs=pairs))
    assert (status, len(cache), cache.size_bytes) == ("full", 0, 0)
    assert b"0 bytes" in message
    assert b"4000" in message
    assert cache.apply(_op("update", pairs=pairs[:3])) == ("done", [])
    for verb in ("set", "setdefault"):
        assert cache.apply(_op(verb, key=b"new", value=value))[0] == "full"
    assert cache.apply(_op("increment", key=b"n" * 1000, value=b"1"))[0] == "full"
    assert cache.apply(_op("set", key=b"0", value=b"y" * 1000)) == ("done", [])
    assert len(cache) == 3
    cache.apply(_op("delete", key=b"1"))
    assert cache.apply(_op("set", key=b"new", value=value)) == ("done", [])


def test_the_same_key_twice_in_one_update_counts_once(cache: SharedCache) -> None:
    cache.apply(_op("update", pairs=[(b"a", b"", b"1"), (b"b", b"", b"2"), (b"a", b"c", b"333")]))
    assert _entries(cache) == [(b"a", b"333"), (b"b", b"2")]
    assert cache.size_bytes == 2 * ENTRY_OVERHEAD_BYTES + 2 + 4


def test_the_size_is_that_of_the_entries_whatever_was_done() -> None:
    caches = _caches()
    cache = caches.hold("w")
    for verb, fields in [
        ("set", {"key": b"a", "value": b"1" * 100}), ("set", {"key": b"a", "value": b"1"}),
        ("set", {"key": b"b", "shown": b"bb", "value": b"1"}), ("increment", {"key": b"b", "value": b"1000"}),
        ("setdefault", {"key": b"c", "value": b"1"}), ("pop", {"key": b"c"}), ("pop", {"key": b"c"}),
        ("update", {"pairs": [(b"d", b"", b"4"), (b"e", b"", b"5")]}), ("popitem", {}), ("delete", {"key": b"a"}),
    ]:  # fmt: skip
        cache.apply(_op(verb, **fields))  # type: ignore[arg-type]  # a table of verbs
        shown = {b"b": b"bb"}
        keys = {b"bb": b"b"}
        assert (
            cache.size_bytes
            == caches.size_bytes
            == sum(
                ENTRY_OVERHEAD_BYTES + len(keys.get(key, key)) + len(shown.get(keys.get(key, key), b"")) + len(value)
                for key, value in cache.snapshot()
            )
        )
    cache.apply(_op("clear"))
    assert (cache.size_bytes, caches.size_bytes, len(cache)) == (0, 0, 0)


def test_the_overhead_is_honest() -> None:
    """Small entries are nearly all overhead: what they take is what is counted."""
    caches = _caches(2**22, 2**26)
    cache = caches.hold("w")
    tracemalloc.start()
    try:
        for number in range(14_000):
            op = _op("set", key=b"%d" % number, shown=b"x%d" % number, value=b"%d" % number)
            assert cache.apply(op)[0] == "done"
        taken_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 0.6 * cache.size_bytes < taken_bytes < 1.05 * cache.size_bytes


def test_a_few_greedy_ones_leave_room_for_the_others() -> None:
    caches = _caches(cache_max_bytes=50_000, caches_max_bytes=ALL_MAX_BYTES)
    greedy = [caches.hold(f"g{number}") for number in range(20)]
    for number in range(400):
        for cache in greedy:
            cache.apply(_op("set", key=b"%d" % number, value=b"x" * 300))
    assert caches.size_bytes < ALL_MAX_BYTES
    late = caches.hold("late")
    assert late.apply(_op("set", key=b"a", value=b"x"))[0] == "done"
    status, (message,) = greedy[0].apply(_op("set", key=b"new", value=b"x" * 300))
    assert status == "full"
    assert b"all workspaces" in message
    assert caches.size_bytes == sum(cache.size_bytes for cache in (*greedy, late))


def test_a_cache_outlives_its_workers_until_room_is_wanted() -> None:
    caches = _caches(cache_max_bytes=60_000)
    for name in ("old", "used", "newer"):
        cache = caches.hold(name)
        cache.apply(_op("set", key=b"a", value=b"x" * 10_000))
        caches.release(cache)
    used = caches.hold("used")
    assert len(used) == 1
    big = caches.hold("big")
    assert big.apply(_op("set", key=b"a", value=b"x" * 37_000))[0] == "done"
    assert len(caches.hold("old")) == 0
    assert len(caches.hold("newer")) == 1
    assert len(used) == 1
    assert caches.size_bytes == used.size_bytes + big.size_bytes + caches.hold("newer").size_bytes


def test_nobody_loses_a_cache_for_what_has_no_room_anyway() -> None:
    caches = _caches(cache_max_bytes=60_000)
    kept, unused = caches.hold("kept"), caches.hold("unused")
    for cache in (kept, unused):
        cache.apply(_op("set", key=b"a", value=b"x" * 30_000))
    caches.release(unused)
    big = caches.hold("big")
    assert big.apply(_op("set", key=b"a", value=b"x" * 50_000))[0] == "full"
    assert len(caches.hold("unused")) == 1


def test_a_cache_that_is_dropped_is_gone_for_all_but_its_last_workers() -> None:
    caches = _caches()
    cache = caches.hold("w")
    cache.apply(_op("set", key=b"a", value=b"1"))
    caches.drop("w")
    again = caches.hold("w")
    assert (len(cache), len(again)) == (1, 0)
    cache.apply(_op("set", key=b"b", value=b"1"))
    caches.release(cache)
    assert caches.size_bytes == 0
    caches.release(again)
    caches.drop("w")
    caches.drop("w")


def test_an_empty_cache_leaves_nothing() -> None:
    caches = _caches()
    caches.release(caches.hold("w"))
    assert not caches._caches
    assert not caches._unused


def test_the_caches_of_all_revisions_of_a_workspace_have_the_room_of_one() -> None:
    caches = _caches(10_000)
    live, older = caches.hold("w"), caches.hold("w@3")
    other = caches.hold("other")
    assert live.apply(_op("set", key=b"sk", value=b"x" * 6000))[0] == "done"
    assert older.apply(_op("set", key=b"sk", value=b"x" * 6000))[0] == "full"
    assert other.apply(_op("set", key=b"sk", value=b"x" * 6000))[0] == "done"
    assert caches.spenders(live.share, 0.0) == caches.spenders(older.share, 0.0)
    caches.release(live)  # what no worker uses makes room
    assert older.apply(_op("set", key=b"sk", value=b"x" * 6000))[0] == "done"
    assert len(caches.hold("w")) == 0
