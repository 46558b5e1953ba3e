"""Methods that refuse objects of other classes are otherwise what they were."""

from collections.abc import Callable
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import pytest

from sandbox.python.own_methods import of_objects


def _with_fields() -> Any:
    """Fields that are called as what the wrapper refers to itself."""

    @dataclass(order=True)
    class Fields:
        made: int
        function: Any = "x"
        type: Any = None
        self: int = 3

    return Fields


def _with_options() -> Any:
    class Options:
        def only(self, *, name: int = 1) -> int:
            return name

        def several(self, *values: int, **named: int) -> int:
            return sum(values) + sum(named.values())

    return Options


def _wrapped(cls: Any) -> Any:
    """With every method of the class kept to its objects."""
    for name, method in list(vars(cls).items()):
        if isinstance(method, FunctionType):
            setattr(cls, name, of_objects(cls, method))
    return cls


PLAIN, OURS, OPTIONS = _with_fields(), _wrapped(_with_fields()), _wrapped(_with_options())


@pytest.mark.parametrize(
    ("arguments", "options"), [((1,), {}), ((1, "y", [], 4), {}), ((), {"made": 1, "self": 2}), ((1,), {"type": 5})]
)
def test_it_takes_and_gives_what_the_method_does(arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    ours, plain = OURS(*arguments, **options), PLAIN(*arguments, **options)
    assert vars(ours) == vars(plain)
    assert repr(ours) == repr(plain)
    assert ours == OURS(*arguments, **options)
    assert ours < OURS(2)


@pytest.mark.parametrize(
    ("arguments", "options"), [((), {}), ((1, 2, 3, 4, 5), {}), ((1,), {"made": 1}), ((1,), {"other": 1})]
)
def test_it_refuses_what_the_method_does_in_its_words(arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    with pytest.raises(TypeError) as plain:
        PLAIN(*arguments, **options)
    with pytest.raises(TypeError) as ours:
        OURS(*arguments, **options)
    assert str(ours.value) == str(plain.value)


def test_parameters_that_are_no_plain_ones_are_passed_on() -> None:
    it = OPTIONS()
    assert (it.only(), it.only(name=2), it.several(1, 2, a=3)) == (1, 2, 6)


@pytest.mark.parametrize("it", [PLAIN(1), object(), OURS], ids=["another class", "no class of ours", "the class"])
def test_an_object_of_another_class_is_refused(it: Any) -> None:
    calls: tuple[Callable[[], Any], ...] = (
        lambda: OURS.__init__(it, 1),
        lambda: OURS.__eq__(it, it),
        lambda: OURS.__repr__(it),
        lambda: OPTIONS.only(it, name=1),
    )
    for call in calls:
        with pytest.raises(TypeError, match="needs an object of"):
            call()


def _child() -> Any:
    return type("Child", (OURS,), {})


def test_an_object_of_a_class_that_inherits_is_one() -> None:
    child = _child()
    assert child(1) == child(1)
    assert child(1, "y").function == "y"
