"""Fetches of a function against a bare aiohttp client: the same requests to the same server, as many at once."""

import json
import subprocess
from statistics import median
from typing import Final

from bench.child import ask_child, open_child
from bench.load import Load
from bench.options import Options
from bench.servers import open_floor, open_skep
from bench.targets import Figure, Measured
from bench.wire import HOST, Connection
from bench.workspaces import deploy

ALONE, BUSY = 1, 16
_CODE: Final = """
import asyncio, time

async def loop():
    for _ in range(count // at_once):
        (await fetch(url)).bytes()

started = time.perf_counter()
await asyncio.gather(*[loop() for _ in range(at_once)])
return time.perf_counter() - started
"""
FETCHING: Final = {"functions": {"get": {"code": _CODE, "parameters": {"url": {}, "count": {}, "at_once": {}}}}}


def measure_fetch(_load: Load, options: Options) -> Measured:
    """Both sides take turns within each round, and take turns at going first. Each says itself how long it took."""
    rounds: dict[tuple[str, int], list[float]] = {}
    with open_floor() as origin:
        settings = {"EGRESS_ALLOW": f"{HOST}:{origin.port}", "FETCH_MAX_COUNT": "1000000"}
        with (
            open_child("bench.bare_client", str(origin.port)) as bare,
            open_skep(settings) as skep,
            Connection(skep.port) as connection,
        ):
            deploy(connection, "fetching", FETCHING)
            for number in range(options.rounds + 1):
                for at_once in (ALONE, BUSY):
                    count = options.fetches // (2 if at_once == ALONE else 1)
                    for side in ("bare", "skep") if number % 2 else ("skep", "bare"):
                        if side == "bare":
                            elapsed_s = _ask(bare, at_once, count)
                        else:
                            elapsed_s = _run(connection, origin.port, at_once, count)
                        if number:  # the first is a warm-up
                            rounds.setdefault((side, at_once), []).append(count / elapsed_s)
    return _report(rounds)


def _run(connection: Connection, port: int, at_once: int, count: int) -> float:
    parameters = {"url": f"http://{HOST}:{port}/hello", "count": count, "at_once": at_once}
    answer = connection.ask("POST", "/v2/functions/fetching/run/get", {"parameters": parameters})
    return float(json.loads(answer.body)["result"])


def _ask(process: "subprocess.Popen[str]", at_once: int, count: int) -> float:
    return float(ask_child(process, f"{at_once} {count}"))


def _report(rounds: dict[tuple[str, int], list[float]]) -> Measured:
    figures: list[Figure] = []
    for at_once, label in ((BUSY, "16 at once"), (ALONE, "one after the other")):
        bare, skep = rounds["bare", at_once], rounds["skep", at_once]
        ratio = median(ours / theirs for ours, theirs in zip(skep, bare, strict=True))
        rates = f"skep {median(skep):,.0f}/s, bare aiohttp client {median(bare):,.0f}/s"
        figures.append(Figure(f"fetch, {label}", ratio, "x bare client", rates))
    return Measured(figures, {f"{side}, {at_once}": rates for (side, at_once), rates in rounds.items()})
