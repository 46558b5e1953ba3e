"""What of Python a tenant may write."""

import ast
import dis
import textwrap
from typing import Any

import pytest

from sandbox.python import policy
from sandbox.python.compiler import compile_body
from tests.unit.bodies import refusal, run

ORDINARY: list[tuple[str, str, Any]] = [
    ("augmented names", "n = 1; n += 2; n **= 2\nreturn n", 9),
    ("augmented items", "d = {'a': [1]}\nd['a'] += [2]; d['a'][0] -= 5\nreturn d", {"a": [-4, 2]}),
    ("augmented attributes", "class A:\n  n = 1\na = A()\na.n += 1\nreturn a.n", 2),
    ("slices", "x = list(range(9))\nx[1:3] = 'ab'\ndel x[::2]\nreturn x", ["a", 3, 5, 7]),
    ("annotations", "n: int = 1\ndef f(a: 'list[int]', *b: int) -> None: return a\nm: str\nreturn f(n)", 1),
    ("walrus", "return [y for x in range(3) if (y := x * 2)]", [2, 4]),
    ("lambda", "return sorted('bca', key=lambda c: -ord(c))", ["c", "b", "a"]),
    ("nested comprehension", "return {k: [v for v in range(k)] for k in range(3)}", {0: [], 1: [0], 2: [0, 1]}),
    ("generator", "def g():\n  got = yield 1\n  yield from [got, 3]\ni = g()\nreturn [next(i), i.send(2), *i]", [1, 2, 3]),
    ("starred", "a, *b = 1, 2, 3\nreturn [*b, a]", [2, 3, 1]),
    ("unpacking in calls", "def f(*a, k=0, **o): return a, k, o\nreturn f(*[1], **{'k': 2, 'z': 3})", ((1,), 2, {"z": 3})),
    ("positional only", "def f(a, /, b, *, c): return a + b + c\nreturn f(1, b=2, c=3)", 6),
    ("nonlocal", "n = 1\ndef f():\n  nonlocal n\n  n += 1\nf()\nreturn n", 2),
    ("global", "global total\ntotal = 5\ndef f():\n  global total\n  total += 1\nf()\nreturn total", 6),
    ("decorator", "def twice(f): return lambda *a: f(*a) * 2\n@twice\ndef f(x): return x + 1\nreturn f(2)", 6),
    ("f-string", "x = 1.5\nw = 6\nreturn f'{x!r:>{w}}|{x:.2f}|{x=}'", "   1.5|1.50|x=1.5"),
    ("str.format", "return '{0:>5}|{a[k]}|{0.real}'.format(3, a={'k': 1})", "    3|1|3"),
    ("format of a variable", "t = '{0.real}-{}'.replace('{}', '{1}')\nreturn t.format(1, 2)", "1-2"),
    ("format_map", "return '{a}'.format_map({'a': 1})", "1"),
    ("str.format unbound", "return list(map(str.format, ['{}!'], [1]))", ["1!"]),
    ("format of other objects", "import datetime\nreturn datetime.date(2024, 1, 2).strftime('%Y')", "2024"),
    ("assert", "assert 1 + 1 == 2, 'no'\nreturn True", True),
    ("raise from", "try:\n  try: 1 / 0\n  except ZeroDivisionError as e: raise KeyError('k') from e\nexcept KeyError as e:\n  return type(e.__cause__).__name__", "ZeroDivisionError"),
    ("try in full", "r = []\ntry: r.append(1)\nexcept (KeyError, ValueError): r.append(2)\nelse: r.append(3)\nfinally: r.append(4)\nreturn r", [1, 3, 4]),
    ("finally that returns", "def f():\n  try: 1 / 0\n  finally: return 7\nreturn f()", 7),
    ("with", "import contextlib\nwith contextlib.suppress(KeyError) as s, contextlib.nullcontext(3) as (n): {}['x']\nreturn n", 3),
    ("private variables", "_tmp, _ = 1, 2\nreturn _tmp + _", 3),
    ("main guard", "return __name__ == '__main__'", False),
    ("type", "class A: pass\na = A()\nreturn [type(a) is A, a.__class__ is A, type(A) is type, isinstance(A, type)]", [True] * 4),
    ("type annotations", "def f(x: type[int] | None) -> type: return x\nreturn f(int) is int", True),
    ("shadowed builtins", "list = [1]\nprint = 2\nreturn list[0] + print", 3),
    ("delete", "a = {'x': 1}\nb = 1\ndel a['x'], b\nreturn a", {}),
    ("chained comparison", "return 1 < 2 <= 2 != 3 and 'a' in 'abc' and None is not 0", True),
    ("while else", "n = 3\nwhile n: n -= 1\nelse: n = 'done'\nreturn n", "done"),
    ("complex slices", "class A:\n  def __getitem__(self, k): return k\nreturn A()[1:2, ...]", (slice(1, 2), ...)),
    ("exception groups", "try: raise ExceptionGroup('g', [ValueError(1)])\nexcept ExceptionGroup as g: return len(g.exceptions)", 1),
]  # fmt: skip


@pytest.mark.parametrize(("code", "expected"), [case[1:] for case in ORDINARY], ids=[case[0] for case in ORDINARY])
def test_ordinary_python_runs(code: str, expected: Any) -> None:
    assert run(code) == expected


CLASSES: list[tuple[str, str, Any]] = [
    ("private attributes", """
        class Account:
            count = 0
            _registry = {}
            def __init__(self): self._balance = 0; self.__pin = 4
            def _add(self, n): self._balance += n; return self
            def pin(self): return self.__pin
        a = Account()._add(2)._add(3)
        a._owner = "x"
        del a._owner
        Account._registry["a"] = 1
        return [a._balance, a.pin(), Account._registry, hasattr(a, "_owner"), getattr(a, "_balance")]
     """, [5, 4, {"a": 1}, False, 5]),
    ("operators", """
        class V:
            __slots__ = ("x",)
            __hash__ = None
            def __init__(self, x): self.x = x
            def __add__(self, o): return V(self.x + o.x)
            __radd__ = __add__
            def __eq__(self, o): return self.x == o.x
            def __getitem__(self, i): return self.x
            def __repr__(self): return f"V({self.x})"
        return [repr(V(1) + V(2)), V(3) == V(3), V(9)[0]]
     """, ["V(3)", True, 9]),
    ("inheritance", """
        class A:
            kinds = []
            def __init_subclass__(cls, **options): super().__init_subclass__(**options); cls.kinds.append(cls.__name__)
            def __new__(cls): return super().__new__(cls)
            def _name(self): return "a"
        class B(A):
            def _name(self): return super()._name() + "b"
        return [B()._name(), A.kinds]
     """, ["ab", ["B"]]),
    ("context managers", """
        class C:
            def __enter__(self): return 1
            def __exit__(self, *args): return True
        with C() as n: raise ValueError
        return n
     """, 1),
    ("descriptors and properties", """
        class Positive:
            def __set_name__(self, owner, name): self._name = "_" + name
            def __get__(self, obj, owner=None): return getattr(obj, self._name)
            def __set__(self, obj, value): setattr(obj, self._name, abs(value))
        class A:
            n = Positive()
            def __init__(self): self.n = -3
            @property
            def double(self): return self.n * 2
            @double.setter
            def double(self, value): self.n = value // 2
            @classmethod
            def make(cls): return cls()
            @staticmethod
            def zero(): return 0
        a = A.make()
        before = a.double
        a.double = 10
        return [before, a.n, A.zero()]
     """, [6, 5, 0]),
    ("attribute hooks", """
        class Bag:
            def __init__(self): object.__setattr__(self, "items", {})
            def __getattr__(self, name): return self.items.get(name)
            def __setattr__(self, name, value): self.items[name] = value
            def __delattr__(self, name): del self.items[name]
        b = Bag()
        b.x = 1
        b.y = 2
        del b.y
        return [b.x, b.y, vars(b)]
     """, [1, None, {"items": {"x": 1}}]),
    ("dict of an object", """
        class A:
            def __init__(self, **fields): self.__dict__.update(fields)
        return vars(A(x=1))
     """, {"x": 1}),
    ("exceptions", """
        class Oops(Exception):
            def __init__(self, code): super().__init__(f"oops {code}"); self.code = code
        try: raise Oops(3)
        except Oops as e: return [str(e), e.code, e.args]
     """, ["oops 3", 3, ("oops 3",)]),
    ("iterators", """
        class Count:
            def __init__(self): self.n = 0
            def __iter__(self): return self
            def __next__(self):
                if self.n == 3: raise StopIteration
                self.n += 1
                return self.n
        return list(Count())
     """, [1, 2, 3]),
    ("match", """
        import dataclasses
        @dataclasses.dataclass
        class P:
            x: int
            y: int = 0
        class Q:
            __match_args__ = ("a",)
            a = 5
        def f(v):
            match v:
                case 1 | 2: return "small"
                case {"k": k, **rest}: return [k, rest]
                case [a, *others] if a: return others
                case P(x=0): return "origin"
                case P(x, y): return (x, y)
                case Q(a): return a
                case str() as s: return s
                case None: return "none"
                case _: return "?"
        return [f(v) for v in (1, {"k": 1, "z": 2}, [1, 2], P(0), P(1, 2), Q(), "s", None, 0.5)]
     """, ["small", [1, {"z": 2}], [2], "origin", (1, 2), 5, "s", "none", "?"]),
    ("async", """
        import asyncio, contextlib
        @contextlib.asynccontextmanager
        async def opened(): yield 1
        async def numbers():
            for n in range(3):
                await asyncio.sleep(0)
                yield n
        async with opened() as one, asyncio.timeout(5): pass
        async for last in numbers(): pass
        squares = [n * n async for n in numbers()]
        return [one, last, squares, await asyncio.gather(asyncio.sleep(0, 1), asyncio.wait_for(asyncio.sleep(0, 2), 1))]
     """, [1, 2, [0, 1, 4], [1, 2]]),
]  # fmt: skip


@pytest.mark.parametrize(("code", "expected"), [case[1:] for case in CLASSES], ids=[case[0] for case in CLASSES])
def test_ordinary_classes_and_coroutines_run(code: str, expected: Any) -> None:
    assert run(code) == expected


def node_classes() -> list[str]:
    deprecated = {"Num", "Str", "Bytes", "NameConstant", "Ellipsis", "Index", "ExtSlice", "Suite", "AugLoad", "AugStore", "Param", "_ast_Ellipsis"}
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
    "[0 async for {} in []]", "async for {} in x: pass", "async with x as {}: pass", "{}", "x.{}", "x.{} = 1", "del x.{}",
    "x.{} += 1", "match 1:\n  case object({}=1): pass", "class A:\n  {} = 1", "class A:\n  def {}(self): pass",
    "class A:\n  def f(self, {}): pass", "class A:\n  {}: int", "a, ({}, *b) = x", "@{}\ndef f(): pass",
]  # fmt: skip


@pytest.mark.parametrize("hook", ["__skep_check__", "__skep_stop__", "__skep_private__", "__import__", "__builtins__"])
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
    ("from __future__ import annotations", 1, 1, "leave it out"),
    ("global cache", 1, 1, "rebind it for other functions"),
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
        "total = 0\nfor i in range(n):\n    total += values[i] * 2\n    table[i] = total\n    item.count += 1\nreturn total",
        "a, b = b, a\nreturn {k: v for k, v in pairs}",
        "return point.x * point.y + point.method(1)",
    ],
)
def test_ordinary_code_is_compiled_to_what_python_itself_compiles_it_to(code: str) -> None:
    ours = compile_body("hello", code, [])
    native = compile(f"async def hello(parameters):\n{textwrap.indent(code, '    ')}", "native", "exec")

    def instructions(compiled: Any) -> list[Any]:
        return [(i.opname, i.argrepr) for i in dis.get_instructions(compiled.co_consts[0]) if "code object" not in i.argrepr]

    assert instructions(ours) == instructions(native)
