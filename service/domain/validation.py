"""Definitions as they come from outside: everything that is wrong with one, each with its path.

The checks are written by hand because their readers are people and agents who must act on the messages. They never
look deeper than `values.DEPTH_MAX`, which is held before anything else looks at the document.
"""

import itertools
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NamedTuple, cast

from service.domain.egress import RULE_MAX_CHARACTERS, RULES_MAX, parse_rule
from service.domain.names import (
    PARAMETER_NAME_MAX,
    VARIABLE_NAME,
    function_name_problem,
    is_parameter_name,
    is_variable_name,
)
from service.domain.parameter_schema import check_parameter
from service.domain.quotas import LIMIT_NAMES
from service.domain.values import INT_MAX, Problems, check_values, join, must_be, shown

Check = Callable[[Any, str, Problems], None]


class Kind(NamedTuple):
    """One kind of object that a definition is made of: what it is called, and a check for each of its fields."""

    name: str
    fields: Mapping[str, Check]
    required: Collection[str] = ()


def check_workspace(document: object) -> dict[str, Any]:
    """A workspace object, as it was given. Raises: InvalidRequest with every problem."""
    return _checked(document, _workspace)


def check_function(document: object) -> dict[str, Any]:
    """A function object, as it was given; paths begin at the function. Raises: InvalidRequest with every problem."""
    return _checked(document, _function)


def _checked(document: object, check: Check) -> dict[str, Any]:
    problems = Problems()
    if check_values(document, problems):
        check(document, "", problems)
    problems.raise_if_any()
    return cast("dict[str, Any]", document)


def _workspace(value: object, path: str, problems: Problems) -> None:
    _object(value, path, problems, WORKSPACE)


def _functions(value: object, path: str, problems: Problems) -> None:
    if not isinstance(value, dict):
        problems.add(path, must_be("an object of functions by name", value))
        return
    for name, function in _named(value):
        problem = function_name_problem(name)
        if problem is not None:
            problems.add(join(path, name), problem)
        _function(function, join(path, name), problems)


def _function(value: object, path: str, problems: Problems) -> None:
    _object(value, path, problems, FUNCTION)


def _parameters(value: object, path: str, problems: Problems) -> None:
    if not isinstance(value, dict):
        problems.add(path, must_be("an object of parameters by name", value))
        return
    for name, parameter in _named(value):
        if not is_parameter_name(name):
            problems.add(
                join(path, name),
                f"is no name for a parameter: 1 to {PARAMETER_NAME_MAX} characters, no control characters",
            )
        check_parameter(parameter, join(path, name), problems)


def _env(value: object, path: str, problems: Problems) -> None:
    if not isinstance(value, dict):
        problems.add(path, must_be("an object of strings by name", value))
        return
    for name, text in _named(value):
        if not is_variable_name(name):
            problems.add(
                join(path, name),
                "is no name for a variable: use letters, digits and underscores, and begin with a letter or underscore",
            )
        _string(text, join(path, name), problems)


def _network(value: object, path: str, problems: Problems) -> None:
    _object(value, path, problems, NETWORK)


def _pool(value: object, path: str, problems: Problems) -> None:
    before = problems.count
    _object(value, path, problems, POOL)
    if problems.count > before or not isinstance(value, dict):
        return
    given = [(name, value[name]) for name in ("floor", "cruise", "ceil") if name in value]
    for (low, least), (high, most) in itertools.pairwise(given):
        if least > most:
            problems.add(join(path, high), f"must not be less than {low}, which is {least}")


def _limits(value: object, path: str, problems: Problems) -> None:
    _object(value, path, problems, LIMITS)


def _language(value: object, path: str, problems: Problems) -> None:
    if not isinstance(value, str):
        problems.add(path, must_be("a string", value))
    elif value != "python":
        problems.add(path, f"is {shown(value)!r}; the only language is 'python'")


def _timeout(value: object, path: str, problems: Problems) -> None:
    _whole(value, path, problems, least=1, unit="milliseconds")


def _count(value: object, path: str, problems: Problems) -> None:
    _whole(value, path, problems, least=0)


def _at_least_one(value: object, path: str, problems: Problems) -> None:
    _whole(value, path, problems, least=1)


def _whole(value: object, path: str, problems: Problems, *, least: int, unit: str = "") -> None:
    expected = f"a whole number of {unit}" if unit else "a whole number"
    if isinstance(value, float):
        problems.add(path, f"must be {expected}, without a fraction")
    elif isinstance(value, bool) or not isinstance(value, int):
        problems.add(path, must_be(expected, value))
    elif value < least:
        problems.add(path, f"must be {least} or more")


def _string(value: object, path: str, problems: Problems) -> None:
    if not isinstance(value, str):
        problems.add(path, must_be("a string", value))


def _code(value: object, path: str, problems: Problems) -> None:
    _string(value, path, problems)


def _rules(value: object, path: str, problems: Problems) -> None:
    if not isinstance(value, list):
        problems.add(path, must_be("an array of rules such as 'api.example.com' or '*.example.com:8443'", value))
        return
    if len(value) > RULES_MAX:
        problems.add(path, f"has {len(value)} rules; {RULES_MAX} are the most")
        return
    for index, item in enumerate(value):
        if not isinstance(item, str):
            problems.add(join(path, str(index)), must_be("a string", item))
            continue
        try:
            parse_rule(item)
        except ValueError as error:
            problems.add(join(path, str(index)), str(error))


def _object(value: object, path: str, problems: Problems, kind: Kind) -> None:
    if not isinstance(value, dict):
        problems.add(path, must_be("an object", value))
        return
    for name, item in _named(value):
        check = kind.fields.get(name)
        if check is None:
            problems.add(join(path, name), f"is no field of {kind.name}; its fields are {', '.join(kind.fields)}")
        else:
            check(item, join(path, name), problems)
    for name in kind.required:
        if name not in value:
            problems.add(join(path, name), "is required")


def _named(value: dict[Any, Any]) -> list[tuple[str, Any]]:
    """What has a name; that a key is no string was reported before."""
    return [(name, item) for name, item in value.items() if isinstance(name, str)]


LIMITS: Final = Kind("the limits", dict.fromkeys(LIMIT_NAMES, _at_least_one))
NETWORK: Final = Kind("the network", {"allow": _rules})
POOL: Final = Kind(
    "the pool",
    {
        "floor": _count,
        "ceil": _at_least_one,
        "cruise": _count,
        "concurrency": _at_least_one,
        "queue": _count,
        "timeout": _timeout,
    },
)
FUNCTION: Final = Kind(
    "a function",
    {
        "code": _code,
        "language": _language,
        "description": _string,
        "parameters": _parameters,
        "timeout": _timeout,
    },
    required=("code",),
)
WORKSPACE: Final = Kind(
    "a workspace",
    {
        "functions": _functions,
        "description": _string,
        "env": _env,
        "network": _network,
        "pool": _pool,
        "limits": _limits,
    },
    required=("functions",),
)
OBJECTS: Final[Mapping[Check, Kind]] = {
    _workspace: WORKSPACE, _function: FUNCTION, _network: NETWORK, _pool: POOL, _limits: LIMITS
}  # fmt: skip
"""Checks that hold a value against a kind."""
MAPS: Final[Mapping[Check, Check | None]] = {_functions: _function, _parameters: None}
"""Checks of objects whose names their author chooses, and what each value must pass; a parameter has its own check."""
SCHEMAS: Final[Mapping[Check, Mapping[str, Any]]] = {
    _string: {"type": "string"},
    _code: {"type": "string", "format": "python", "description": "The body of a function."},
    _language: {"type": "string", "enum": ["python"]},
    _count: {"type": "integer", "minimum": 0, "maximum": INT_MAX},
    _at_least_one: {"type": "integer", "minimum": 1, "maximum": INT_MAX},
    _timeout: {"type": "integer", "minimum": 1, "maximum": INT_MAX, "description": "Milliseconds."},
    _rules: {
        "type": "array",
        "maxItems": RULES_MAX,
        "items": {"type": "string", "format": "egress-rule", "minLength": 1, "maxLength": RULE_MAX_CHARACTERS},
    },
    _env: {
        "type": "object",
        "propertyNames": {"pattern": f"^{VARIABLE_NAME.pattern}$"},
        "additionalProperties": {"type": "string"},
    },
}
"""What the other checks let through, as JSON Schema; a test holds the two together."""
