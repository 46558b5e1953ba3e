"""A run that has expired ends, whatever it does about it. The signal here is what a worker uses: again and again."""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from sandbox.python.compiler import FILENAME_PREFIX
from tests.unit.bodies import Expired, load, make_namespace

FIRST_S = 0.02
AGAIN_S = 0.002

STUBBORN: dict[str, str] = {
    "a loop": "while True: pass",
    "except BaseException": "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
    "bare except": "while True:\n  try:\n    while True: pass\n  except: continue",
    "except of a computed class": "E = BaseException\nwhile True:\n  try:\n    while True: pass\n  except (E, Exception) as e: del e",
    "finally with return": "def f():\n  try:\n    while True: pass\n  finally: return 1\nwhile True: f()",
    "finally with break": "while True:\n  while True:\n    try:\n      while True: pass\n    finally: break",
    "finally with continue": "while True:\n  try:\n    while True: pass\n  finally: continue",
    "finally with a nested return": "def f():\n  try:\n    while True: pass\n  finally:\n    for x in [1]:\n      if x:\n        with c: return 1\nimport contextlib\nc = contextlib.nullcontext()\nwhile True: f()",
    "finally with a return in match": "def f():\n  try:\n    while True: pass\n  finally:\n    match 1:\n      case 1: return 1\nwhile True: f()",
    "finally that loops": "try: pass\nfinally:\n  while True: pass",
    "finally that raises": "while True:\n  try:\n    try:\n      while True: pass\n    finally: raise ValueError\n  except ValueError: pass",
    "finally with a loop's break": "while True:\n  try:\n    while True: pass\n  finally:\n    while True:\n      break\n    continue",
    "a generator": "def g():\n  while True:\n    try:\n      while True: pass\n    except BaseException: yield 1\nfor x in g(): pass",
    "a generator that is closed": "def g():\n  try: yield\n  finally:\n    while True: pass\ni = g()\nnext(i)\ni.close()",
    "a comprehension": "while True:\n  try: [x for x in iter(int, 1)]\n  except BaseException: pass",
    "a generator expression": "while True:\n  try: any(x for x in iter(int, 1))\n  except BaseException: pass",
    "suppress": "import contextlib\nwhile True:\n  with contextlib.suppress(BaseException):\n    while True: pass",
    "suppress twice": "import contextlib\nwhile True:\n  with contextlib.suppress(BaseException), contextlib.suppress(BaseException):\n    while True: pass",
    "suppress and return": "import contextlib\ndef f():\n  with contextlib.suppress(BaseException):\n    while True: pass\nwhile True: f()",
    "an exit stack": "import contextlib\nwhile True:\n  with contextlib.ExitStack() as s:\n    s.push(lambda *a: True)\n    while True: pass",
    "__exit__ that says yes": "class C:\n  def __enter__(self): pass\n  def __exit__(self, *a): return True\nwhile True:\n  with C():\n    while True: pass",
    "__exit__ that loops": "class C:\n  def __enter__(self): pass\n  def __exit__(self, *a):\n    while True: pass\nwhile True:\n  with C(): pass",
    "__exit__ that raises": "class C:\n  def __enter__(self): pass\n  def __exit__(self, *a): raise KeyError\nwhile True:\n  try:\n    with C():\n      while True: pass\n  except KeyError: pass",
    "a context manager made of a generator": "import contextlib\n@contextlib.contextmanager\ndef c():\n  try: yield\n  except BaseException: pass\nwhile True:\n  with c():\n    while True: pass",
    "async with": "class C:\n  async def __aenter__(self): pass\n  async def __aexit__(self, *a): return True\nwhile True:\n  async with C():\n    while True: pass",
    "a sort": "class A:\n  def __lt__(self, o):\n    while True: pass\nwhile True:\n  try: sorted([A(), A()])\n  except BaseException: pass",
    "a called function": "def f():\n  while True: pass\ndef g():\n  try: f()\n  except BaseException: g()\nwhile True: g()",
    "nested tries": "while True:\n  try:\n    try:\n      try:\n        while True: pass\n      except: pass\n    except: pass\n  except: pass",
    "else of a try": "while True:\n  try: pass\n  except: pass\n  else:\n    try:\n      while True: pass\n    except: pass",
    "a class body": "while True:\n  class A:\n    try:\n      while True: pass\n    except BaseException: pass",
    "raise from": "while True:\n  try:\n    try:\n      while True: pass\n    except BaseException as e: raise KeyError from e\n  except KeyError: pass",
    "recursion": "def f():\n  try: f()\n  except RecursionError: f()\nwhile True:\n  try: f()\n  except RecursionError: pass",
}  # fmt: skip


class Deadline:
    """The alarm of one run."""

    def __init__(self) -> None:
        self.expired = False

    def check(self) -> None:
        if self.expired:
            raise Expired

    def ring(self, _signal: int, frame: FrameType | None) -> None:
        self.expired = True
        while frame is not None:
            if frame.f_code.co_filename.startswith(FILENAME_PREFIX):
                raise Expired
            frame = frame.f_back


@contextmanager
def deadline() -> Iterator[Deadline]:
    alarm = Deadline()
    before = signal.signal(signal.SIGALRM, alarm.ring)
    signal.setitimer(signal.ITIMER_REAL, FIRST_S, AGAIN_S)
    try:
        yield alarm
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # generators that were cut short
@pytest.mark.parametrize("code", STUBBORN.values(), ids=STUBBORN.keys())
def test_no_code_outlives_its_deadline(code: str) -> None:
    with deadline() as alarm:
        body = load(code, make_namespace(check=alarm.check))

        async def main() -> Any:
            # The task is cancelled by nobody: only what is raised inside it can end it.
            return await asyncio.wait_for(asyncio.create_task(body({})), 5)

        with pytest.raises(Expired):
            asyncio.run(main())


UNTOUCHED: list[tuple[str, Any]] = [
    ("try: return 1\nfinally: r = 2", 1),
    ("def f():\n  for x in [1, 2]:\n    try: 1 / 0\n    except ZeroDivisionError: continue\n    finally: x += 1\n  return x\nreturn f()", 3),
    ("def f():\n  while True:\n    try: return 1\n    finally: break\n  return 2\nreturn f()", 2),
    ("try: raise KeyError\nexcept BaseException as e: return type(e).__name__", "KeyError"),
    ("def g():\n  try: yield 1\n  except GeneratorExit: done.append(1); raise\ndone = []\ni = g(); next(i); i.close()\nreturn done", [1]),
]  # fmt: skip


@pytest.mark.parametrize(("code", "expected"), UNTOUCHED)
def test_a_run_in_time_notices_nothing(code: str, expected: Any) -> None:
    assert asyncio.run(load(code, make_namespace())({})) == expected
