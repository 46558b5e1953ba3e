"""The speed of tenant code: kernels in a worker against the same source in a plain Python of the same version."""

import json
import subprocess
from statistics import geometric_mean, median
from typing import Final

from bench.child import ask_child, open_child
from bench.errors import MeasureError
from bench.kernel_functions import ALL, KERNELS, read_functions, timed
from bench.load import Load
from bench.options import Options
from bench.processes import OTHERS_MAX_PERCENT, watch_others
from bench.servers import open_skep
from bench.targets import Figure, Measured
from bench.wire import Connection
from bench.workspaces import deploy

_MS: Final = 1e3


def measure_kernels(_load: Load, options: Options) -> Measured:
    """The sides take turns at each kernel, and at going first. Each says itself how long it took, and what came out."""
    rounds_s: dict[str, dict[str, list[float]]] = {kernel: {"worker": [], "native": []} for kernel in ALL}
    shares: list[float] = []
    with open_child("bench.native_kernels") as native, open_skep() as skep, Connection(skep.port) as connection:
        document = {
            name: {"code": function.code, "parameters": {parameter: {} for parameter in function.parameters}}
            for name, function in read_functions().items()
        }
        deploy(connection, "kernels", {"functions": document})
        for number in range(options.rounds + 1):
            with watch_others(shares):
                for kernel, seconds in rounds_s.items():
                    results: dict[str, object] = {}
                    for side in ("native", "worker") if number % 2 else ("worker", "native"):
                        elapsed_s, results[side] = (
                            _ask(native, kernel) if side == "native" else _run(connection, kernel)
                        )
                        if number:  # the first is a warm-up
                            seconds[side].append(elapsed_s)
                    _compare(kernel, results)
    return _report(rounds_s, shares)


def _compare(kernel: str, results: dict[str, object]) -> None:
    if results["worker"] != results["native"]:
        told = (f"{side}: {str(result)[:200]}" for side, result in results.items())
        raise MeasureError(f"the kernel {kernel} gives different results; {', '.join(told)}")


def _run(connection: Connection, kernel: str) -> tuple[float, object]:
    answer = connection.ask("POST", f"/v2/functions/kernels/run/{timed(kernel)}", {"parameters": {}})
    elapsed_s, result = json.loads(answer.body)["result"]
    return elapsed_s, result


def _ask(process: "subprocess.Popen[str]", kernel: str) -> tuple[float, object]:
    elapsed_s, result = json.loads(ask_child(process, kernel))
    return elapsed_s, result


def _report(rounds_s: dict[str, dict[str, list[float]]], shares: list[float]) -> Measured:
    figures: list[Figure] = []
    # Whoever shares a processor with others loses a run's time here and there; at 20 ms a run that is no rounding.
    is_void = median(shares) > OTHERS_MAX_PERCENT
    for kernel, seconds in rounds_s.items():
        ratio = median(native / worker for native, worker in zip(seconds["native"], seconds["worker"], strict=True))
        detail = f"worker {median(seconds['worker']) * _MS:.1f} ms, native {median(seconds['native']) * _MS:.1f} ms"
        figures.append(Figure(f"kernel: {ALL[kernel]}", ratio, "x native", detail, is_void))
    counted = figures[: len(KERNELS)]
    ratios = [figure.value for figure in counted]
    worst = min(counted, key=lambda figure: figure.value)
    detail = f"of {len(ratios)}; the slowest is {worst.name.removeprefix('kernel: ')}"
    figures.append(Figure("kernels, geometric mean", geometric_mean(ratios), "x native", detail, is_void))
    data: dict[str, object] = {f"{kernel}: seconds": seconds for kernel, seconds in rounds_s.items()}
    return Measured(figures, data | {"others_percent": shares})
