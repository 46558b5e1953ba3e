"""`python -m tests.differential.native`: runs programs as Python does, in a process of its own.

Reads a JSON list of programs from its standard input and writes one of outcomes. Nothing of the sandbox is in it.
"""

import ast
import asyncio
import io
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

from tests.differential.outcomes import WORKSPACE, Outcome, name_of, outcome

FILENAME: Final = "<program>"
TIMEOUT_S: Final = 2.0


class TooLong(BaseException):
    """Ends a program that was meant to end by itself. It is not compared."""


def compiled(name: str, program: str) -> Any:
    """The program as the body of an async function, each line where it was. Raises: SyntaxError."""
    module = ast.parse(f"async def {name}(parameters): pass")
    function = module.body[0]
    assert isinstance(function, ast.AsyncFunctionDef)
    function.body = ast.parse(program, FILENAME).body
    return compile(ast.fix_missing_locations(module), FILENAME, "exec")


def run(name: str, program: str) -> dict[str, Any]:
    """Run one program."""
    printed = [""]
    over = False

    def print_(*values: object, **options: Any) -> None:
        output = io.StringIO()
        print(*values, **options, file=output)
        if not over:
            # What one call ends with a line's end is one entry of a log.
            printed[-1] += output.getvalue()
            if printed[-1].endswith("\n"):
                printed[-1] = printed[-1][:-1]
                printed.append("")

    namespace: dict[str, Any] = {"__name__": f"skep:{WORKSPACE}", "print": print_, "cache": {}}

    async def whole() -> dict[str, Any]:
        nonlocal over
        try:
            result = await namespace[name]({})
        except BaseException as error:  # noqa: BLE001 - a program may raise whatever it likes
            found = _told(name, error)
        else:
            found = {"result": result}
        # By now what only the traceback held is gone, and generators among it have cleaned up.
        over = True
        return {**found, "printed": printed if printed[-1] else printed[:-1]}

    exec(compiled(name, program), namespace)
    signal.signal(signal.SIGALRM, _too_long)
    # Again and again, since a program may catch it.
    signal.setitimer(signal.ITIMER_REAL, TIMEOUT_S, 0.1)
    try:
        return asyncio.run(whole())
    except TooLong:
        return {"error": TooLong.__name__}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _too_long(*_: object) -> None:
    raise TooLong


def _told(name: str, error: BaseException) -> dict[str, Any]:
    own = _frames(name, error)
    calls = [call for chained in _chain(error) for call in _frames(name, chained)]
    text = str(error)
    text = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return {"error": text, "line": own[-1][0] if own else 0, "frames": calls}


def _frames(name: str, error: BaseException) -> list[tuple[int, str]]:
    found = []
    entry = error.__traceback__
    while entry is not None:
        code = entry.tb_frame.f_code
        if code.co_filename == FILENAME:
            found.append((entry.tb_lineno or 0, "" if code.co_name == name else code.co_name))
        entry = entry.tb_next
    return found


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exceptions that a traceback tells of, oldest first."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return reversed(chain)


async def outcomes(programs: Sequence[str], *, timeout_s: float = 60) -> list[Outcome]:
    """What these programs do in a fresh interpreter. Raises: RuntimeError if it does not answer."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-m", "tests.differential.native", stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        async with asyncio.timeout(timeout_s):
            output, errors = await process.communicate(json.dumps(list(programs)).encode())
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise RuntimeError(f"the native runner ended with {process.returncode}: {errors.decode()[-2000:]}")
    return [outcome(**found) for found in json.loads(output)]


def main() -> None:
    """Run what stands in the standard input."""
    programs = json.load(sys.stdin)
    found = [run(name_of(number), program) for number, program in enumerate(programs)]
    json.dump(found, sys.stdout, default=repr)


if __name__ == "__main__":
    main()
