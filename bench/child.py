"""A process of a benchmark's own that answers line by line."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.errors import MeasureError

_ROOT: Final = Path(__file__).resolve().parent.parent


@contextmanager
def open_child(module: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """`python -m module`, with its input and output; ended on exit."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,  # Ctrl-C is for the benchmark, which then ends it
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ask_child(process: "subprocess.Popen[str]", question: str) -> str:
    """A line for a line. Raises: MeasureError if it has ended."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{question}\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise MeasureError(f"a process of the benchmark ended when it was asked {question!r}")
    return answer
