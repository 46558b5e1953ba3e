"""From a body to a function: scope, results, and the exact place of everything that is wrong."""

import asyncio
import sys
import traceback
from typing import Any

import pytest

from sandbox.python.compiler import BODY, INLINE, CodeRefused, compile_body, filename_of, named_parameters
from tests.unit.bodies import load, make_namespace, refusal, run

RESULTS: list[tuple[str, Any]] = [
    ("", None),
    ("   \n\t\n", None),
    ("# only a comment", None),
    ("'a docstring'", None),
    ("pass", None),
    ("return 1;", 1),
    ("1 + 1", None),
    ("result = 3", 3),
    ("result = 3\nreturn 4", 4),
    ("if False:\n  result = 3", None),
    ("for result in [1, 2]: pass", 2),
    ("result: int = 3", 3),
    ("result: int", None),
    ("(result := 5)", 5),
    ("[result := n for n in range(3)]", 2),
    ("[0 for result in range(3)]", None),
    ("import json as result\nresult = result.loads('1')", 1),
    ("import contextlib\nwith contextlib.nullcontext(6) as result: pass", 6),
    ("def result(): return 7\nresult = result()", 7),
    ("match {'a': 8}:\n  case {'a': result}: pass", 8),
    ("match [1, 2]:\n  case [1, *result]: pass", [2]),
    ("def f():\n  result = 3\nf()", None),
    ("def f():\n  return 3\nresult = f()", 3),
    ("class A:\n  result = 3", None),
    ("f = lambda: (result := 3)\nf()", None),
    ("result = []\nfor n in range(3): result.append(n)", [0, 1, 2]),
    ("result = 1\nresult += 1", 2),
    ("result, other = 1, 2", 1),
    ("import asyncio\nresult = await asyncio.sleep(0, 'slept')", "slept"),
    ("import contextlib\nwith contextlib.suppress(KeyError):\n  result = 1", 1),
]


@pytest.mark.parametrize(("code", "expected"), RESULTS)
def test_what_a_body_returns(code: str, expected: Any) -> None:
    assert run(code) == expected


@pytest.mark.parametrize(
    "code",
    ['return """a\n  b\n c"""', 'return """a\r\n  b\r\n c"""', "if True:\n\tx = '''a\n  b\n c'''\nreturn x"],
)
def test_a_multi_line_string_keeps_its_lines(code: str) -> None:
    assert asyncio.run(load(code, make_namespace())({})) == "a\n  b\n c"


PARAMETER_NAMES: list[tuple[list[str], tuple[str, ...]]] = [
    (["a", "b"], ("a", "b")),
    (["from", "a b", "1x", "", "a"], ("a",)),
    (["match", "_", "_x"], ("match", "_", "_x")),
    (["__skep_check__", "__class__", "__x"], ()),
    (["é", "\N{LATIN SMALL LIGATURE FI}", "\N{FULLWIDTH LOW LINE}\N{FULLWIDTH LOW LINE}skep_check__"], ("é",)),
    (["True", "None"], ()),
    (["parameters", "result"], ("parameters", "result")),
]


@pytest.mark.parametrize(("declared", "expected"), PARAMETER_NAMES)
def test_which_parameters_are_names(declared: list[str], expected: tuple[str, ...]) -> None:
    assert named_parameters(declared) == expected


def test_every_parameter_is_in_the_mapping() -> None:
    assert run("return [parameters, a]", None, **{"a": 1, "from": 2}) == [{"a": 1, "from": 2}, 1]


@pytest.mark.parametrize(
    "name", ["parameters", "cache", "log", "print", "len", "hello", "result", "super", "getattr", "type", "json"]
)
def test_a_parameter_hides_any_name(name: str) -> None:
    assert run(f"return {name}", None, **{name: "hidden"}) == "hidden"


def test_a_parameter_called_result_is_returned_unless_the_body_says_otherwise() -> None:
    assert run("if False: result = 1", None, result=5) == 5
    assert run("result += 1", None, result=5) == 6


def test_code_that_is_too_large_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr("sandbox.python.compiler._compile", exhausted)
    [(_, _, message)] = refusal("x = 1")
    assert "too large" in message


def test_functions_of_a_namespace_call_each_other() -> None:
    namespace = make_namespace()
    for name, code in {"funcA": "return 'world'", "funcB": "return 'hello ' + await funcA({})"}.items():
        namespace[name] = load(code, namespace, name=name)
    assert asyncio.run(namespace["funcB"]({})) == "hello world"


def test_loading_a_body_leaves_nothing_else_in_the_namespace() -> None:
    namespace = make_namespace(hello="the sibling of this name")
    before = dict(namespace)
    exec(compile_body("hello", "return hello", []), namespace)
    assert BODY in namespace
    del namespace[BODY]
    assert namespace == before


@pytest.mark.parametrize("name", ["hello", INLINE])
def test_code_carries_the_name_of_its_function(name: str) -> None:
    body = load("def inner(): pass\nreturn inner", make_namespace(), name=name)
    inner = asyncio.run(body({}))
    assert (body.__name__, body.__code__.co_filename) == (name, filename_of(name))
    assert (inner.__qualname__, inner.__code__.co_filename) == (f"{name}.<locals>.inner", filename_of(name))


NOT_PYTHON: list[tuple[str, int, str]] = [
    ("x = (\n", 1, "never closed"),
    ("x = 1\n  y = 2", 2, "unexpected indent"),
    ("if x:\nreturn", 2, "expected an indented block"),
    ("def f(): await x", 1, "outside async function"),
    ("break", 1, "outside loop"),
    ("nonlocal x", 1, "nonlocal"),
    ("x = 1\nglobal x", 2, "before global declaration"),
    ("class A:\n  return 1", 2, "outside function"),
    ("return 1\0", 1, "null"),
    ("\nx = '\0'", 2, "null"),
    ("x = 1\ny = '\ud800'", 2, "surrogate"),
    ("return " + "(" * 300 + ")" * 300, 1, "nested"),
    ("return " + "+".join("1" * 5000), 1, "nested too deeply"),
    ("return " + "-" * 3000 + "1", 1, "nested too deeply"),
    ("return " + "9" * 5000, 1, "more than 4300 digits: write it in hexadecimal"),
]


@pytest.mark.parametrize(("code", "line", "words"), NOT_PYTHON, ids=[repr(case[0][:30]) for case in NOT_PYTHON])
def test_what_python_cannot_read_is_told_with_its_line(code: str, line: int, words: str) -> None:
    [(found_line, found_column, message)] = refusal(code)
    assert found_line == line
    assert found_column >= 1
    assert words in message


def test_the_column_of_a_syntax_error_counts_characters() -> None:
    assert refusal("return 'éé' 1")[0][:2] in {(1, 8), (1, 13)}  # where the expression begins or where it breaks


PLACES: list[tuple[str, list[tuple[int, int]]]] = [
    ("'é', x.__globals__", [(1, 6)]),
    ("if 1:\n\tx = 'ü'; x.__globals__", [(2, 11)]),
    ("a = 1\r\nb = x.__globals__", [(2, 5)]),
    ("a = 1\rb = x.__globals__", [(2, 5)]),
    ("a = 1\n\fb = x.__globals__", [(2, 6)]),
    ("'''\n\u2028 \x0b \x85\n'''\nb = x.__globals__", [(4, 5)]),
    ("@x.__globals__\n@y\ndef f(): pass", [(1, 2)]),
    ("x.__b__\n\ny.__a__; import os", [(1, 1), (3, 1), (3, 17)]),
]


@pytest.mark.parametrize(("code", "places"), PLACES)
def test_every_error_is_told_where_its_author_made_it(code: str, places: list[tuple[int, int]]) -> None:
    assert [error[:2] for error in refusal(code)] == places


def test_a_parameter_cannot_be_global() -> None:
    with pytest.raises(CodeRefused, match="parameter and global"):
        compile_body("hello", "global x", ["x"])


def test_no_more_than_a_hundred_errors_are_told() -> None:
    assert len(refusal("x.__a__\n" * 1000)) == 100


@pytest.mark.parametrize("code", ["x = " + "+".join("1" * 300), "if x: pass\n" + "elif x: pass\n" * 300])
def test_long_sums_and_chains_are_no_nesting(code: str) -> None:
    assert not refusal(code)


def test_compiling_leaves_the_recursion_limit_as_it_was() -> None:
    before = sys.getrecursionlimit()
    refusal("return " + "+".join("1" * 900))
    refusal("return " + "+".join("1" * 5000))
    assert sys.getrecursionlimit() == before


@pytest.mark.parametrize("code", ["return '\\d'", "return 1 is 1", "try: return 1\nfinally: return 2", "assert (1, 2)"])
def test_what_python_only_warns_of_is_no_error(code: str) -> None:
    assert not refusal(code)


BROKEN: list[tuple[str, int]] = [
    ("\n\n1 / 0", 3),
    ("x = '''\n\n'''\n1 / 0", 4),
    ("x = 1\r\n1 / 0", 2),
    ("def d(f): return f\n@d\n@d\ndef g():\n  1 / 0\ng()", 5),
    ("with open_() as x:\n  pass\n1 / 0", 3),
    ("try:\n  pass\nexcept ValueError:\n  pass\n1 / 0", 5),
    ("try:\n  1 / 0\nexcept ValueError:\n  pass", 2),
    ("try:\n  1 / 0\nexcept ZeroDivisionError as e:\n  x = 1\n  raise", 2),
    ("class A:\n  def __init__(self):\n    self._x = 0\n  def f(self):\n    return 1 / self._x\nA().f()", 5),
]


@pytest.mark.parametrize(("code", "line"), BROKEN)
def test_a_traceback_points_at_the_line_the_author_wrote(code: str, line: int) -> None:
    import contextlib  # noqa: PLC0415 - a stand-in for what a sibling may give

    namespace = make_namespace(open_=contextlib.nullcontext)
    with pytest.raises(ZeroDivisionError) as caught:
        asyncio.run(load(code, namespace)({}))
    frames = [frame for frame in traceback.extract_tb(caught.tb) if frame.filename == filename_of("hello")]
    assert frames[-1].lineno == line
