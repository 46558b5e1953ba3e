"""Where a walk begins: everything in scope of a body, every module it may import, and what its own code makes."""

import asyncio
from typing import Any, Final

from sandbox import scope
from sandbox.cache import Cache
from sandbox.cache_calls import CacheCalls
from sandbox.fetch import Fetch
from sandbox.protocol import Fetched
from sandbox.python.builtins import BUILTIN_NAMES
from sandbox.python.module_tables import offered_modules
from sandbox.python.modules import DEFAULT_MODULES, Modules
from sandbox.python.output_modules import output_modules
from sandbox.response import Response
from sandbox.shared_cache import SharedCache
from tests.unit.bodies import load, make_namespace
from tests.walk import ways

_MADE: Final = """
import asyncio, collections, contextlib, dataclasses, datetime, decimal, enum, functools, io, re, types, typing, weakref

def generator():
    yield 1
async def coroutine():
    return 1
async def async_generator():
    yield 1
class Plain:
    kept = 1
    def method(self): return self
    @property
    def shown(self): return 1
    @classmethod
    def made(cls): return cls()
    def __enter__(self): return self
    def __exit__(self, *info):
        self.info = info
        return True
class Child(Plain):
    def method(self): return super()
@dataclasses.dataclass
class Point:
    x: int = 0
class Colour(enum.Enum):
    RED = 1
Pair = collections.namedtuple("Pair", "a b")
class Form(typing.NamedTuple):
    name: str = ""
seen = []
class Spy:
    def __init__(self, *values): seen.extend(values)
    def __call__(self, *values, **named): seen.extend(values); seen.extend(named.values()); return self
    def __getattr__(self, name): seen.append(name); raise AttributeError(name)
    def __getitem__(self, key): seen.append(key); raise IndexError(key)
    def __eq__(self, other): seen.append(other); return True
    def __lt__(self, other): seen.append(other); return True
    def __add__(self, other): seen.append(other); return self
    def __radd__(self, other): seen.append(other); return self
    def __ror__(self, other): seen.append(other); return self
    def __or__(self, other): seen.append(other); return self
    def __contains__(self, other): seen.append(other); return True
    def __format__(self, spec): seen.append(spec); return "x"
    def __hash__(self): return 1
    def __len__(self): return 1
    def __iter__(self): return iter(["x"])
    def __exit__(self, *info): seen.extend(info); return True
    def __enter__(self): return self
    def __set_name__(self, owner, name): seen.append(owner)
    def __get__(self, obj, cls): seen.append(obj); seen.append(cls); return self
    def __init_subclass__(cls, **named): seen.append(cls)
    def __class_getitem__(cls, item): seen.append(item); return cls
    def __deepcopy__(self, memo): seen.append(memo); return self
def spy(*values, **named):
    seen.extend(values)
    seen.extend(named.values())
    return values[0] if values else None
class Shape(typing.Protocol):
    def area(self) -> int: ...
caught = []
def catch(call):
    try:
        call()
    except BaseException as error:
        caught.append(error)
catch(lambda: 1 / 0)
catch(lambda: {}["x"])
catch(lambda: None.nothing)
catch(lambda: nowhere)
catch(lambda: next(iter(())))
catch(lambda: int("x"))
catch(lambda: b"\\xff".decode())
catch(lambda: re.compile("("))
catch(lambda: Plain(1))
with Plain() as held:
    raise ValueError("x")
group = ExceptionGroup("x", caught[:2])
closure = functools.partial(catch, len)
running = generator()
next(running)
@contextlib.contextmanager
def managed():
    yield 1
@functools.lru_cache
def cached(x=1): return x
@functools.singledispatch
def single(x=1): return x
return {name: value for name, value in {
    "generator": generator(), "running": running, "coroutine_function": coroutine, "async_generator": async_generator(),
    "function": generator, "lambda": lambda: 1, "closure": closure, "class": Plain, "instance": Plain(),
    "child": Child(), "super": Child().method(), "bound": Plain().method, "point": Point(), "point_class": Point,
    "colour": Colour.RED, "colours": Colour, "pair": Pair(1, 2), "pair_class": Pair, "form": Form(), "shape": Shape,
    "caught": caught, "held": held, "exit_info": held.info, "group": group, "managed": managed(), "cached": cached,
    "single": single, "match": re.match("(?P<a>x)", "x"), "property": property(lambda self: 1), "slice": slice(1),
    "range": range(2), "view": {"a": 1}.items(), "memory": memoryview(b"x"), "file": io.StringIO("x"),
    "namespace": types.SimpleNamespace(a=1), "reference": weakref.ref(Plain), "stack": contextlib.ExitStack(),
    "event": asyncio.Event(), "queue": asyncio.Queue(), "lock": asyncio.Lock(), "alias": list[int],
    "union": int | str, "typed": typing.Optional[int], "variable": typing.TypeVar("T"), "now": datetime.datetime.now(),
    "amount": decimal.Decimal("1.5"), "context": decimal.getcontext(), "zipped": zip([1], [2]), "mapped": map(str, [1]),
    "iterator": iter([1]), "text": "x", "bytes": b"x", "number": 1, "float": 1.5, "complex": 1j, "nothing": None,
    "ellipsis": ..., "set": {1}, "frozen": frozenset({1}), "list": [1], "dict": {"a": 1}, "tuple": (1,),
    "seen": seen, "Spy": Spy, "a spy": Spy(), "spy": spy,
    "task": asyncio.create_task(coroutine()), "defaultdict": collections.defaultdict(list, a=1),
}.items()}
"""


def make_roots() -> dict[str, Any]:
    """Objects by the name that tenant code has for them."""
    overrides = output_modules(log=scope.Log(), print_=scope.tenant_print)
    namespace = make_namespace()
    builtins = namespace["__builtins__"]
    modules = Modules(DEFAULT_MODULES, overrides=overrides)
    builtins["__import__"] = modules.importer
    roots: dict[str, Any] = {
        "cache": Cache(a=1),
        "<shared cache>": _shared_cache(),
        "log": scope.Log(),
        "context": scope.Context("walk"),
        "env": scope.Names("env", {"A": "1"}),
        "secrets": scope.Names("secrets", {}),
        "fetch": Fetch(None),  # type: ignore[arg-type]  # nothing is fetched
        "print": scope.tenant_print,
        "<response>": Response(Fetched(1, 200, "http://a.example/", [("a", "b")], b"{}"), max_bytes=100),
    }
    roots |= {name: value for name, value in builtins.items() if name in BUILTIN_NAMES}
    for name in sorted(offered_modules(DEFAULT_MODULES)):
        roots[f"<{name}>"] = _module(modules, name)
    roots |= {f"<{name}>": value for name, value in _made(namespace).items()}
    return roots


def _shared_cache() -> SharedCache:
    """Answers everything with a list."""

    class Calls(CacheCalls):
        def __init__(self) -> None:
            self.max_bytes = 1000

        def ask(self, verb: str, *_: Any, **__: Any) -> list[bytes]:
            return {"len": [b"1"], "keys": [b"sx"], "items": [b"sx", b"[1]"], "popitem": [b"sx", b"[1]"]}.get(
                verb, [b"[1]"]
            )

    return SharedCache(Calls())


def arguments(roots: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    """What callables are called with."""
    error = roots["<caught>"][0]
    spy, spying, spy_class = roots["<spy>"], roots["<a spy>"], roots["<Spy>"]
    return {
        "'x'": ("x",),
        "0": (0,),
        "[]": ([],),
        "{}": ({"x": 1},),
        "error": (error,),
        "spy": (spy,),
        "a spy": (spying,),
        "Spy": (spy_class,),
        "'x', spy": ("x", spy),
        "spy, 'x'": (spy, "x"),
        "spy, [spy]": (spy, [spying]),
        "Spy, 'x'": (spy_class, "x"),
        "Spy, [Spy]": (spy_class, [spy_class]),
        "Spy, spy, 'x'": (spy_class, spy, "x"),
        "Spy, 'x', (), {}": (spy_class, "x", (), {}),
        "int": (int,),
        "int, 0": (int, 0),
    }


def _module(modules: Modules, name: str) -> Any:
    found: Any = modules.importer(name)
    for part in name.split(".")[1:]:
        found = ways.read(found, part)
    return found


def _made(namespace: dict[str, Any]) -> dict[str, Any]:
    async def make() -> dict[str, Any]:
        made: dict[str, Any] = await load(_MADE, namespace)({})
        return made

    return asyncio.run(make())
