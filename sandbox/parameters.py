"""From the parameters somebody sent to the arguments a function's body takes."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

import jsonschema_rs
import orjson

from sandbox.protocol import Problem
from sandbox.python.compiler import named_parameters

_MESSAGE_MAX_CHARACTERS: Final = 500
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

    def problems(self, value: object) -> list[Problem]:
        """Everything wrong with a value."""
        if self.is_free or type(value) in self.fitting_types or self.validator.is_valid(value):
            return []
        return [
            Problem(
                path=".".join(["parameters", self.name, *map(str, error.instance_path)]),
                message=error.message[:_MESSAGE_MAX_CHARACTERS],
            )
            for error in self.validator.iter_errors(value)
        ]

    def specification_problems(self, path: str) -> list[Problem]:
        """Everything wrong with the schema itself that only shows when it is compiled."""
        try:
            validator = self.validator
            errors = validator.iter_errors(self.default()) if self.has_default else ()
            return [
                Problem(path=".".join([path, "default", *map(str, error.instance_path)]),
                        message=error.message[:_MESSAGE_MAX_CHARACTERS])
                for error in errors
            ]  # fmt: skip
        except (ValueError, jsonschema_rs.ReferencingError) as error:
            return [Problem(path=path, message=str(error)[:_MESSAGE_MAX_CHARACTERS])]


class Signature:
    """The parameters of one function, in their author's order."""

    def __init__(self, specifications: Mapping[str, Mapping[str, Any]]) -> None:
        self.parameters = {name: Parameter(name, specification) for name, specification in specifications.items()}
        self.named = named_parameters(tuple(self.parameters))
        self._takes_all_by_name = len(self.named) == len(self.parameters)

    def bind_json(self, parameters_json: bytes) -> tuple[dict[str, Any], list[Any]]:
        """The whole mapping and the arguments, from JSON. Raises: ParametersRefused."""
        try:
            given = orjson.loads(parameters_json)
        except orjson.JSONDecodeError as error:  # the service checked the syntax; its reader goes deeper than this one
            raise ParametersRefused([Problem(path="parameters", message=str(error))]) from None
        if not isinstance(given, dict):
            raise ParametersRefused([Problem(path="parameters", message="must be an object")])
        problems = [
            Problem(path=f"parameters.{name}", message=f"unknown parameter; {self._offer()}")
            for name in given.keys() - self.parameters.keys()
        ]
        values: dict[str, Any] = {}
        for name, parameter in self.parameters.items():
            if name in given:
                value = values[name] = given[name]
                if not parameter.is_free and type(value) not in parameter.fitting_types:
                    problems += parameter.problems(value)
            elif parameter.has_default:
                values[name] = parameter.default()
            elif parameter.required:
                problems.append(Problem(path=f"parameters.{name}", message="is required"))
            else:
                values[name] = None
        if problems:
            raise ParametersRefused(problems)
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
        if self._takes_all_by_name:
            return list(values.values())
        return [values[name] for name in self.named]

    def _offer(self) -> str:
        if not self.parameters:
            return "this function takes none"
        return f"this function takes {', '.join(self.parameters)}"
