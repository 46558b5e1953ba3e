"""`str.format` without a way round the rules for attributes.

A format string may read attributes ("{0.name}"), and it is data, so the compiler cannot decide it. Its fields are read
with Python's own parser before the native method runs, and every attribute must be one that may be read natively.
"""

import _string  # type: ignore[import-not-found] # what the string module itself uses
from collections import UserString
from collections.abc import Callable
from functools import partial
from types import BuiltinMethodType, MethodType
from typing import Any, Final, cast

from sandbox.python import names
from sandbox.python.names import Verdict

_NATIVE: Final = {"format": str.format, "format_map": str.format_map}


def find_refused_field(template: str, *, nested: bool = False) -> str | None:
    """The first attribute in a format string that may not be read, or None.

    A malformed string is read as far as the native method would read it before it raises.
    """
    try:
        for _, field, spec, _ in _string.formatter_parser(template):
            if field is None:
                continue
            for is_attribute, key in _string.formatter_field_name_split(field)[1]:
                if is_attribute and names.reading(key) is not Verdict.NATIVE:
                    return str(key)
            if spec and not nested and (refused := find_refused_field(spec, nested=True)):
                return refused
    except ValueError:
        return None
    return None


def _check(template: str) -> None:
    refused = find_refused_field(template)
    if refused is not None:
        raise AttributeError(f"a format string cannot read the attribute {refused!r}: pass its value instead")


def made_safe(method: object, name: str) -> object:
    """What stands for an attribute called `format` or `format_map`: itself, unless it is that method of a string."""
    native = _NATIVE[name]
    if getattr(method, "__func__", method) is vars(UserString)[name]:
        return _of_user_string(method, native)
    if method is native:
        return _unbound(native)
    # The subject is taken from the method, so it does not matter how the method was come by (`super()`, say).
    if isinstance(method, BuiltinMethodType) and method.__name__ == name and isinstance(method.__self__, str):
        return _bound(native, str.__str__(method.__self__))
    return method


def _of_user_string(method: object, native: Callable[..., str]) -> Callable[..., str]:
    safe = _unbound(native)

    def format(subject: UserString, /, *args: object, **fields: object) -> str:  # noqa: A001 - what tenant code sees its name is
        data: Any = subject.data
        if not isinstance(data, str):
            raise TypeError("the data of a UserString must be a string")
        return safe(data, *args, **fields)

    return partial(format, cast("UserString", method.__self__)) if isinstance(method, MethodType) else format


def _unbound(native: Callable[..., str]) -> Callable[..., str]:
    def format(template: str, /, *args: object, **fields: object) -> str:  # noqa: A001 - what tenant code sees its name is
        if isinstance(template, str):
            template = str.__str__(template)
            _check(template)
        return native(template, *args, **fields)

    return format


def _bound(native: Callable[..., str], template: str) -> Callable[..., str]:
    def format(*args: object, **fields: object) -> str:  # noqa: A001 - what tenant code sees its name is
        _check(template)
        return native(template, *args, **fields)

    return format
