"""Attributes with one leading underscore: free on a tenant's own objects, closed on a library's, on every way there."""

from collections.abc import Iterator

import pytest

from sandbox.python import ownership
from tests.unit.bodies import run


@pytest.fixture(autouse=True)
def _nothing_is_recent() -> Iterator[None]:
    ownership.forget_recent()
    yield
    ownership.forget_recent()


OWN = """
class Own:
    def __init__(self):
        self._waiters = []

def read(obj):
    return obj._waiters

def write(obj):
    obj._waiters = None

read(Own()), read(Own()), write(Own())
"""


def test_a_class_of_ones_own_is_asked_about_once() -> None:
    run(OWN)
    assert [cls.__name__ for cls in ownership.RECENT] == ["Own"]


@pytest.mark.parametrize("use", ["read", "write"])
@pytest.mark.parametrize("other", ["asyncio.Event()", "asyncio.Event", "type('x')", "Mail()", "super(Mail, Mail())"])
def test_what_ones_own_objects_allow_opens_no_others(use: str, other: str) -> None:
    with pytest.raises(AttributeError):
        run(f"import asyncio, email.message\nclass Mail(email.message.Message): pass\n{OWN}\nreturn {use}({other})")
    assert {cls.__name__ for cls in ownership.RECENT} == {"Own"}


@pytest.mark.parametrize(
    ("base", "name"),
    [
        ("abc.ABC", "_abc_impl"),
        ("collections.abc.Sized", "_abc_impl"),
        ("typing.Generic[typing.TypeVar('T')]", "_is_protocol"),
        ("enum.Enum", "_member_map_"),
    ],
)
def test_what_a_library_keeps_in_ones_own_class_stays_closed(base: str, name: str) -> None:
    code = f"""
    import abc, collections.abc, enum, typing
    class Own({base}):
        x = 1
        def __len__(self): return 1
        def f(self):
            self._x = 1
            return self._x
    own = Own(1) if issubclass(Own, enum.Enum) else Own()
    assert own.f() + own.f() == 2
    try:
        own.{name}
    except AttributeError:
        return "closed, or not there in this version"
    """
    assert run(code)


def test_few_classes_are_kept_and_none_beyond_their_run() -> None:
    code = """
    for _ in range(500):
        class A:
            def f(self): self._x = 1
        A().f()
    """
    run(code)
    assert 0 < len(ownership.RECENT) <= 64
    ownership.forget_recent()
    assert not ownership.RECENT
