"""The kernels as functions of a workspace. Their bodies are in `kernel_sources`, as a user of Skep writes them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

KERNELS: Final = {
    "numeric_loop": "numeric loop",
    "n_body": "n-body",
    "permutations": "permutations",
    "sieve": "sieve",
    "matrix_by_lists": "matrix by lists",
    "dictionary_grouping": "dictionary grouping",
    "string_parsing": "string building and parsing",
    "sorting_with_keys": "sorting with keys",
    "generator_pipeline": "generator pipeline",
    "dataclass_churn": "dataclass churn",
    "exceptions": "exceptions",
    "recursion": "recursion",
    "json_transform": "JSON transform",
    "async_fan_out": "async fan-out",
}
"""By the name of its function, what a kernel is called in the table."""
BARE_CALLS: Final = {"async_calls": "async fan-out, siblings that do nothing"}
"""No work but what a sibling's call and its task cost by themselves: measured, and in no target."""
ALL: Final = KERNELS | BARE_CALLS
_SIBLINGS: Final = {"async_sibling": ("number",), "async_call": ("number",)}
"""What kernels call, with their parameters. Kernels take none."""
_SOURCES: Final = Path(__file__).with_name("kernel_sources")
_TIMED: Final = """
import time

started = time.perf_counter()
result = await {kernel}()
return [time.perf_counter() - started, result]
"""


@dataclass(frozen=True, slots=True)
class Function:
    """The body of an async function and the names of its parameters."""

    code: str
    parameters: tuple[str, ...] = ()


def read_functions() -> dict[str, Function]:
    """Every kernel, what kernels call, and for each kernel the function that says how many seconds it took."""
    functions = {name: Function(_read(name), parameters) for name, parameters in _SIBLINGS.items()}
    for kernel in ALL:
        functions[kernel] = Function(_read(kernel))
        functions[timed(kernel)] = Function(_TIMED.format(kernel=kernel))
    return functions


def timed(kernel: str) -> str:
    """The name of the function that times a kernel and returns the seconds and its result."""
    return f"time_{kernel}"


def _read(name: str) -> str:
    return (_SOURCES / f"{name}.txt").read_text()
