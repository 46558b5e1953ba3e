"""What `import` gives tenant code: façades that hold a module's public names and nothing else.

A façade cannot be changed, has no `__dict__` that code could reach, and holds no modules but those that are offered
under their own name. It has no `__name__` either: with one, `from a import b` would fall back to `sys.modules["a.b"]`.
"""

import decimal
import importlib
import types
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache, lru_cache
from typing import Any, Final

from sandbox.python import ownership
from sandbox.python.frozen_classes import classes_of, freeze_classes, freeze_own_classes, is_frozen
from sandbox.python.hardening import harden
from sandbox.python.instance_methods import keep_to_objects
from sandbox.python.library import load_library
from sandbox.python.module_tables import ALSO, DEFAULT_MODULES, NEVER, ONLY, SUBMODULES, offered_modules
from sandbox.python.module_wrappers import WRAPPERS
from sandbox.python.output_modules import SILENT, logging_facade, output_modules

__all__ = ["DEFAULT_MODULES", "Facade", "Modules", "logging_facade", "output_modules", "preload"]


class Facade:
    """A module as tenant code sees it. Attribute reads cost what they cost on any object."""

    __slots__ = ("__dict__", "_label")

    def __init__(self, label: str, public: Mapping[str, object]) -> None:
        object.__setattr__(self, "_label", label)
        self.__dict__.update(public)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"the module {self._label!r} cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"the module {self._label!r} cannot be changed")

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"the module {self._label!r} offers no {name!r} here")

    def __dir__(self) -> list[str]:
        return sorted(self.__dict__)

    def __repr__(self) -> str:
        return f"<module {self._label!r}>"

    def __copy__(self) -> "Facade":
        return self

    def __deepcopy__(self, memo: object) -> "Facade":
        return self


_IMPORTED_MAX: Final = 256
"""Statements that one workspace's answers are kept for; inline bodies bring ever new ones."""
_NOTHING: Final = Facade("", {})


@lru_cache(maxsize=8)
def _expanded(allowed: tuple[str, ...]) -> frozenset[str]:
    return frozenset(offered_modules(allowed))


def _discard(*_values: object, **_options: object) -> None:
    """Where output goes that no run owns."""


_SILENT_OUTPUT: Final = output_modules(log=SILENT, print_=_discard)


class Modules:
    """The modules of one workspace. `importer` is to be its `__import__`.

    `overrides` replace the contents of a module: `output_modules(...)` makes those that write to a run's logs.
    """

    def __init__(
        self, allowed: Iterable[str], *, overrides: Mapping[str, Mapping[str, object]] = _SILENT_OUTPUT
    ) -> None:
        self.allowed = tuple(dict.fromkeys(allowed))
        self._offered = _expanded(self.allowed)
        self._overrides = overrides
        self._facades: dict[str, Facade] = {}
        self._imported: dict[tuple[str, Iterable[str] | None, int], Facade] = {}

    def importer(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002, ARG002 - the signature of `__import__`
        locals: Mapping[str, object] | None = None,  # noqa: A002, ARG002 - the signature of `__import__`
        fromlist: Iterable[str] | None = (),
        level: int = 0,
    ) -> Facade:
        """The façade of a module, or of the package around it, as `__import__` would. Raises: ImportError."""
        if type(fromlist) is list and not fromlist:
            # An `import` statement gives None or a tuple. An empty list is PyImport_Import: C code needs a module, as
            # `datetime.strptime` does, asks through the builtins of whoever called it, and ignores what it gets.
            importlib.import_module(name)
            return _NOTHING
        statement = (name, fromlist, level)
        # A body imports what it needs each time it is run.
        if statement not in self._imported:
            if len(self._imported) >= _IMPORTED_MAX:
                self._imported.clear()
            self._imported[statement] = self._import(name, fromlist, level)
        return self._imported[statement]

    def _import(self, name: str, fromlist: Iterable[str] | None, level: int) -> Facade:
        wanted = tuple(fromlist or ())
        if level:
            raise ImportError("relative imports are not offered: call the other functions of the workspace by name")
        if name not in self._offered and wanted and all(f"{name}.{inner}" in self._offered for inner in wanted):
            return self._package(name)
        if name not in self._offered:
            offered = ", ".join(sorted(self.allowed))
            raise ImportError(f"the module {name!r} cannot be imported; these can: {offered}", name=name)
        if not wanted:
            self._facade(name)
            return self._package(name.partition(".")[0])
        facade = self._facade(name)
        # Checked here, because for a name that is missing Python itself would go on to look among the real modules.
        for inner in wanted:
            if inner not in facade.__dict__:
                raise ImportError(
                    f"cannot import name {inner!r}: the module {name!r} does not offer it here", name=name
                )
        return facade

    def _package(self, name: str) -> Facade:
        """The façade of a name that may be a module of its own or only lead to some that are offered."""
        if name in self._offered:
            return self._facade(name)
        if name not in self._facades:
            inner = {module.removeprefix(f"{name}.") for module in self._offered if module.startswith(f"{name}.")}
            parts = {part.partition(".")[0] for part in inner}
            self._facades[name] = Facade(name, {part: self._package(f"{name}.{part}") for part in parts})
        return self._facades[name]

    def _facade(self, name: str) -> Facade:
        if name not in self._overrides:
            return _shared_facade(name)
        if name not in self._facades:
            self._facades[name] = _facade_of(name, self._overrides[name])
        return self._facades[name]


@cache
def _shared_facade(name: str) -> Facade:
    """Nothing of it can be changed, so one is enough for all: those made before the first fork cost workers nothing."""
    inner = {inner: _shared_facade(f"{name}.{inner}") for inner in SUBMODULES.get(name, ())}
    return _facade_of(name, {**public_names(name), **inner})


def _facade_of(name: str, public: Mapping[str, object]) -> Facade:
    for value in public.values():
        if isinstance(value, type) and not issubclass(value, type):
            ownership.offer(value)
    return Facade(name, public)


def public_names(name: str) -> dict[str, object]:
    """What a module offers: public, no modules, as the tables have it, some in a safe form. Raises: ImportError."""
    module = importlib.import_module(name)
    offered = ONLY.get(name) or (*getattr(module, "__all__", ()), *ALSO.get(name, ())) or dir(module)
    public: dict[str, object] = {
        name: getattr(module, name)
        for name in offered
        if not name.startswith("_") and name not in NEVER.get(module.__name__, ()) and hasattr(module, name)
    }
    public = {name: _unshared(value) for name, value in public.items() if not isinstance(value, types.ModuleType)}
    return {**public, **WRAPPERS.get(module.__name__, {})}


class Table(Mapping[Any, Any]):
    """A dict of a library, which nobody can change. Not a `MappingProxyType`: `proxy | other` hands its dict over."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[Any, Any]) -> None:
        self._items = dict(items)

    def __getitem__(self, key: Any) -> Any:
        return self._items[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)


def _unshared(value: object) -> object:
    """What a module shares with everybody, in a form in which no function can change it for another."""
    if type(value) is dict:
        return Table(value)
    if type(value) is list:
        return tuple(value)
    if type(value) is set:
        return frozenset(value)
    return value.copy() if type(value) is decimal.Context else value


def preload(allowed: Collection[str]) -> None:
    """Load these modules and all they may need later, once: what is forked from this process can load nothing.

    Also closes gaps that a façade cannot, for this whole process: see `hardening`, `instance_methods` and
    `frozen_classes`.
    """
    load_library(allowed)
    harden()
    roots = {name.partition(".")[0] for name in allowed} - _SILENT_OUTPUT.keys() | {"weakrefset", "markupbase"}
    keep_to_objects(cls for cls in classes_of(roots) if not is_frozen(cls))
    freeze_classes(roots)
    for name in offered_modules(tuple(allowed)):
        if name not in _SILENT_OUTPUT:
            _shared_facade(name)
    freeze_own_classes()
