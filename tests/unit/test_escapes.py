"""Ways out of the language that are known to have worked somewhere. Each must end in a refusal or an exception."""

from typing import Any

import pytest

from sandbox.python.compiler import CodeRefused
from tests.unit.bodies import run

REFUSALS = (CodeRefused, AttributeError, TypeError, NameError, ImportError, ValueError, LookupError)

# Each body tries to reach something that is not the tenant's and returns it.
ESCAPES: dict[str, str] = {
    "subclasses of object": "return ().__class__.__bases__[0].__subclasses__()",
    "globals of a function": "def f(): pass\nreturn f.__globals__",
    "code of a function": "def f(): pass\nreturn f.__code__",
    "builtins by name": "return __builtins__",
    "import by name": "return __import__('os')",
    "class cell": "class A:\n  def f(self): return __class__\nreturn A().f().__subclasses__()",
    "getattr": "return getattr(print, '__globals__')",
    "getattr with a string of a class": "class S(str):\n  def __str__(self): return 'real'\nreturn getattr(print, S('__globals__'))",
    "getattr of a class attribute": "return getattr(object, '__subclasses__')()",
    "hook by getattr": "return getattr(print, '__skep_check__')",
    "setattr of a dunder": "class A: pass\nsetattr(A, '__match_args__', ('gi_frame',))\nreturn 1",
    "delattr of a dunder": "class A: pass\ndelattr(A, '__dict__')\nreturn 1",
    "vars of a class": "return vars(object)",
    "vars of a module": "import json\nreturn vars(json)",
    "vars without argument": "return vars()",
    "dir without argument": "return dir()",
    "eval": "return eval('1')",
    "exec": "return exec('x = 1')",
    "compile": "return compile('1', 'x', 'eval')",
    "open": "return open('/etc/passwd')",
    "globals": "return globals()",
    "locals": "return locals()",
    "breakpoint": "breakpoint()",
    "format string": "t = '{0.__globals__}'.replace('x', '')\nreturn t.format(print)",
    "format string, nested": "t = '{0:{1.__class__}}'.replace('x', '')\nreturn t.format(1, 2)",
    "format string, private": "t = '{0._x}'.replace('x', 'x')\nreturn t.format(print)",
    "format_map": "t = '{a.__globals__}'.replace('x', '')\nreturn t.format_map({'a': print})",
    "format unbound": "return str.format('{0.__globals__}'.lower(), print)",
    "format by getattr": "return getattr('{0.__globals__}'.lower(), 'format')(print)",
    "format by super": "class S(str):\n  def go(self, x): return super().format(x)\nreturn S('{0.__globals__}').go(print)",
    "format of a subclass": "class S(str): pass\nreturn S('{0.__globals__}').format(print)",
    "format by map": "return list(map('{0.__globals__}'.lower().format, [print]))",
    "format by a pattern": "match '{0.__class__}':\n  case str(format=f): return f(1)",
    "format in place": "class A:\n  def __radd__(self, o): return o(print)\ns = '{0.__globals__}'\ns.format += A()\nreturn s",
    "format by methodcaller": "import operator\nreturn operator.methodcaller('format', print)('{0.__globals__}'.lower())",
    "string.Formatter": "import string\nreturn string.Formatter().format('{0.__globals__}', print)",
    "attrgetter": "import operator\nreturn operator.attrgetter('__globals__')(print)",
    "attrgetter, dotted": "import operator\nreturn operator.attrgetter('real.__class__.__mro__')(1)",
    "methodcaller": "import operator\nreturn operator.methodcaller('__subclasses__')(object)",
    "reduce of getattr": "import functools\nreturn functools.reduce(getattr, ['__class__', '__base__'], 1)",
    "frame of a generator": "g = (x for x in [1])\nreturn g.gi_frame.f_back",
    "frame of a coroutine": "async def f(): pass\nc = f()\ntry: return c.cr_frame\nfinally: c.close()",
    "frame of a generator by getattr": "return getattr((x for x in []), 'gi_frame')",
    "frame by a pattern": "match (x for x in []):\n  case object(gi_frame=f): return f",
    "traceback": "try: 1 / 0\nexcept ZeroDivisionError as e: return e.__traceback__",
    "traceback of a context manager": "class C:\n  def __enter__(self): return self\n  def __exit__(self, t, e, tb): self.f = tb.tb_frame\nwith C() as c: pass\nreturn c.f",
    "metaclass keyword": "class M(type): pass\nclass A(metaclass=M): pass\nreturn A",
    "metaclass by inheritance": "class M(type): pass\nreturn M",
    "metaclass in options": "o = {'metaclass': dict}\nclass A(**o): pass\nreturn A",
    "type of three": "return type('A', (), {'__reduce__': 1})",
    "type of type": "return type(type(1))('A', (), {})",
    "type from typing": "import typing\nreturn typing.get_origin(typing.Type[int])('A', (), {})",
    "type by an alias": "import typing\nclass M(typing.Type[int]): pass\nreturn M",
    "type of an enum": "import enum\nclass E(enum.Enum): A = 1\nreturn type(E)('X', (), {})",
    "function from code": "def f(): pass\nreturn type(f)(f.__code__, {})",
    "os by json": "import json\nreturn json.codecs.builtins",
    "sys by re": "import re\nreturn re.enum.sys",
    "sys by datetime": "from datetime import sys\nreturn sys",
    "os by logging": "import logging\nreturn logging.os",
    "os by contextlib": "import contextlib\nreturn contextlib.os",
    "submodule that is loaded": "from asyncio import subprocess\nreturn subprocess",
    "submodule of a package": "from email import _policybase\nreturn _policybase",
    "event loop": "import asyncio\nreturn asyncio.get_event_loop()",
    "event loop by a task": "import asyncio\nreturn asyncio.create_task(asyncio.sleep(0)).get_loop()",
    "event loop by a lock": "import asyncio\nreturn asyncio.Lock()._get_loop()",
    "event loop by an own lock": "import asyncio\nclass L(asyncio.Lock): pass\nreturn L()._get_loop()",
    "event loop by getattr": "import asyncio\nclass L(asyncio.Lock):\n  def go(self): return getattr(self, '_loop')\nreturn L().go()",
    "event loop by vars": "import asyncio\nclass L(asyncio.Lock): pass\nreturn vars(L())",
    "event loop by a dataclass pattern": "import asyncio, abc, dataclasses\n@dataclasses.dataclass\nclass A(abc.ABC):\n  _loop: int\nA.register(asyncio.Lock)\nmatch asyncio.Lock():\n  case A(x): return x",
    "frame by a namedtuple pattern": "import abc, collections\nclass A(collections.namedtuple('N', 'gi_frame'), abc.ABC): pass\ng = (x for x in [])\nA.register(type(g))\nmatch g:\n  case A(x): return x",
    "other tasks": "import asyncio\nreturn asyncio.all_tasks()",
    "annotations by get_type_hints": "import typing\ndef f(x: '().__class__'): pass\nreturn typing.get_type_hints(f)",
    "annotations by singledispatch": "import functools\n@functools.singledispatch\ndef f(x): pass\n@f.register\ndef g(x: '[].append(1) or int'): pass\nreturn f",
    "annotations by singledispatchmethod": "import functools\nclass A:\n  @functools.singledispatchmethod\n  def f(self, x): pass\n  @f.register\n  def g(self, x: '[].append(1) or int'): pass\nreturn A",
    "update_wrapper of any name": "import functools, json\nclass A:\n  def __setattr__(self, n, v): got.append((n, v))\ngot = []\nfunctools.update_wrapper(A(), json.dumps, ('__globals__',), ())\nreturn dict(got)['__globals__']",
    "update_wrapper of a dict": "import functools\nclass D:\n  def update(self, d): got.append(d)\nclass A:\n  def __getattr__(self, n): return D()\ngot = []\nfunctools.update_wrapper(A(), object)\nreturn got[0]['__subclasses__']",
    "field of a dataclass": "import dataclasses\nF = type(dataclasses.field())\nclass E(F):\n  name = 'x'\nreturn E",
    "field name": "import dataclasses\n@dataclasses.dataclass\nclass A:\n  x: int\ndataclasses.fields(A)[0].name = 'x=print(1)'\n@dataclasses.dataclass\nclass B(A): pass\nreturn B",
    "field class": "import dataclasses\nF = type(dataclasses.field())\nF.name = property(lambda s: 'x')\n@dataclasses.dataclass\nclass A:\n  x: int\nreturn A",
    "make_dataclass": "import dataclasses\nreturn dataclasses.make_dataclass('A', [], namespace={'__reduce__': 1})",
    "enum of dunders": "import enum\nreturn enum.Enum('E', {'__reduce_ex__': lambda *a: 1})",
    "enum conversion": "import enum\nclass E(enum.IntEnum): pass\nreturn E._convert_('X', 'os', lambda n: n == 'O_RDONLY')",
    "reduce": "class A:\n  def __reduce_ex__(self, p): return 1\nreturn A",
    "object.__setattr__": "class A: pass\nobject.__setattr__(A(), '__class__', int)\nreturn 1",
    "object.__setattr__ of a module": "import json\nobject.__setattr__(json, 'dumps', None)\nreturn 1",
    "module attribute": "import json\njson.dumps = None\nreturn 1",
    "module by setattr": "import json\nsetattr(json, 'dumps', None)\nreturn 1",
    "object.__getattribute__": "return object.__getattribute__(print, '__globals__')",
    "types.FunctionType": "import types\nreturn types.FunctionType",
    "types.CodeType": "from types import CodeType\nreturn CodeType",
    "abc.ABCMeta": "from abc import ABCMeta\nreturn ABCMeta('A', (), {})",
    "gzip.open": "import gzip\nreturn gzip.open('/etc/passwd')",
    "uuid.getnode": "import uuid\nreturn uuid.getnode()",
    "zone file": "import zoneinfo\nreturn zoneinfo.reset_tzpath(['/etc'])",
    "redirect_stdout": "import contextlib\nreturn contextlib.redirect_stdout",
    "self of a builtin": "return print.__self__",
    "closure": "def f():\n  x = 1\n  return lambda: x\nreturn f().__closure__",
    "bound function": "class A:\n  def f(self): pass\nreturn A().f.__func__",
    "own module's loader": "import json\nreturn json.__loader__",
    "own module's spec": "import json\nreturn json.__spec__",
    "finalize": "import weakref\nreturn weakref.finalize",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:coroutine")  # a body that is stopped cannot await what it made
@pytest.mark.parametrize("code", ESCAPES.values(), ids=ESCAPES.keys())
def test_no_way_out(code: str) -> None:
    with pytest.raises(REFUSALS):
        got: Any = run(code)
        raise AssertionError(f"the tenant got {got!r}")


def test_what_ends_a_run_cannot_be_named() -> None:
    with pytest.raises(CodeRefused):
        run("try: pass\nexcept __skep_stop__: pass")
