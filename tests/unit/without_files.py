"""`python -m tests.unit.without_files`: runs bodies in a process with a worker's system calls, which name no file.

Standard input: a JSON object of bodies by name. Standard output: an object of what they returned, each as its JSON
value, under `results`, and under `asked` what they tried to import or open.
"""

import asyncio
import contextlib
import contextvars
import gc
import json
import sys
from pathlib import Path
from typing import Any

from sandbox.jail import kernel
from sandbox.jail.system_calls import worker_filter
from sandbox.python.values import encode_result
from sandbox.rehearsal import rehearse
from tests.unit.bodies import load, make_namespace


def forbid_files() -> None:
    """What a worker gives up last, and with it every file."""
    program = worker_filter()
    assert program is not None, "the numbers of this machine's system calls are not known"
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.seccomp_filter(program)


def watch(asked: list[str]) -> None:
    """From now on write down every import of what is not loaded, and every file that is opened."""

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in {"import", "open"}:
            asked.append(f"{event} {arguments[0]}")

    sys.addaudithook(hook)


def main() -> None:
    """Run what standard input says."""
    bodies: dict[str, str] = json.load(sys.stdin)
    rehearse(())
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
