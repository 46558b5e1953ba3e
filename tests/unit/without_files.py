"""`python -m tests.unit.without_files`: runs bodies in a process that can name no file and start nothing.

Standard input: a JSON object of bodies by name. Standard output: an object of what they returned, each as its JSON
value, under `results`, and under `asked` what they tried to import or open.
"""

import asyncio
import contextlib
import contextvars
import ctypes
import errno
import gc
import json
import platform
import struct
import sys
from pathlib import Path
from typing import Any, Final

from sandbox import worker
from sandbox.python.values import encode_result
from tests.unit.bodies import load, make_namespace

_NUMBERS: Final = {
    "x86_64": """
        2 4 6 21 41 56 57 58 59 76 78 79 80 81 82 83 84 85 86 87 88 89 90 92 133 161 217 257 258 259 260 261 262 263 264
        265 266 267 268 269 316 322 332 435 437 439 452
    """,
    "aarch64": """
        17 33 34 35 36 37 38 43 45 48 49 50 51 53 54 56 61 78 79 198 220 221 276 281 291 435 437 439 452
    """,
}
"""System calls that name a file or start something, from open(2) to fchmodat2(2), by machine."""
_SECCOMP_RET_ALLOW, _SECCOMP_RET_ERRNO = 0x7FFF0000, 0x00050000
_LOAD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _SECCOMP_MODE_FILTER = 22, 38, 2


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def forbid_files() -> None:
    """Make every system call that names a file or starts something fail with EPERM, for good; see seccomp(2)."""
    numbers = [int(number) for number in _NUMBERS[platform.machine()].split()]
    program = struct.pack("<HBBI", _LOAD, 0, 0, 0)
    for place, number in enumerate(numbers):
        program += struct.pack("<HBBI", _IF_EQUAL, len(numbers) - place, 0, number)
    program += struct.pack("<HBBI", _RETURN, 0, 0, _SECCOMP_RET_ALLOW)
    program += struct.pack("<HBBI", _RETURN, 0, 0, _SECCOMP_RET_ERRNO | errno.EPERM)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    filter_ = ctypes.byref(_Program(len(program) // 8, program))
    for call in ((_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, filter_, 0, 0)):
        if prctl(*call) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def watch(asked: list[str]) -> None:
    """From now on write down every import of what is not loaded, and every file that is opened."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in {"import", "open"}:
            asked.append(f"{event} {arguments[0]}")

    sys.addaudithook(hook)


def main() -> None:
    """Run what standard input says."""
    bodies: dict[str, str] = json.load(sys.stdin)
    worker.prepare()
    loop = asyncio.new_event_loop()
    asked: list[str] = []
    results: dict[str, Any] = {}
    gc.collect()
    forbid_files()
    for path in ("/etc/passwd", ".", sys.executable):
        with contextlib.suppress(PermissionError):
            Path(path).stat()
            raise AssertionError(f"{path} can be named")
    watch(asked)
    for name, code in bodies.items():
        try:
            coroutine = load(code, make_namespace([]))({})
            task = loop.create_task(coroutine, context=contextvars.copy_context())
            results[name] = json.loads(encode_result(loop.run_until_complete(task)))
        except Exception as error:  # noqa: BLE001 - whatever a body raises is its result here
            results[name] = f"{type(error).__name__}: {error}"
    json.dump({"results": results, "asked": asked}, sys.stdout)


if __name__ == "__main__":
    main()
