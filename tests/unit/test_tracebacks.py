"""What a tenant is told of its exceptions: its own lines, whatever it does."""

import asyncio
import inspect
import sys
from typing import Any

import pytest

from sandbox.expired import RunExpired
from sandbox.python import tracebacks
from sandbox.python.tracebacks import (
    MESSAGE_MAX_BYTES,
    TRACEBACK_MAX_BYTES,
    Description,
    describe,
    safe_repr,
    safe_text,
)
from tests.unit.bodies import load, make_namespace, run


def raised(code: str, **siblings: str) -> Description:
    namespace = make_namespace()
    for name, body in siblings.items():
        namespace[name] = load(body, namespace, name=name)
    try:
        # Not by `asyncio.run`, which takes the `repr` of its task, and so of a hostile exception.
        load(code, namespace)({}).send(None)
    except BaseException as error:  # noqa: BLE001 - tenant code raises what it likes
        return describe(error, {"hello": code, **siblings})
    raise AssertionError("nothing was raised")


def test_the_last_lines_are_as_python_has_them() -> None:
    """Without a colon where there is no text, and with the notes."""
    error = ValueError()
    assert tracebacks.last_lines(error) == ["ValueError\n"]
    error.add_note("while reading\nthe file")
    error.__notes__.append(7)  # type: ignore[arg-type]  # a tenant may
    assert tracebacks.last_lines(error) == ["ValueError\n", "while reading\nthe file\n", "7\n"]
    assert raised("e = KeyError('a')\ne.add_note('noted')\nraise e").traceback.endswith("KeyError: 'a'\nnoted\n")


def test_format_exception_only_says_what_python_says() -> None:
    body = "import traceback\nreturn [traceback.format_exception_only(error) for error in (ValueError(), None)]"
    assert run(body) == [["ValueError\n"], ["NoneType: None\n"]]


def test_a_traceback_has_the_tenants_lines_with_carets() -> None:
    told = raised("x = 0\ny = 1 + (2 / x)")
    assert told == Description(
        type="ZeroDivisionError",
        message="division by zero",
        function="hello",
        line=2,
        traceback=inspect.cleandoc("""
            Traceback (most recent call last):
              Function "hello", line 2
                y = 1 + (2 / x)
                         ^^^^^
            ZeroDivisionError: division by zero
        """)
        + "\n",
    )


def test_a_traceback_goes_through_siblings_and_nested_functions() -> None:
    told = raised("await other({})", other="def inner():\n    raise KeyError('k')\ninner()")
    assert (told.function, told.line, told.message) == ("other", 2, "'k'")
    assert told.traceback == inspect.cleandoc("""
        Traceback (most recent call last):
          Function "hello", line 1
            await other({})
          Function "other", line 3
            inner()
          Function "other", line 2, in inner
            raise KeyError('k')
        KeyError: 'k'
    """) + "\n"  # fmt: skip


INNERMOST: list[tuple[str, str, int]] = [
    ("import json\n\njson.loads('x')", "JSONDecodeError", 3),
    ("import re\nre.compile('(')", "PatternError" if sys.version_info >= (3, 13) else "error", 2),
    ("class A:\n  def __init__(self): self.__x\nA()", "AttributeError", 2),
    ("x = 1\nx.y", "AttributeError", 2),
    ("try:\n  1 / 0\nexcept ZeroDivisionError:\n  raise ValueError from None", "ValueError", 4),
    ("raise SystemExit(3)", "SystemExit", 1),
    ("raise ExceptionGroup('g', [ValueError(1)])", "ExceptionGroup", 1),
    ("open('x')", "NameError", 1),
]  # fmt: skip


@pytest.mark.parametrize(("code", "kind", "line"), INNERMOST)
def test_the_line_is_the_innermost_of_the_tenants(code: str, kind: str, line: int) -> None:
    told = raised(code)
    assert (told.type, told.function, told.line) == (kind, "hello", line)


@pytest.mark.parametrize("code", [case[0] for case in INNERMOST])
def test_nothing_of_ours_is_told(code: str) -> None:
    told = raised(code)
    assert "/" not in told.traceback.replace("1 / 0", "")
    assert "__skep" not in told.traceback
    assert "<skep:" not in told.traceback


def test_causes_and_contexts_are_told_in_order() -> None:
    told = raised("""
try:
    try: 1 / 0
    except ZeroDivisionError as e: raise KeyError('k') from e
except KeyError: raise ValueError('v')
""")
    parts = [line for line in told.traceback.splitlines() if line and not line.startswith((" ", "Traceback"))]
    assert parts == [
        "ZeroDivisionError: division by zero",
        "The above exception was the direct cause of the following exception:",
        "KeyError: 'k'",
        "During handling of the above exception, another exception occurred:",
        "ValueError: v",
    ]


HOSTILE = [
    "def __str__(self): raise SystemExit",
    "def __str__(self): raise BaseException",
    "def __str__(self): raise ValueError('no')",
    "def __str__(self): return 5",
    "def __str__(self): return 'x' * 10**7",
    "def __str__(self): return '\\ud800' * 10**5",
    "def __str__(self): raise self",
    "def __str__(self): return str(self)",
    "def __repr__(self): raise RecursionError",
    "args = 5",
    "def __getattr__(self, name): raise KeyError(name)",
]


@pytest.mark.parametrize("member", HOSTILE)
def test_a_hostile_exception_is_told_within_bounds(member: str) -> None:
    told = raised(f"class Bad(Exception):\n  {member}\nraise Bad('m')")
    assert (told.type, told.function, told.line) == ("Bad", "hello", 3)
    assert len(told.message.encode()) <= MESSAGE_MAX_BYTES
    assert len(told.traceback.encode()) <= TRACEBACK_MAX_BYTES
    assert told.traceback.splitlines()[0] == "Traceback (most recent call last):"


@pytest.mark.parametrize(
    "error", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError, BaseException, ValueError]
)
@pytest.mark.parametrize("tell", [safe_text, safe_repr])
def test_a_text_is_told_whatever_it_raises(tell: Any, error: type[BaseException]) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise error

        __repr__ = __str__

    assert tell(Hostile()) == f"<Hostile whose text cannot be made: {error.__name__}>"


@pytest.mark.parametrize("tell", [safe_text, safe_repr])
def test_the_end_of_the_run_is_not_swallowed_by_a_text(tell: Any) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RunExpired

        __repr__ = __str__

    with pytest.raises(RunExpired):
        tell(Hostile())


NOT_WHAT_THEY_SEEM: list[tuple[str, str]] = [
    ("class E(SyntaxError): msg = property(lambda s: 1 / 0)\nraise E('m')", "E: m"),
    ("class E(Exception):\n  __class__ = property(lambda s: SyntaxError)\nraise E('m')", "E: m"),
    ("class S(str):\n  def __str__(self): raise BaseException\nraise ValueError(S('m'))", "ValueError: m"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "told"), NOT_WHAT_THEY_SEEM)
def test_an_exception_is_told_by_what_it_is(code: str, told: str) -> None:
    body = compile(code, "<tenant>", "exec")
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - each case raises another
        exec(body, {"__name__": "tenant"})
    assert told.partition(":")[0] == describe(caught.value, {}).type
    assert describe(caught.value, {}).traceback.startswith(told.partition(":")[0])


def test_what_was_handled_among_our_own_frames_is_not_told() -> None:
    def refuse() -> None:
        raise ValueError("refused")

    def ours() -> None:
        try:
            load("return 5", make_namespace())({}).send(None)
        except StopIteration:
            refuse()

    with pytest.raises(ValueError, match="refused") as caught:
        ours()
    assert isinstance(caught.value.__context__, StopIteration)
    assert describe(caught.value, {}).traceback == "ValueError: refused\n"


def test_what_lies_behind_our_own_frames_is_told() -> None:
    code = "try: 1 / 0\nexcept ZeroDivisionError: ours()"

    def ours() -> None:
        try:
            int("ours")
        except ValueError:
            raise ValueError("v")  # noqa: B904 - the context is what is tested

    namespace = make_namespace()
    namespace["ours"] = ours
    with pytest.raises(ValueError, match="v") as caught:
        load(code, namespace)({}).send(None)
    told = describe(caught.value, {"hello": code}).traceback
    assert "ours'" not in told
    assert [line for line in told.splitlines() if not line.startswith((" ", "Traceback")) and line] == [
        "ZeroDivisionError: division by zero",
        "During handling of the above exception, another exception occurred:",
        "ValueError: v",
    ]


def test_a_long_name_is_cut() -> None:
    told = raised(f"class {'B' * 100_000}(Exception): pass\nraise {'B' * 100_000}")
    assert len(told.type.encode()) <= MESSAGE_MAX_BYTES
    assert len(told.traceback.encode()) <= TRACEBACK_MAX_BYTES


def test_a_circle_of_causes_is_told_once() -> None:
    told = raised("a, b = ValueError('a'), ValueError('b')\na.__cause__ = b\nb.__cause__ = a\nraise a")
    assert told.traceback.count("ValueError: a") == 1
    assert told.traceback.count("ValueError: b") == 1


def test_a_long_chain_and_a_deep_stack_are_shortened() -> None:
    chain = raised("e = None\nfor n in range(500):\n  new = ValueError(n)\n  new.__cause__ = e\n  e = new\nraise e")
    assert chain.traceback.count("direct cause") < 20
    deep = raised("def f(): f()\nf()")
    assert "more calls" in deep.traceback
    assert deep.traceback.count("\n") < 200


def test_a_body_that_is_not_at_hand_is_told_without_text() -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        asyncio.run(load("1 / 0", make_namespace())({}))
    told = describe(caught.value, {}).traceback.splitlines()
    assert told[1:] == ['  Function "hello", line 1', "ZeroDivisionError: division by zero"]


def test_an_exception_from_nowhere_has_no_line() -> None:
    assert describe(ValueError("v"), {}) == Description("ValueError", "v", "", 0, "ValueError: v\n")


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 102, 103, 104, 10_000])
@pytest.mark.parametrize("character", ["a", "é", "\N{SNOWMAN}", "\N{PILE OF POO}", "\ud800"])
def test_a_text_is_cut_at_a_character(character: str, size: int) -> None:
    text: Any = safe_text(character * size, max_bytes=100)
    assert len(text.encode()) <= 100
    assert tracebacks.safe_text(text, max_bytes=100) == text
