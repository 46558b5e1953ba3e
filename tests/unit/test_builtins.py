"""What a tenant finds without importing anything."""

import builtins
import types
from typing import Any

import pytest

from sandbox.python.builtins import BUILTIN_NAMES
from sandbox.python.rewrites import Hook
from tests.unit.bodies import cases, make_namespace, run

WITHHELD = {
    "open", "exec", "eval", "compile", "globals", "locals", "input", "breakpoint", "help", "exit", "quit", "copyright",
    "credits", "license",
}  # fmt: skip


def test_every_builtin_of_this_python_is_offered_or_known_to_be_withheld() -> None:
    public = {name for name in vars(builtins) if not name.startswith("_")} - {"True", "False", "None"}
    assert public - BUILTIN_NAMES == WITHHELD & public


def test_the_builtins_hold_what_they_say_and_our_hooks() -> None:
    provided = make_namespace()["__builtins__"]
    hidden = {"__import__", "__build_class__", "__debug__", *(hook.value for hook in Hook)}
    withheld = {name for name in provided if name in WITHHELD}
    assert provided.keys() == BUILTIN_NAMES | hidden | withheld


def test_each_namespace_has_builtins_of_its_own() -> None:
    assert make_namespace()["__builtins__"] is not make_namespace()["__builtins__"]


@pytest.mark.parametrize("name", ["open", "eval", "globals", "input"])
def test_a_withheld_builtin_says_what_to_use_instead(name: str) -> None:
    with pytest.raises(NameError, match=r"is not offered here: .+"):
        run(f"{name}()")


WORKS = cases("guarded")


@pytest.mark.parametrize(("code", "expected"), WORKS.values(), ids=WORKS)
def test_guarded_builtins_do_what_ordinary_code_wants(code: str, expected: Any) -> None:
    assert run(code) == expected


def test_print_goes_where_the_worker_says() -> None:
    printed: list[str] = []
    run("print('a', 1)\nprint()", make_namespace(printed))
    assert printed == ["a 1", ""]


def test_a_class_made_in_a_run_goes_with_it() -> None:
    import gc  # noqa: PLC0415 - only here

    from sandbox.python import ownership  # noqa: PLC0415 - only here

    ownership.forget_recent()
    gc.collect()
    before = len(ownership._own)
    for _ in range(10):
        run("class A:\n  def f(self): self._x = 1\nA().f()")
    ownership.forget_recent()  # as a worker does at the end of a run
    gc.collect()
    assert len(ownership._own) == before


NOT_INHERITED = ["type(print)", "type(type(1))", "type(x for x in [])", "type(json)", "bool", "print", "1"]


@pytest.mark.parametrize("base", NOT_INHERITED)
def test_only_classes_that_are_offered_can_be_inherited_from(base: str) -> None:
    with pytest.raises(TypeError):
        run(f"import json\nbase = {base}\nclass A(base): pass\nreturn A")


def test_nothing_offered_is_a_module_or_a_metaclass() -> None:
    for name, value in make_namespace()["__builtins__"].items():
        if name == Hook.TYPE:
            continue  # for compiled code; no tenant can write the name
        assert not isinstance(value, types.ModuleType)
        assert value is not type
        assert not (isinstance(value, type) and issubclass(value, type))
