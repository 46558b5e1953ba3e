"""What of Python a tenant may write."""

import ast
import dis
import textwrap
from typing import Any

import pytest

from sandbox.python import policy
from sandbox.python.compiler import compile_body
from sandbox.python.rewrites import Hook
from tests.unit.bodies import cases, refusal, run

ORDINARY = cases("ordinary")


@pytest.mark.parametrize(("code", "expected"), ORDINARY.values(), ids=ORDINARY)
def test_ordinary_python_runs(code: str, expected: Any) -> None:
    assert run(code) == expected


def node_classes() -> list[str]:
    deprecated = {
        "Num",
        "Str",
        "Bytes",
        "NameConstant",
        "Ellipsis",
        "Index",
        "ExtSlice",
        "Suite",
        "AugLoad",
        "AugStore",
        "Param",
        "_ast_Ellipsis",
    }
    concrete = [
        name
        for name, cls in vars(ast).items()
        if isinstance(cls, type) and issubclass(cls, ast.AST) and not cls.__subclasses__() and name not in deprecated
    ]
    return sorted({*concrete, "Constant"} - {"slice"})


@pytest.mark.parametrize("kind", node_classes())
def test_every_kind_of_node_is_in_exactly_one_table(kind: str) -> None:
    tables = [policy.AS_IS, policy.CHECKED, policy.REFUSED]
    assert sum(kind in table for table in tables) == 1


def test_a_kind_of_node_that_nobody_knows_is_refused() -> None:
    class FromTheFuture(ast.stmt):
        pass

    checker = policy.Policy()
    checker.visit(ast.Module(body=[FromTheFuture(lineno=3, col_offset=0)], type_ignores=[]))
    assert [finding.line for finding in checker.findings] == [3]


BINDINGS = [
    "{} = 1", "{}: int = 1", "{} += 1", "for {} in []: pass", "with x as {}: pass", "(y := 1); ({} := 1)", "del {}",
    "import json as {}", "from json import loads as {}", "def {}(): pass", "async def {}(): pass", "class {}: pass",
    "def f({}, /): pass", "def f({}): pass", "def f(*{}): pass", "def f(*, {}): pass", "def f(**{}): pass",
    "lambda {}: 1", "lambda *, {}=1: 1", "try: pass\nexcept ValueError as {}: pass", "global {}",
    "def f():\n  nonlocal {}", "match 1:\n  case {}: pass", "match 1:\n  case [*{}]: pass",
    "match 1:\n  case {{**{}}}: pass", "match 1:\n  case int() as {}: pass", "f({}=1)", "[0 for {} in []]",
    "[0 async for {} in []]", "async for {} in x: pass", "async with x as {}: pass", "{}", "x.{}", "x.{} = 1",
    "del x.{}", "x.{} += 1", "match 1:\n  case object({}=1): pass", "class A:\n  {} = 1",
    "class A:\n  def {}(self): pass",
    "class A:\n  def f(self, {}): pass", "class A:\n  {}: int", "a, ({}, *b) = x", "@{}\ndef f(): pass",
]  # fmt: skip


@pytest.mark.parametrize("hook", [*Hook, "__import__", "__builtins__"])
@pytest.mark.parametrize("position", BINDINGS)
def test_no_position_takes_a_name_of_ours_or_of_the_interpreter(position: str, hook: str) -> None:
    assert refusal(position.format(hook))


REFUSED: list[tuple[str, int, int, str]] = [
    ("x = 1\n  \nx.__globals__", 3, 1, "the attribute `__globals__` cannot be read"),
    ("return x.__dict__.__class__.__mro__", 1, 8, "use isinstance()"),
    ("class A(metaclass=B): pass", 1, 9, "use __init_subclass__"),
    ("class A(**k): pass", 1, 9, "metaclasses"),
    ("class A:\n  def __del__(self): pass", 2, 3, "use a context manager"),
    ("class A:\n  __match_args__ = names", 2, 3, "written out"),
    ("class A:\n  __match_args__ = ('__dict__',)", 2, 3, "written out"),
    ("try: pass\nexcept* ValueError: pass", 1, 1, "except ExceptionGroup"),
    ("yield 1", 1, 1, "nested `def`"),
    ("x = [(yield)]", 1, 7, "nested `def`"),
    ("from json import *", 1, 1, "name what you need"),
    ("from . import x", 1, 1, "by name"),
    ("import os", 1, 8, "the module `os` cannot be imported; these can: "),
    ("import json, _thread", 1, 14, "only public modules"),
    ("from json import _default_decoder", 1, 18, "only public names"),
    ("import urllib.request", 1, 8, "cannot be imported"),
    ("from urllib import parse, request", 1, 1, "cannot be imported"),
    ("x = 1\nfrom __future__ import annotations", 2, 1, "leave it out"),
    ("global cache", 1, 1, "rebind it for other functions"),
    ("global len", 1, 1, "rebind it for other functions"),
    ("def f():\n  global open", 2, 3, "rebind it for other functions"),
    ("x = '{0.__class__}'.format(1)", 1, 5, "format string"),
    ("x = '{:{0.gi_frame}}'.format(1)", 1, 5, "format string"),
    ("s.format += 1", 1, 1, "in place"),
    ("e.tb_frame", 1, 1, "cannot be read"),
    ("def f():\n  return __class__", 2, 10, "type(self)"),
]


@pytest.mark.parametrize(("code", "line", "column", "words"), REFUSED)
def test_what_is_refused_is_told_with_its_place_and_what_to_do(code: str, line: int, column: int, words: str) -> None:
    found = refusal(code)
    assert [error[:2] for error in found if words in error[2]] == [(line, column)], found


def test_no_global_rebinds_a_sibling() -> None:
    assert not refusal("global other\nother = 1")
    assert refusal("global other\nother = 1", siblings={"other"})


@pytest.mark.parametrize(
    "code",
    [
        "total = 0\nfor i in range(n):\n    total += values[i] * 2\n    table[i] = total\n    item.n += 1",
        "a, b = b, a\nreturn {k: v for k, v in pairs}",
        "return point.x * point.y + point.method(1)",
    ],
)
def test_ordinary_code_is_compiled_to_what_python_itself_compiles_it_to(code: str) -> None:
    ours = compile_body("hello", code, [])
    native = compile(f"async def hello(parameters):\n{textwrap.indent(code, '    ')}", "native", "exec")

    def instructions(compiled: Any) -> list[Any]:
        return [
            (i.opname, i.argrepr) for i in dis.get_instructions(compiled.co_consts[0]) if "code object" not in i.argrepr
        ]

    assert instructions(ours) == instructions(native)
