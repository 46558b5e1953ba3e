"""What `import` gives, and what it never gives."""

import importlib
import subprocess
import sys
import types
from typing import Any

import pytest

from sandbox import scope
from sandbox.python import frozen_classes, guards
from sandbox.python.compiler import CodeRefused, compile_body
from sandbox.python.module_tables import NEVER, ONLY, SUBMODULES, offered_modules
from sandbox.python.modules import DEFAULT_MODULES, Facade, Modules, logging_facade, output_modules
from sandbox.python.output_modules import Logger
from tests.unit.bodies import cases, load, make_namespace, run

IMPORTS = cases("imports")


@pytest.mark.parametrize(("code", "expected"), IMPORTS.values(), ids=IMPORTS)
def test_modules_are_used_as_anywhere(code: str, expected: Any) -> None:
    assert run(code) == expected


@pytest.mark.parametrize("module", sorted({*DEFAULT_MODULES, *offered_modules(DEFAULT_MODULES)}))
def test_a_facade_holds_no_module_and_no_way_to_make_a_class(module: str) -> None:
    modules = Modules(DEFAULT_MODULES)
    facade = modules._facade(module)
    names = dir(facade)
    assert names
    for name in names:
        value = getattr(facade, name)
        assert not name.startswith("_")
        assert not isinstance(value, types.ModuleType | types.FrameType | types.CodeType)
        assert not (isinstance(value, type) and issubclass(value, type)), name
        assert value not in (types.FunctionType, types.ModuleType, types.CodeType) if isinstance(value, type) else True


@pytest.mark.parametrize(("module", "name"), [(m, n) for t in (ONLY, NEVER) for m, ns in t.items() for n in sorted(ns)])
def test_the_tables_name_things_that_some_python_has(module: str, name: str) -> None:
    newer = {"QueueShutDown", "EnumDict", "evaluate_forward_ref", "pickle_by_enum_name", "pickle_by_global_name"}
    assert name in newer or hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize("package", SUBMODULES)
def test_a_package_has_its_submodules(package: str) -> None:
    facade = Modules(DEFAULT_MODULES)._facade(package)
    assert all(isinstance(getattr(facade, inner), Facade) for inner in SUBMODULES[package])


REFUSED = [
    "import os",
    "import urllib",
    "import urllib.request",
    "import xml",
    "from os import path",
    "import asyncio.subprocess",
]


@pytest.mark.parametrize("code", REFUSED)
def test_other_modules_are_refused_when_compiled_and_when_run(code: str) -> None:
    with pytest.raises(CodeRefused, match=r"these can: .*json"):
        compile_body("hello", code, [], modules=DEFAULT_MODULES)
    namespace = make_namespace()
    exec(compile_body("hello", code, []), namespace)
    coroutine = namespace["__skep_body__"]({})
    with pytest.raises(ImportError, match=r"these can: .*json"):
        coroutine.send(None)


@pytest.mark.parametrize("name", ["dumps", "new", "__dict__", "_label"])
def test_a_facade_cannot_be_changed(name: str) -> None:
    facade = Modules(["json"]).importer("json")
    with pytest.raises(AttributeError, match="cannot be changed"):
        setattr(facade, name, 1)
    with pytest.raises(AttributeError, match="cannot be changed"):
        delattr(facade, name)


def test_what_a_facade_does_not_offer_is_said_by_name() -> None:
    facade = Modules(["asyncio"]).importer("asyncio")
    assert repr(facade) == "<module 'asyncio'>"
    with pytest.raises(AttributeError, match="'asyncio' offers no 'run' here"):
        _ = facade.run


def test_an_override_takes_the_place_of_a_module() -> None:
    modules = Modules(["logging"], overrides={"logging": {"info": 5}})
    assert dir(modules.importer("logging")) == ["info"]
    assert modules.allowed == ("logging",)


def test_only_the_modules_that_are_allowed_can_be_imported() -> None:
    modules = Modules(["json", "urllib.parse"])
    assert dir(modules.importer("urllib.parse")) == ["parse"]
    assert "quote" in dir(modules.importer("urllib.parse", fromlist=("quote",)))
    with pytest.raises(ImportError, match=r"json, urllib.parse"):
        modules.importer("math")
    with pytest.raises(ImportError, match="does not offer"):
        modules.importer("json", fromlist=("tool",))


class Recorder:
    """A log that remembers."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, dict[str, object]]] = []

    def __getattr__(self, level: str) -> Any:
        return lambda message, **fields: self.entries.append((level, message, fields))


LOGGED: list[tuple[str, str, str, dict[str, object]]] = [
    ("logging.info('a %s %d', 'b', 3)", "info", "a b 3", {}),
    ("logging.getLogger('x').warning('w')", "warning", "w", {"logger": "x"}),
    ("logging.getLogger('a').getChild('b').error('%(k)s', {'k': 1})", "error", "1", {"logger": "a.b"}),
    (
        "logging.debug('%d', 'x')",
        "debug",
        "%d (its arguments do not fit: %d format: a real number is required, not str)",
        {},
    ),
    ("logging.log(logging.CRITICAL, 'c', extra={'user': 1})", "critical", "c", {"user": 1}),
    ("warnings.warn('old', DeprecationWarning)", "warning", "old", {"category": "DeprecationWarning"}),
]


@pytest.mark.parametrize(("code", "level", "message", "fields"), LOGGED)
def test_logging_and_warnings_write_to_the_log_of_the_run(
    code: str, level: str, message: str, fields: dict[str, object]
) -> None:
    log = Recorder()
    namespace = make_namespace()
    overrides = output_modules(log=log, print_=print)
    namespace["__builtins__"]["__import__"] = Modules(DEFAULT_MODULES, overrides=overrides).importer
    run(f"import logging, warnings\n{code}", namespace)
    assert log.entries == [(level, message, fields)]


def test_a_logged_exception_carries_its_traceback() -> None:
    log = Recorder()
    facade: dict[str, Any] = logging_facade(log)
    body = load("try: 1 / 0\nexcept ZeroDivisionError: log('failed')", make_namespace(log=facade["exception"]))
    with pytest.raises(StopIteration):
        body({}).send(None)
    [(level, message, fields)] = log.entries
    assert (level, message) == ("error", "failed")
    assert 'Function "hello", line 1' in str(fields["traceback"])


def test_a_logger_below_its_level_is_silent() -> None:
    log = Recorder()
    logger: Any = logging_facade(log)["getLogger"]
    one = logger("x")
    one.setLevel("ERROR")
    one.info("a")
    assert not log.entries


def test_no_function_silences_another() -> None:
    log = Recorder()
    facade: Any = logging_facade(log)
    facade["getLogger"]("x").disabled = True
    facade["root"].setLevel("CRITICAL")
    with pytest.raises(AttributeError, match=r"use logging\.getLogger"):
        facade["root"].disabled = True
    with pytest.raises(AttributeError):
        facade["root"].handlers.append(1)
    facade["getLogger"]("x").info("a")
    facade["info"]("b")
    assert [message for _, message, _ in log.entries] == ["a", "b"]


def test_classes_of_a_library_cannot_be_changed() -> None:
    with pytest.raises(TypeError, match="immutable"):
        run("import json\njson.JSONEncoder.default = None")


def test_our_own_classes_cannot_be_changed() -> None:
    frozen_classes.freeze_own_classes()
    classes: list[Any] = [Facade, scope.Log, scope.Context, scope.Names, Logger, guards.type]
    for cls in classes:
        with pytest.raises(TypeError, match="immutable"):
            cls.info = None


def test_preloading_works_in_a_fresh_process() -> None:
    # Everything at once, as the zygote does it, with the interpreter still sound afterwards.
    program = (
        "from sandbox.python.modules import DEFAULT_MODULES, Modules, preload; preload(DEFAULT_MODULES);"
        "preload(DEFAULT_MODULES); m = Modules(DEFAULT_MODULES); [m._facade(n) for n in DEFAULT_MODULES];"
        "import gc, asyncio, enum, dataclasses; gc.collect(); asyncio.run(asyncio.sleep(0));"
        "print(enum.Enum('E', 'A').A.value)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
