"""The guards around the library: façades, tables of names, wrappers, hardening, frozen classes."""

import collections
import contextlib
import dataclasses
import email.generator
import email.policy
import enum
import importlib
import operator
import types
from collections.abc import Callable
from typing import Any, Final

from sandbox.python import (
    frozen_classes,
    hardening,
    import_rules,
    instance_methods,
    module_tables,
    module_wrappers,
    modules,
)
from sandbox.python.output_modules import Logger
from tests.escapes.fence import ORIGINALS, Guard, both, identity, nothing, put, thaw

HELD_ELSEWHERE: Final = {
    "NEVER calendar": "what it names prints, and there is nowhere to print to",
    "ONLY abc": "the metaclass has a wrapper; what else it has is harmless",
    "ONLY hmac": "what else it has is harmless; the table keeps it tidy",
    "email.utils.make_msgid": "it saves a look-up that the jail refuses anyway",
    "copy.replace": "of 3.13 only; it reads the class's own method, as the real one does",
}
"""Entries of the tables that are there for other reasons than the fence."""


def _tables(table: dict[str, Any], module: str) -> Callable[[], None]:
    def remove() -> None:
        del table[module]
        modules._shared_facade.cache_clear()

    return remove


def _unwrapped(module: str, name: str) -> Callable[[], None]:
    def remove() -> None:
        wrappers: Any = module_wrappers.WRAPPERS[module]
        native = getattr(importlib.import_module(module), name)
        operator.setitem(wrappers, name, native)
        modules._shared_facade.cache_clear()

    return remove


def _fresh(removal: Callable[[], None]) -> Callable[[], None]:
    """Façades are made once; this makes them anew."""
    return both(removal, modules._shared_facade.cache_clear)


def _thawed(wanted: Callable[[str], bool]) -> Callable[[], None]:
    return lambda: thaw(cls for cls in frozen_classes._all_classes() if wanted(str(cls.__module__)))


def _modules_inside() -> None:
    native = modules.public_names

    def public_names(name: str) -> dict[str, object]:
        module = importlib.import_module(name)
        inside = {key: value for key, value in vars(module).items() if isinstance(value, types.ModuleType)}
        return {**native(name), **inside}

    modules.public_names = public_names


def _private_names() -> None:
    native = modules.public_names
    modules.public_names = lambda name: {**native(name), **vars(importlib.import_module(name))}


def _any_import(self: Any, name: str, *_rest: Any) -> Any:
    return __import__(name, None, None, ("*",))


def _no_complaints(*_arguments: Any) -> tuple[()]:
    return ()


_IMPORT_RULES: Final = put(import_rules, complaints=_no_complaints)


def _any_object() -> None:
    for cls in list(frozen_classes._all_classes()):
        for name, value in list(vars(cls).items()):
            function: Any = value.fget if type(value) is property else value
            code = getattr(function, "__code__", None)
            if code is not None and code.co_filename == instance_methods.__file__ and hasattr(function, "__wrapped__"):
                native = function.__wrapped__
                thaw([cls])
                type.__setattr__(cls, name, property(native) if type(value) is property else native)


def _decorators() -> None:
    for cls, call in ORIGINALS.decorators.items():
        put(cls, __call__=call)()


_NEVER: Final = {
    "csv": "limit of all csv readers",
    "email.charset": "charsets of all",
    "email.headerregistry": "registry of headers",
    "contextlib": "redirect_stdout",
    "enum": "enum, metaclass",
    "string": "CVE-2021-32811",
    "time": "time, the process's clock",
    "typing": "typing, annotations that are evaluated",
    "zoneinfo": "zone file",
}

_ONLY: Final = {
    "asyncio": "other tasks",
    "bz2": "bz2, files",
    "dataclasses": "make_dataclass",
    "gzip": "gzip.open",
    "io": "io, files",
    "lzma": "lzma, files",
    "types": "types.FunctionType",
    "uuid": "uuid.getnode",
    "weakref": "finalize",
}

_WRAPPERS: Final = {
    "abc.ABCMeta": "abc, metaclass",
    "copy.copy": "copy of a namespace that says how",
    "copy.deepcopy": "deepcopy of an object that says how",
    "dataclasses.dataclass": "event loop by a dataclass pattern",
    "dataclasses.fields": "fields of a dataclass, renamed",
    "functools.cached_property": "cached_property under a refused name",
    "functools.singledispatch": "singledispatch evaluates annotations",
    "functools.singledispatchmethod": "annotations by singledispatchmethod",
    "functools.total_ordering": "total_ordering of a class that is not its own",
    "functools.update_wrapper": "update_wrapper of any name",
    "functools.wraps": "wraps of any name",
    "operator.attrgetter": "attrgetter",
    "operator.methodcaller": "methodcaller",
    "typing.get_origin": "type from typing",
    "weakref.ref": "callback of a weak reference, told",
    "weakref.proxy": "callback of a proxy, told",
    "weakref.WeakMethod": "callback of a method's reference, told",
}

_HARDENED: Final[list[Guard]] = [
    Guard(
        "hardening: enums",
        put(type(enum.Enum), _create_=ORIGINALS.create),
        "enum of dunders",
    ),
    Guard(
        "hardening: dataclasses copy",
        put(dataclasses, copy=ORIGINALS.copy),
        "asdict of an object that says how",
    ),
    Guard(
        "hardening: email copies",
        put(email.generator, deepcopy=ORIGINALS.generator_deepcopy),
        "email that copies an object that says how",
    ),
    Guard(
        "hardening: UserDict.copy",
        put(collections.UserDict, copy=ORIGINALS.user_dict_copy),
        "copy by a UserDict of an object that says how",
    ),
    Guard(
        "hardening: policies",
        put(email.policy.Policy.__mro__[1], clone=ORIGINALS.clone),
        "class of an object by a policy",
    ),
    Guard(
        "hardening: the object of an AttributeError",
        lambda: hardening.replace_member(AttributeError, "obj", ORIGINALS.obj),
        "type by an exception of an exit stack",
    ),
    Guard("hardening: decorators", _decorators, "end swallowed by a decorator"),
    Guard(
        "hardening: exit stacks",
        put(contextlib.ExitStack, __exit__=ORIGINALS.exit),
        "end swallowed by a stack",
    ),
    Guard(
        "hardening: async exit stacks",
        put(contextlib.AsyncExitStack, __aexit__=ORIGINALS.aexit),
        "end swallowed by an async stack",
    ),
]

GUARDS: Final = [
    Guard(
        "modules: the importer (and import_rules)",
        both(_IMPORT_RULES, put(modules.Modules, importer=_any_import)),
        "CVE-2025-68668",
    ),
    Guard("modules: no modules inside modules", _fresh(_modules_inside), "os by json"),
    Guard(
        "modules: public names only (and import_rules)",
        both(_IMPORT_RULES, _fresh(_private_names)),
        "private name of a module",
    ),
    Guard(
        "modules: façades cannot be set",
        put(modules.Facade, __setattr__=object.__setattr__),
        "module without its own names",
    ),
    Guard(
        "modules: façades cannot be deleted from",
        put(modules.Facade, __delattr__=object.__delattr__),
        "module without its own names, deleted",
    ),
    Guard("modules: tables are copies", _fresh(put(modules, _unshared=identity)), "tables of a library"),
    *(
        Guard(f"module_tables: never, {module}", _tables(module_tables.NEVER, module), witness)
        for module, witness in _NEVER.items()
    ),
    *(
        Guard(f"module_tables: only, {module}", _tables(module_tables.ONLY, module), witness)
        for module, witness in _ONLY.items()
    ),
    *(Guard(f"module_wrappers: {name}", _unwrapped(*name.split(".")), witness) for name, witness in _WRAPPERS.items()),
    Guard(
        "module_wrappers: dataclass, copies of fields", put(module_wrappers, _sealed=identity), "replace of any field"
    ),
    Guard(
        "module_wrappers: dataclass, generated methods",
        put(module_wrappers, _keep_generated_to_objects=nothing),
        "event loop by a generated method",
    ),
    *_HARDENED,
    Guard(
        "instance_methods",
        _any_object,
        "a class as the object of a library's method: Counter.copy",
    ),
    Guard(
        "frozen_classes: the library's", _thawed(lambda name: name.startswith("json")), "class of a library, changed"
    ),
    Guard("frozen_classes: ours", lambda: thaw([Logger]), "class of ours, changed"),
]
