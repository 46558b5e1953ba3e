"""What a hostile workspace does to the callers of another: its p99 beside an attack, against its p99 alone."""

from statistics import median
from typing import Final

from bench.attacks import ATTACKS, Attack
from bench.errors import MeasureError
from bench.load import Job, Load, open_load
from bench.options import Options
from bench.processes import OTHERS_MAX_PERCENT, watch_others
from bench.servers import open_skep
from bench.stats import p99s_ms
from bench.targets import Figure, Measured
from bench.wire import Connection
from bench.workspaces import GREETING, HELLO, deploy, run_request

NEIGHBOUR: Final = "neighbour"
CALLERS: Final = {1: "1 caller", 4: "4 callers"}
ATTACKERS: Final = 8
"""Connections that keep the hostile workspace busy."""
WARMUP_S: Final = 0.25
"""Long enough for an attack to be in full swing before anything is measured beside it."""
ROOM_S: Final = 0.5
"""By so much an attack outlasts what is measured beside it, the time to connect and report left aside."""

ALONE, BESIDE = "alone", "beside"
Blocks = dict[tuple[str, str, int], list[float]]
"""The p99 of each block of answers, in ms, by attack, by whether it was under way, and by the number of callers."""
Statuses = dict[str, dict[int, int]]
"""By attack, how many of the attacker's calls were answered with which status."""


def measure_neighbours(load: Load, options: Options) -> Measured:
    """Before each attack the neighbour is called alone, and then during it; the attacker is a process of its own.

    A call that is not answered, or not as it must be, is an error on either side.
    """
    blocks: Blocks = {}
    shares: list[float] = []
    statuses: Statuses = {attack.name: {} for attack in ATTACKS}
    with open_skep(zygote="bench.native_zygote") as skep, open_load() as attacker:
        with Connection(skep.port) as connection:
            deploy(connection, NEIGHBOUR, HELLO)
            for attack in ATTACKS:
                deploy(connection, attack.workspace, attack.document)
        for _ in range(options.attack_rounds):
            for attack in ATTACKS:
                with watch_others(shares):
                    _call(load, options, skep.port, blocks, (attack.name, ALONE))
                job = _attack_job(attack, options, skep.port)
                attacker.start(job)
                _call(load, options, skep.port, blocks, (attack.name, BESIDE))
                was_early = attacker.has_finished()
                for status, count in attacker.finish(job).statuses.items():
                    statuses[attack.name][status] = statuses[attack.name].get(status, 0) + count
                if was_early:
                    raise MeasureError(f"the {attack.name} was over before what was to be measured beside it")
    return _report(blocks, statuses, shares)


def _call(load: Load, options: Options, port: int, blocks: Blocks, kind: tuple[str, str]) -> None:
    """One round of greetings for each number of callers."""
    for callers in CALLERS:
        job = Job(
            port=port,
            requests=(run_request(port, NEIGHBOUR),),
            expected=GREETING,
            connections=callers,
            seconds=options.seconds,
            warmup_s=WARMUP_S,
        )
        blocks.setdefault((*kind, callers), []).extend(p99s_ms(load.run(job)))


def _attack_job(attack: Attack, options: Options, port: int) -> Job:
    return Job(
        port=port,
        requests=(run_request(port, attack.workspace),),
        expected=tuple(body for _status, body in attack.answers),
        statuses=tuple(status for status, _body in attack.answers),
        connections=ATTACKERS,
        seconds=len(CALLERS) * (WARMUP_S + options.seconds) + ROOM_S,
        warmup_s=0,
    )


def _report(blocks: Blocks, statuses: Statuses, shares: list[float]) -> Measured:
    figures: list[Figure] = []
    is_void = median(shares) > OTHERS_MAX_PERCENT
    for attack in ATTACKS:
        told = ", ".join(f"{count} x {status}" for status, count in sorted(statuses[attack.name].items()))
        for callers, label in CALLERS.items():
            alone_ms, beside_ms = (median(blocks[attack.name, kind, callers]) for kind in (ALONE, BESIDE))
            detail = f"{beside_ms:.3f} ms, alone {alone_ms:.3f} ms; the attacker was answered {told}"
            name = f"p99 beside a {attack.name}, {label}"
            figures.append(Figure(name, beside_ms / alone_ms, "x alone", detail, is_void))
    detail = f"while the neighbour was alone; largest {max(shares):.0f}; above {OTHERS_MAX_PERCENT} the ratios are void"
    figures.append(Figure("processors taken by others", median(shares), "%", detail))
    data: dict[str, object] = {
        f"{attack}, {kind}, {CALLERS[callers]}: p99s_ms": values for (attack, kind, callers), values in blocks.items()
    }
    return Measured(figures, data | {"statuses": statuses, "others_percent": shares})
