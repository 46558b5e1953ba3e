"""What the standard library loads late is there in a process that can load nothing."""

import fnmatch
import functools
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.unit.bodies import cases

PROGRAMS = cases("library")

NOT_NEEDED = {
    "*:main": "what a module does as a program",
    "*:_main": "the same",
    "*:_test": "the same",
    "random:_parse_args": "the same",
    "site:*": "the interpreter's start",
    "_sitebuiltins:*": "the interactive help",
    "platform:*": "asks the machine what it is; nothing that is offered wants to know",
    "sysconfig:*": "the same for the interpreter",
    "os:add_dll_directory": "Windows",
    "ctypes:*": "loads libraries; not for tenants",
    "encodings:_alias_mbcs": "Windows; elsewhere the codec does not exist",
    "msgspec.*": "the service's messages; they use JSON and MessagePack only",
    "concurrent.futures:__getattr__": "threads and processes",
    "pathlib:*": "files",
    "shutil:*": "files",
    "tokenize:*": "reads source text",
    "subprocess:*": "processes",
    "zipfile:*": "files",
    "logging:Logger.__reduce__": "`pickle`; functions have loggers of their own, which are not pickled",
    "warnings:_formatwarnmsg_impl": "`tracemalloc`, without which it goes on; it writes where nobody reads",
    "_colorize:*": "terminals",
}
"""Functions, `module:name`, that import what is not loaded, and why no function of a tenant gets there."""

FIND_MISSING = """
import importlib.util, json, sys
import sandbox.zygote
from sandbox.python.modules import DEFAULT_MODULES, preload
from sandbox.python.nested_imports import nested_import_statements

preload(DEFAULT_MODULES)
known = dict(sys.modules)

def is_there(name):
    try:
        return name in known or importlib.util.find_spec(name) is not None
    except ImportError:
        return False

missing = {}
for module in known.values():
    for found in nested_import_statements(module):
        inner = [f"{found.module}.{name}" for name in found.names if not hasattr(known.get(found.module), name)]
        for name in (found.module, *inner):
            if name not in known and (is_there(name) or name == found.module):
                missing[found.place] = name
json.dump({"missing": missing, "modules": len(known)}, sys.stdout)
"""


def python(*arguments: str, stdin: str = "", **environment: str) -> Any:
    """What a fresh interpreter writes, as JSON."""
    done = subprocess.run(
        [sys.executable, *arguments],
        input=stdin,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@functools.cache
def without_files(**environment: str) -> Any:
    """What all programs gave and asked for in a process without files."""
    bodies = json.dumps({name: code for name, (code, _) in PROGRAMS.items()})
    return python("-m", "tests.unit.without_files", stdin=bodies, **environment)


@pytest.mark.parametrize("name", PROGRAMS)
def test_without_files_the_library_works_as_it_does_outside(name: str) -> None:
    assert without_files()["results"][name] == PROGRAMS[name][1]


def test_the_library_asks_for_nothing_but_codecs_that_do_not_exist() -> None:
    asked = {line for line in without_files()["asked"] if "xxx" not in line}
    assert asked == {f"import encodings.{name}" for name in ("no_such_codec", "os", "encodings", "x_none")}


def test_zones_come_from_the_package_where_the_system_has_none_and_the_machines_own_zone_is_not_seen() -> None:
    elsewhere = without_files(PYTHONTZPATH="", TZ="America/New_York")["results"]
    assert elsewhere == {name: expected for name, (_, expected) in PROGRAMS.items()}


@functools.cache
def missing() -> dict[str, str]:
    """By function, what it would import that is not loaded; found by a scan of the bytecode of all loaded modules."""
    found = python("-c", FIND_MISSING)
    assert found["modules"] > 400
    places: dict[str, str] = found["missing"]
    return places


def test_every_import_inside_a_function_is_loaded_or_known_not_to_be_needed() -> None:
    unknown = {
        place: name for place, name in missing().items() if not any(fnmatch.fnmatch(place, seen) for seen in NOT_NEEDED)
    }
    assert unknown == {}


FIND_CODECS = """
import encodings, json, pkgutil, sys
from sandbox.python.modules import DEFAULT_MODULES, preload
preload(DEFAULT_MODULES)
names = [module.name for module in pkgutil.iter_modules(encodings.__path__)]
print(json.dumps([name for name in names if f"encodings.{name}" not in sys.modules]))
"""


def test_every_codec_is_loaded_but_those_of_windows() -> None:
    assert python("-c", FIND_CODECS) == ["mbcs", "oem"]


ADDED = """
import json, sys
from sandbox.python.modules import DEFAULT_MODULES, preload
names = sys.argv[1].split(",")
preload([*DEFAULT_MODULES, *names])
print(json.dumps([name for name in sys.argv[2].split(",") if name in sys.modules]))
"""


def test_what_an_operators_module_imports_late_is_loaded_one_level_deep(tmp_path: Any) -> None:
    package = tmp_path / "addition"
    package.mkdir()
    (package / "__init__.py").write_text("import addition.inner")
    (package / "inner.py").write_text(
        "def f():\n    from . import late\n    import colorsys, doctest, no_such_module, yaml, addition.broken\n"
        "    from xml.etree import ElementTree"
    )
    (package / "late.py").write_text("def f():\n    import addition.later")
    (package / "later.py").write_text("")
    (package / "broken.py").write_text("1 / 0")
    names = "addition.late,colorsys,xml.etree.ElementTree,addition.later,addition.broken,doctest,yaml"
    loaded = python("-c", ADDED, "addition", names, PYTHONPATH=str(tmp_path))
    assert loaded == ["addition.late", "colorsys", "xml.etree.ElementTree"]


@pytest.mark.parametrize(
    "name", ["locale", "gettext", "mimetypes", "tomllib", "shlex", "pickle", "configparser", "http.cookies", "sched"]
)
def test_an_operator_may_add(name: str) -> None:
    assert python("-c", ADDED, name, f"{name},pdb,unittest,tkinter,pydoc") == [name]
