"""What workspaces, functions and parameters may be called."""

import builtins
import keyword

import pytest

from service.domain.names import function_name_problem, is_function_name, is_parameter_name, is_workspace_name


@pytest.mark.parametrize("name", ["a", "A9", "0", "a-b_c", "x" * 63])
def test_a_workspace_may_be_called_this(name: str) -> None:
    assert is_workspace_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "-a", "_a", ".", "..", "../x", "a/b", "a.b", "a b", "a\n", "x" * 64, "é", "\uff11", "a\0", "😀", "x" * 10**6],
)
def test_a_workspace_may_not_be_called_this(name: str) -> None:
    assert not is_workspace_name(name)


@pytest.mark.parametrize("name", ["f", "hello_world", "F2", "größe", "match", "case", "help", "x" * 64])
def test_a_function_may_be_called_this(name: str) -> None:
    assert is_function_name(name)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "it is empty"),
        ("x" * 65, "too long"),
        ("_f", "underscore"),
        ("__init__", "underscore"),
        ("1f", "begin with a letter"),
        ("a-b", "begin with a letter"),
        ("a\n", "begin with a letter"),
        ("class", "keyword"),
        ("None", "keyword"),
        ("ﬁ", "Python reads it as 'fi'"),
        ("print", "hide"),
        ("cache", "hide"),
        ("ValueError", "hide"),
    ],
)
def test_a_function_may_not_be_called_this(name: str, why: str) -> None:
    assert why in (function_name_problem(name) or "")


@pytest.mark.parametrize(
    "name", [*keyword.kwlist, "sorted", "Exception", "open", *(n for n in dir(builtins) if n[0] == "_")]
)
def test_no_function_takes_a_name_of_the_language(name: str) -> None:
    assert not is_function_name(name)


@pytest.mark.parametrize(
    ("name", "is_name"),
    [
        ("a", True),
        ("from", True),
        ("x-y", True),
        ("a b", True),
        ("😀", True),
        ("", False),
        ("x" * 65, False),
        ("a\x85", False),
    ],
)
def test_what_a_parameter_may_be_called(name: str, is_name: bool) -> None:
    assert is_parameter_name(name) is is_name
