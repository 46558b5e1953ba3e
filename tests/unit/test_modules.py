"""What `import` gives, and what it never gives."""

import importlib
import subprocess
import sys
import types
from typing import Any

import pytest

from sandbox.python import guards
from sandbox.python.compiler import CodeRefused, compile_body
from sandbox.python.module_tables import NEVER, ONLY, SUBMODULES, offered_modules
from sandbox.python.modules import DEFAULT_MODULES, Facade, Modules, logging_facade, output_modules
from tests.unit.bodies import load, make_namespace, run

IMPORTS: list[tuple[str, Any]] = [
    ("import json\nreturn json.loads('[1]')", [1]),
    ("import json as j, math as m\nreturn j.dumps(m.floor(1.5))", "1"),
    ("import urllib.parse\nreturn urllib.parse.quote('a b')", "a%20b"),
    ("import urllib.parse as p\nreturn p.quote('a b')", "a%20b"),
    ("from urllib import parse\nreturn parse.quote('a b')", "a%20b"),
    ("from urllib.parse import quote as q, unquote\nreturn unquote(q('a b'))", "a b"),
    ("import collections.abc\nreturn isinstance([], collections.abc.Sequence), collections.Counter('a')['a']", (True, 1)),
    ("from collections.abc import Mapping\nreturn isinstance({}, Mapping)", True),
    ("import email.mime.text\nreturn email.mime.text.MIMEText('x').get_content_type()", "text/plain"),
    ("from email.message import EmailMessage\nm = EmailMessage()\nm['To'] = 'a@b.c'\nreturn str(m['to'])", "a@b.c"),
    ("from html.parser import HTMLParser\nclass P(HTMLParser):\n  def __init__(self): super().__init__(); self._t = []\n  def handle_data(self, d): self._t.append(d)\np = P()\np.feed('<b>x</b>')\nreturn p._t", ["x"]),
    ("import datetime\nreturn datetime.datetime.strptime('2024', '%Y').year", 2024),
    ("import time\nreturn time.strptime('2024', '%Y').tm_year, 'ä'.encode('ascii', 'namereplace')", (2024, b"\\N{LATIN SMALL LETTER A WITH DIAERESIS}")),
    ("import functools\n@functools.wraps(len)\ndef f(): pass\n@functools.lru_cache\ndef g(n): return n\nreturn f.__name__, g(1)", ("len", 1)),
    ("import functools\n@functools.singledispatch\ndef f(x): return 'any'\n@f.register\ndef _(x: int): return 'int'\n@f.register(str)\ndef _(x): return 'str'\nreturn f(1), f(''), f([])", ("int", "str", "any")),
    ("import functools\nclass A:\n  @functools.singledispatchmethod\n  def f(self, x): return 'any'\n  @f.register\n  def _(self, x: int): return 'int'\n  @functools.cached_property\n  def n(self): return 1\nreturn A().f(1), A().f(''), A().n", ("int", "any", 1)),
    ("import functools\n@functools.total_ordering\nclass A:\n  def __init__(self, n): self.n = n\n  def __lt__(self, o): return self.n < o.n\n  def __eq__(self, o): return self.n == o.n\nreturn A(1) <= A(2)", True),
    ("import operator\nreturn operator.attrgetter('real', 'imag')(1), operator.itemgetter(0)([3]), operator.methodcaller('upper')('a')", ((1, 0), 3, "A")),
    ("import operator\nclass A:\n  _x = 4\nreturn operator.attrgetter('_x')(A()), operator.methodcaller('format', 1)('{}')", (4, "1")),
    ("import enum\nclass C(enum.Enum):\n  A = 1\n  B = enum.auto()\n  def low(self): return self._value_\n  @classmethod\n  def _missing_(cls, v): return cls.A\nreturn C(1).name, C('?') is C.A, [*C], len(C.__members__)", None),
    ("import enum\nreturn enum.Enum('E', 'A B').B.value, enum.IntFlag('F', {'X': 4}).X | 1", (2, 5)),
    ("import dataclasses as d\n@d.dataclass(order=True, frozen=True, slots=True, kw_only=True)\nclass A:\n  x: int = 1\n  l: list = d.field(default_factory=list)\nreturn d.asdict(d.replace(A(), x=2)), A() < A(x=2), [f.name for f in d.fields(A)]", ({"x": 2, "l": []}, True, ["x", "l"])),
    ("import typing as t\nclass N(t.NamedTuple):\n  a: int\n  b: str = 'q'\nclass D(t.TypedDict, total=False):\n  k: int\n@t.runtime_checkable\nclass P(t.Protocol):\n  def close(self): ...\nT = t.TypeVar('T')\nclass G(t.Generic[T]): pass\nreturn N(1)._replace(b='z'), D(k=1), isinstance(1, P), t.get_origin(t.List[int]) is list, G[int]() is not None", ((1, "z"), {"k": 1}, False, True, True)),
    ("import abc\nclass A(abc.ABC):\n  @abc.abstractmethod\n  def f(self): ...\ntry: A()\nexcept TypeError: return 'abstract'", "abstract"),
    ("import collections\nP = collections.namedtuple('P', 'x y')\nclass Q(P):\n  def s(self): return self.x + self.y\nreturn Q(1, 2).s(), P(1, 2)._asdict(), P._fields", (3, {"x": 1, "y": 2}, ("x", "y"))),
    ("import json, decimal, datetime\nclass E(json.JSONEncoder):\n  def default(self, o): return str(o)\nreturn json.dumps([decimal.Decimal('1.5')], cls=E)", '["1.5"]'),
    ("import io, csv, gzip, base64\nf = io.StringIO()\ncsv.writer(f).writerow([1, 2])\nreturn f.getvalue(), gzip.decompress(gzip.compress(b'x')), base64.b64encode(b'a')", ("1,2\r\n", b"x", b"YQ==")),
    ("import copy\nclass A:\n  def __init__(self): self._l = [1]\na = copy.deepcopy(A())\nreturn a._l, copy.copy(json) is json", None),
    ("import weakref\nclass A: pass\na = A()\nreturn weakref.ref(a)() is a, len(weakref.WeakSet([a]))", (True, 1)),
    ("import re, uuid, hashlib, zoneinfo, random, statistics\nreturn re.sub('a', 'b', 'a'), len(str(uuid.uuid4())), hashlib.sha256(b'').hexdigest()[:4], str(zoneinfo.ZoneInfo('Europe/Paris')), statistics.mean([1, 3])", ("b", 36, "e3b0", "Europe/Paris", 2)),
    ("import warnings, traceback, pprint, logging\nwarnings.warn('x')\nlogging.info('y')\nreturn traceback.format_exc(), pprint.pformat([1])", ("NoneType: None\n", "[1]")),
]  # fmt: skip


@pytest.mark.parametrize(("code", "expected"), IMPORTS)
def test_modules_are_used_as_anywhere(code: str, expected: Any) -> None:
    namespace = make_namespace()
    namespace["json"] = Modules(["json"]).importer("json")
    got = run(code, namespace)
    assert expected is None or got == expected


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
        assert not (isinstance(value, type) and issubclass(value, type)) or value is guards.type, name
        assert value not in (types.FunctionType, types.ModuleType, types.CodeType) if isinstance(value, type) else True


@pytest.mark.parametrize(("module", "name"), [(m, n) for t in (ONLY, NEVER) for m, ns in t.items() for n in sorted(ns)])
def test_the_tables_name_things_that_some_python_has(module: str, name: str) -> None:
    newer = {"QueueShutDown", "EnumDict", "evaluate_forward_ref", "pickle_by_enum_name", "pickle_by_global_name"}
    assert name in newer or hasattr(importlib.import_module(module), name)


@pytest.mark.parametrize("package", SUBMODULES)
def test_a_package_has_its_submodules(package: str) -> None:
    facade = Modules(DEFAULT_MODULES)._facade(package)
    assert all(isinstance(getattr(facade, inner), Facade) for inner in SUBMODULES[package])


REFUSED = ["import os", "import urllib", "import urllib.request", "import xml", "from os import path", "import asyncio.subprocess"]


@pytest.mark.parametrize("code", REFUSED)
def test_other_modules_are_refused_when_compiled_and_when_run(code: str) -> None:
    with pytest.raises(CodeRefused, match="these can: .*json"):
        compile_body("hello", code, [], modules=DEFAULT_MODULES)
    namespace = make_namespace()
    exec(compile_body("hello", code, []), namespace)
    coroutine = namespace["__skep_body__"]({})
    with pytest.raises(ImportError, match="these can: .*json"):
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
    with pytest.raises(ImportError, match="json, urllib.parse"):
        modules.importer("math")
    with pytest.raises(ImportError, match="does not offer"):
        modules.importer("json", fromlist=("tool",))


class Recorder:
    """A log that remembers."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, str, dict[str, object]]] = []

    def __getattr__(self, level: str) -> Any:
        return lambda message, **fields: self.entries.append((level, message, fields))


LOGGED: list[tuple[str, tuple[str, str, dict[str, object]]]] = [
    ("logging.info('a %s %d', 'b', 3)", ("info", "a b 3", {})),
    ("logging.getLogger('x').warning('w')", ("warning", "w", {"logger": "x"})),
    ("logging.getLogger(__name__).getChild('y').error('%(k)s', {'k': 1})", ("error", "1", {"logger": "workspace tests.y"})),
    ("logging.debug('%d', 'no number')", ("debug", "%d (its arguments do not fit: %d format: a real number is required, not str)", {})),
    ("logging.log(logging.CRITICAL, 'c', extra={'user': 1})", ("critical", "c", {"user": 1})),
    ("warnings.warn('old', DeprecationWarning)", ("warning", "old", {"category": "DeprecationWarning"})),
]  # fmt: skip


@pytest.mark.parametrize(("code", "entry"), LOGGED)
def test_logging_and_warnings_write_to_the_log_of_the_run(code: str, entry: tuple[str, str, dict[str, object]]) -> None:
    log = Recorder()
    namespace = make_namespace()
    overrides = output_modules(log=log, print_=print)
    namespace["__builtins__"]["__import__"] = Modules(DEFAULT_MODULES, overrides=overrides).importer
    run(f"import logging, warnings\n{code}", namespace)
    assert log.entries == [entry]


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
    logger("x").setLevel("ERROR")
    logger("x").info("a")
    assert not log.entries


def test_classes_of_a_library_cannot_be_changed() -> None:
    with pytest.raises(TypeError, match="immutable"):
        run("import json\njson.JSONEncoder.default = None")


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
