"""What no walk may arrive at: each would be a way out of the language."""

import asyncio
import builtins
import ctypes
import importlib.machinery
import io
import os
import subprocess
import sys
import types
from typing import Any, Final

from sandbox.python import builtins as offered

_KINDS: Final = {
    "a module": types.ModuleType,
    "a frame": types.FrameType,
    "a code object": types.CodeType,
    "an event loop": asyncio.AbstractEventLoop,
    "a file of the system": io.FileIO,
    "a library of machine code": ctypes.CDLL,
    "a task of the run": asyncio.Handle,
}
_ANY_KIND: Final = tuple(_KINDS.values())
_CLASSES: Final = set(map(id, (
    type, types.FunctionType, types.CodeType, types.FrameType, types.ModuleType, types.CellType, subprocess.Popen,
    io.FileIO, io.TextIOWrapper, io.BufferedReader, ctypes.CDLL,
    importlib.machinery.SourceFileLoader, importlib.machinery.ModuleSpec, importlib.machinery.FileFinder,
    importlib.machinery.BuiltinImporter, importlib.machinery.FrozenImporter, importlib.machinery.PathFinder,
)))  # fmt: skip
_LOADERS: Final = (
    importlib.machinery.SourceFileLoader, importlib.machinery.SourcelessFileLoader,
    importlib.machinery.ExtensionFileLoader, importlib.machinery.ModuleSpec, importlib.machinery.FileFinder,
)  # fmt: skip
_REFUSED_BUILTINS: Final = {
    id(value): name
    for name, value in vars(builtins).items()
    if callable(value)
    and name not in offered.BUILTIN_NAMES - {"type", "getattr", "setattr", "delattr", "hasattr", "vars", "dir", "print"}
}


def goal(obj: Any) -> str | None:  # noqa: PLR0911 - a list of things, a line each
    """What this is, if nobody may have it."""
    if _may_be(obj, _ANY_KIND):
        for label, kind in _KINDS.items():
            if _may_be(obj, kind):
                return label
    if isinstance(obj, _LOADERS):
        return "a loader"
    if id(obj) in _CLASSES:
        return f"the class {obj.__name__}"
    if id(obj) in _REFUSED_BUILTINS:
        return f"the builtin {_REFUSED_BUILTINS[id(obj)]}"
    if type(obj) is types.BuiltinMethodType and obj.__name__ in {
        "__subclasses__",
        "mro",
        "__reduce_ex__",
        "__reduce__",
    }:
        return f"the method {obj.__qualname__}"
    if type(obj) is dict:
        return _dict_goal(obj)
    return _process_goal(obj)


def _may_be(obj: Any, kind: type | tuple[type, ...]) -> bool:
    try:
        return isinstance(obj, kind)
    except Exception:  # noqa: BLE001 - an object may say of its class what it likes, and raise
        # Of several kinds the first may have raised.
        return isinstance(kind, tuple) and any(_may_be(obj, one) for one in kind)


def _dict_goal(obj: dict[Any, Any]) -> str | None:
    if obj is sys.modules:
        return "sys.modules"
    for name, module in list(sys.modules.items()):
        if obj is getattr(module, "__dict__", None):
            return f"the namespace of {name}"
    if "__builtins__" in obj or "__loader__" in obj:
        return "the globals of a function"
    return None


def _process_goal(obj: Any) -> str | None:
    module = getattr(obj, "__module__", None)
    if isinstance(obj, types.BuiltinFunctionType) and module in {"posix", "sys", "_imp", "gc", "_ctypes", "marshal"}:
        return f"the function {module}.{obj.__name__}"
    if isinstance(obj, type(os.environ)):
        return "the environment"
    return None
