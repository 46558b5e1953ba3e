"""From the parameters somebody sent to the arguments a function's body takes."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import jsonschema_rs
import msgspec
import orjson

from sandbox.protocol import Problem
from sandbox.python.compiler import named_parameters

_MESSAGE_MAX_CHARACTERS: Final = 500
_PATH_MAX_CHARACTERS: Final = 300
_OFFER_MAX_CHARACTERS: Final = 400
_PROBLEMS_MAX: Final = 100
_PROBLEMS_MAX_BYTES: Final = 32 * 1024
"""Anybody who may call chooses how much is wrong; the answer must fit the room a frame has beside its largest value."""
_PROBLEM_OVERHEAD_BYTES: Final = 32
_EVERY_PROBLEM_MAX_BYTES: Final = 16 * 1024
_ONLY_FIRST: Final = f"of more than {_EVERY_PROBLEM_MAX_BYTES} bytes only the first problem is told"
_OURS: Final = frozenset({"required", "default"})
_ANNOTATIONS: Final = frozenset({"title", "description", "examples", "$comment", "deprecated", "readOnly", "writeOnly"})
_EXACT_TYPES: Final[dict[str, frozenset[type]]] = {
    "string": frozenset({str}),
    "boolean": frozenset({bool}),
    "integer": frozenset({int}),
    "number": frozenset({int, float}),
    "array": frozenset({list}),
    "object": frozenset({dict}),
    "null": frozenset({type(None)}),
}


from_json: Final = msgspec.json.Decoder().decode
"""Reads integers of any size, as they are."""


class ParametersRefused(Exception):
    """What was sent does not fit; `problems` has everything that is wrong."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems)
        self.problems = problems


class Parameter:
    """One parameter: a JSON Schema, and Skep's `required` and `default` beside it."""

    def __init__(self, name: str, specification: Mapping[str, Any]) -> None:
        self.name = name
        required = specification.get("required", False)
        self.required = required is True
        self.has_default = "default" in specification
        self._default_json = orjson.dumps(specification.get("default"))
        # A list under `required` is JSON Schema's own keyword, for the members of an object.
        self.schema = {
            key: value
            for key, value in specification.items()
            if key not in _OURS or (key == "required" and not isinstance(required, bool))
        }
        constraints = self.schema.keys() - _ANNOTATIONS
        only_type = self.schema.get("type") if constraints == {"type"} else None
        self.fitting_types = _EXACT_TYPES[only_type] if isinstance(only_type, str) else frozenset()
        """Types of which every value fits, so that the validator need not be asked."""
        self.is_free = not constraints

    @cached_property
    def validator(self) -> jsonschema_rs.Draft202012Validator:
        """The schema, compiled. Raises: ValueError or jsonschema_rs.ReferencingError for one that cannot be."""
        return jsonschema_rs.Draft202012Validator(
            self.schema, validate_formats=True, ignore_unknown_formats=True, offline=True
        )

    def default(self) -> Any:
        """A value of its own for each run: one run's changes to a list must not be another's default."""
        return orjson.loads(self._default_json)

    def problems(self, value: object, *, size_bytes: int) -> list[Problem]:
        """What is wrong with a value that came with so much JSON: of a large one, the first thing only."""
        if self.is_free or type(value) in self.fitting_types or self.validator.is_valid(value):
            return []
        return self._told(value, f"parameters.{self.name}", size_bytes)

    def specification_problems(self, path: str) -> list[Problem]:
        """What is wrong with the schema itself that only shows when it is compiled."""
        try:
            if not self.has_default or self.validator.is_valid(default := self.default()):
                # Asked for its own sake: a schema is compiled when it is first used.
                _ = self.validator
                return []
            return self._told(default, f"{path}.default", len(self._default_json))
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            return [_problem(path, str(error))]

    def _told(self, value: object, path: str, size_bytes: int) -> list[Problem]:
        if size_bytes > _EVERY_PROBLEM_MAX_BYTES:
            # All problems are made before the first is given, some microseconds each, and no alarm gets in between.
            try:
                self.validator.validate(value)
            except jsonschema_rs.ValidationError as error:
                return [_problem(_dotted(path, error), f"{error.message[:_MESSAGE_MAX_CHARACTERS]}; {_ONLY_FIRST}")]
        return [_problem(_dotted(path, error), error.message) for error in self.validator.iter_errors(value)]


def read_json(parameters_json: bytes) -> Any:
    """What was sent. Raises: ParametersRefused."""
    try:
        return from_json(parameters_json)
    # The service has checked the syntax, not how large a number is; and the stack is deeper here.
    except (msgspec.DecodeError, RecursionError) as error:
        raise ParametersRefused([Problem(path="parameters", message=str(error))]) from None


class Signature:
    """The parameters of one function, in their author's order."""

    def __init__(self, specifications: Mapping[str, Mapping[str, Any]]) -> None:
        self.parameters = {name: Parameter(name, specification) for name, specification in specifications.items()}
        self.named = named_parameters(tuple(self.parameters))
        self.takes_all_by_name = len(self.named) == len(self.parameters)
        """Whether every parameter is a name in the body's scope."""

    def bind_json(self, parameters_json: bytes) -> tuple[dict[str, Any], list[Any]]:
        """The whole mapping and the arguments, from JSON. Raises: ParametersRefused."""
        given = read_json(parameters_json)
        if not isinstance(given, dict):
            raise ParametersRefused([Problem(path="parameters", message="must be an object")])
        unknown = [name for name in given if name not in self.parameters]
        problems = [_problem(f"parameters.{name}", "unknown parameter") for name in unknown[1:]]
        if unknown:
            problems.insert(0, _problem(f"parameters.{unknown[0]}", f"unknown parameter; {self._offer()}"))
        values: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            if name in given:
                value = values[name] = given[name]
                if not parameter.is_free and type(value) not in parameter.fitting_types:
                    problems += parameter.problems(value, size_bytes=len(parameters_json))
            elif parameter.has_default:
                values[name] = parameter.default()
            elif parameter.required:
                problems.append(Problem(path=f"parameters.{name}", message="is required"))
            else:
                values[name] = None
        if problems:
            raise ParametersRefused(_few(problems))
        return values, self._arguments(values)

    def bind_call(
        self, function: str, args: Sequence[Any], named: Mapping[str, Any]
    ) -> tuple[dict[str, Any], list[Any]]:
        """The whole mapping and the arguments, from a sibling's call. Raises: TypeError, worded as Python words it."""
        if len(args) > len(self.parameters):
            raise TypeError(f"{function}() takes {len(self.parameters)} parameters but {len(args)} were given")
        given = dict(zip(self.parameters, args, strict=False))
        for name, value in named.items():
            if name not in self.parameters:
                raise TypeError(f"{function}() got an unexpected parameter {name!r}; {self._offer()}")
            if name in given:
                raise TypeError(f"{function}() got multiple values for parameter {name!r}")
            given[name] = value
        values: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            if name in given:
                values[name] = given[name]
            elif parameter.has_default:
                values[name] = parameter.default()
            elif parameter.required:
                raise TypeError(f"{function}() misses the required parameter {name!r}")
            else:
                values[name] = None
        return values, self._arguments(values)

    def _arguments(self, values: dict[str, Any]) -> list[Any]:
        if self.takes_all_by_name:
            return list(values.values())
        return [values[name] for name in self.named]

    def _offer(self) -> str:
        if not self.parameters:
            return "this function takes none"
        names = ", ".join(self.parameters)
        return f"this function takes {_cut(names, _OFFER_MAX_CHARACTERS)}"


def _dotted(path: str, error: jsonschema_rs.ValidationError) -> str:
    return ".".join([path, *map(str, error.instance_path)])


def _problem(path: str, message: str) -> Problem:
    return Problem(path=_cut(path, _PATH_MAX_CHARACTERS), message=_cut(message, _MESSAGE_MAX_CHARACTERS + 100))


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else f"{text[: characters - 1]}…"


def _few(problems: list[Problem]) -> list[Problem]:
    """As many as a person reads and a frame has room for, and how many more there are."""
    size_bytes = 0
    for number, problem in enumerate(problems[: _PROBLEMS_MAX + 1]):
        size_bytes += len(problem.path.encode()) + len(problem.message.encode()) + _PROBLEM_OVERHEAD_BYTES
        if number and (number == _PROBLEMS_MAX or size_bytes > _PROBLEMS_MAX_BYTES):
            return [*problems[:number], Problem(path="parameters", message=f"{len(problems) - number} more problems")]
    return problems
