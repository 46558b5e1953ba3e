"""Methods that refuse objects of other classes, at the price of a plain call.

A wrapper that takes `*args, **options` costs a tuple and a dictionary on every call, and a frame that the interpreter
cannot inline. So it has the parameters of the method that it calls: a template with as many, whose parameters are given
their names. In code they are numbers, so that a name means nothing to what the wrapper itself refers to.
"""

import functools
import inspect
from types import CodeType, FunctionType
from typing import Any, Final

_TEMPLATE: Final = """
def make(made, function):
    def method({parameters}):
        if type({own}) is not made and made not in type({own}).__mro__:
            raise TypeError(f"{{function.__name__}}() needs an object of {{made.__name__!r}}")
        return function({parameters})
    return method
"""
_VARIADIC: Final = inspect.CO_VARARGS | inspect.CO_VARKEYWORDS


def of_objects(made: type, function: FunctionType) -> Any:
    """A method that does what this one does, for objects of a class and of those that inherit from it."""
    code = function.__code__
    if code.co_kwonlyargcount or code.co_flags & _VARIADIC or not code.co_argcount:
        return _any_parameters(made, function)
    method = _maker(code.co_argcount)(made, function)
    method.__code__ = _named(method.__code__, code)
    method.__defaults__ = function.__defaults__
    return functools.wraps(function, updated=())(method)


@functools.lru_cache(maxsize=64)
def _maker(count: int) -> Any:
    parameters = [f"_{number}" for number in range(count)]
    namespace: dict[str, Any] = {}
    exec(_TEMPLATE.format(parameters=", ".join(parameters), own=parameters[0]), namespace)  # noqa: S102 - nothing in it but numbers
    return namespace["make"]


def _named(template: CodeType, like: CodeType) -> CodeType:
    return template.replace(co_varnames=like.co_varnames[: like.co_argcount])


def _any_parameters(made: type, function: FunctionType) -> Any:
    @functools.wraps(function, updated=())
    def method(self: Any, /, *args: Any, **options: Any) -> Any:
        if made not in type(self).__mro__:
            raise TypeError(f"{function.__name__}() needs an object of {made.__name__!r}")
        return function(self, *args, **options)

    return method
