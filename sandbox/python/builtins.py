"""The builtins of tenant code: the ordinary ones, with guarded forms of those that take attribute names."""

import builtins
from collections.abc import Callable, Collection
from typing import Any, Final, NoReturn

from sandbox.python import guards, ownership
from sandbox.python.checks import CHECKS
from sandbox.python.rewrites import Hook
from sandbox.python.words import words

_NATIVE: Final = frozenset(
    words("""
    abs aiter all anext any ascii bin bool bytearray bytes callable chr classmethod complex dict divmod enumerate
    filter float format frozenset hash hex id int isinstance issubclass iter len list map max memoryview min next
    object oct ord pow property range repr reversed round set slice sorted staticmethod str sum super tuple zip
    Ellipsis NotImplemented
    """)
)
"""Builtins that cannot be turned against anything: every class among them keeps its secrets under refused names."""

_EXCEPTIONS: Final = frozenset(
    name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, BaseException)
)

_GUARDED: Final[dict[str, object]] = {
    "type": guards.type,
    "getattr": guards.getattr,
    "hasattr": guards.hasattr,
    "setattr": guards.setattr,
    "delattr": guards.delattr,
    "vars": guards.variables,
    "dir": guards.dir,
}

_ABSENT: Final = {
    "open": "there are no files; use io.StringIO or io.BytesIO, or keep values in `cache`",
    "exec": "code cannot be made at run time; write a function",
    "eval": "code cannot be made at run time; json.loads reads values",
    "compile": "code cannot be made at run time; write a function",
    "globals": "use `cache` to share values between functions",
    "locals": "use a dict of your own",
    "input": "nobody types; take a parameter",
    "breakpoint": "there is no debugger; use print or log",
    "help": "nobody reads it; use print or log",
    "exit": "use return",
    "quit": "use return",
}
"""Builtins that are not offered, and what to do instead."""

BUILTIN_NAMES: Final = _NATIVE | _EXCEPTIONS | _GUARDED.keys() | {"print"}
"""The public names that tenant code finds without importing anything."""

NEVER_GLOBAL: Final = BUILTIN_NAMES | _ABSENT.keys()
"""Names that no `global` may bind: it would hide them from every function of the workspace."""


def _absent(name: str, advice: str) -> Callable[..., NoReturn]:
    def absent(*_args: Any, **_options: Any) -> NoReturn:
        raise NameError(f"{name}() is not offered here: {advice}", name=name)

    absent.__name__ = absent.__qualname__ = name
    return absent


_PROVIDED: Final[dict[str, object]] = {
    **{name: vars(builtins)[name] for name in _NATIVE | _EXCEPTIONS},
    **_GUARDED,
    **{name: _absent(name, advice) for name, advice in _ABSENT.items()},
}

for _name in _NATIVE | _EXCEPTIONS:
    if isinstance(vars(builtins)[_name], type):
        ownership.offer(vars(builtins)[_name])


def make_builtins(
    *,
    print_: Callable[..., None],
    importer: Callable[..., object],
    stop: type[BaseException],
    check: Callable[[], None],
    expired: Collection[object],
) -> dict[str, object]:
    """A new dict to stand as `__builtins__` in the namespace of a workspace.

    `stop` is what ends an expired run, `check` raises it if the current run has expired, and `expired` is empty as long
    as no run has; all three are for code that the compiler puts in. The namespace itself needs `__name__`, a string
    that names no module of the process.
    """
    CHECKS.check = check
    return {
        **_PROVIDED,
        "print": print_,
        "__import__": importer,
        "__build_class__": guards.build_class,
        "__debug__": True,
        Hook.STOP.value: stop,
        Hook.CHECK.value: check,
        Hook.EXPIRED.value: expired,
        Hook.PRIVATE.value: ownership.private,
        Hook.TYPE.value: builtins.type,
        Hook.RECENT.value: ownership.RECENT,
        Hook.GUARDED.value: guards.guarded_attribute,
    }
