"""Finds the imports inside the functions of a module: what it will load only when it is used."""

import dis
import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType, ModuleType
from typing import Final

_IMPORT_NAME: Final = dis.opmap["IMPORT_NAME"]


@dataclass(frozen=True, slots=True)
class NestedImport:
    """An import statement in a function."""

    module: str
    """What is imported, absolute."""
    names: tuple[str, ...]
    """What is taken from it, each an attribute or a module inside."""
    place: str
    """`module:function`, qualified."""


def nested_imports(module: ModuleType) -> Iterator[str]:
    """The modules that functions of this one import; `a.b`, too, for `from a import b` where `b` may be a module."""
    for found in nested_import_statements(module):
        yield found.module
        for name in found.names:
            if name != "*" and not hasattr(sys.modules.get(found.module), name):
                yield f"{found.module}.{name}"


def nested_import_statements(module: ModuleType) -> Iterator[NestedImport]:
    """Every import statement in a function of this module; none where there is no bytecode to look at."""
    spec = getattr(module, "__spec__", None)  # what stands in `sys.modules` need not be a module
    get_code = getattr(spec and spec.loader, "get_code", None)
    if spec is None or get_code is None:
        return
    try:
        code: CodeType | None = get_code(spec.name)
    except (ImportError, SyntaxError):
        # Another name for a module that is loaded under its own: `os.path`.
        return
    for function in _functions(code) if code is not None else ():
        for level, names, name in _statements(function):
            try:
                absolute = importlib.util.resolve_name("." * level + name, spec.parent) if level else name
            except ImportError:
                continue
            yield NestedImport(absolute, names, f"{spec.name}:{function.co_qualname}")


def _functions(code: CodeType) -> Iterator[CodeType]:
    """All code but the module's own, which has run. That of a class body has run, too; it does no harm."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _functions(constant)


def _statements(code: CodeType) -> Iterator[tuple[int, tuple[str, ...], str]]:
    """Level, names taken and module of every import statement. Two constants are always loaded right before it."""
    # Inline caches can look like the instruction; then nothing is found below.
    if _IMPORT_NAME not in code.co_code[::2]:
        return
    instructions = [found for found in dis.get_instructions(code) if found.opname != "EXTENDED_ARG"]
    for level, names, statement in zip(instructions, instructions[1:], instructions[2:], strict=False):
        if statement.opcode == _IMPORT_NAME:
            yield level.argval, tuple(names.argval or ()), statement.argval
