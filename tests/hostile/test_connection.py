"""What hostile code does to its connection with the help of its own callers: the service neither waits nor grows."""

import asyncio
from pathlib import Path

from tests.hostile.rig import Rig, neighbour_asked_all_the_while
from tests.skep import client_of

CALLERS = 32
PARAMETER = "x" * 900_000
GROWTH_MAX_BYTES = 160 << 20
"""What those callers' requests may take for as long as they are under way, several times over."""

DEAF = """# native
import signal
signal.setitimer(signal.ITIMER_REAL, 0)
while True:
    pass
"""
ANSWERS_UNHEARD = """# native
import signal, time
from tests.hostile import attack
signal.setitimer(signal.ITIMER_REAL, 0)
number = attack.run_number()
while True:
    attack.send(attack.answer(number))
    number += 1
    time.sleep(0.01)
"""


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


async def _call_for(rig: Rig, code: str, *, seconds: float) -> tuple[dict[str, int], int]:
    """Many callers call it with large parameters. Returns their answers, by error, and how much the service grew."""
    answers: dict[str, int] = {}
    async with client_of(rig.skep) as client:
        await rig.settle(client)
        attack = {"code": code, "parameters": {"x": {}}, "timeout": 250}
        assert (await client.deploy("deaf", {"attack": attack, "one": "return 1"})).status == 200
        before = most = _resident_bytes(rig.skep.pid)
        end = asyncio.get_running_loop().time() + seconds

        async def call() -> None:
            nonlocal most
            while asyncio.get_running_loop().time() < end:
                answer = await client.run("deaf", "attack", x=PARAMETER)
                error = "" if answer.status == 200 else answer.body["error"]
                answers[error] = answers.get(error, 0) + 1
                most = max(most, _resident_bytes(rig.skep.pid))

        async with neighbour_asked_all_the_while(rig, client):
            await asyncio.gather(*(call() for _ in range(CALLERS)))
        # A workspace whose workers end like that is not given new ones for a while, but for a deploy.
        assert (await client.deploy("deaf", {"one": "return 1"})).status == 200
        assert (await client.run("deaf", "one")).result == 1
        await client.call("DELETE", "/v2/functions/deaf")
        await rig.check_standing()
    return answers, most - before


async def test_a_worker_that_stops_reading_is_ended_and_the_service_does_not_grow(rig: Rig) -> None:
    answers, growth_bytes = await _call_for(rig, DEAF, seconds=1)
    # Five lost workers in a row, and it is given no new one for a moment.
    assert set(answers) <= {"FunctionTimeout", "WorkerLost", "ServiceUnavailable"}
    assert growth_bytes < GROWTH_MAX_BYTES


async def test_answers_to_runs_it_has_not_read_end_the_worker_and_the_service_does_not_grow(rig: Rig) -> None:
    answers, growth_bytes = await _call_for(rig, ANSWERS_UNHEARD, seconds=1)
    assert answers["WorkerLost"] > answers.get("", 0)
    assert growth_bytes < GROWTH_MAX_BYTES
