"""A real Skep with the door for native code, its witnesses, and one hostile program run in it."""

import asyncio
import contextlib
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import sandbox
from tests.hostile.programs import Claim, Part, Program
from tests.hostile.witnesses import Canary, canary, snapshot, until_nothing_is_left
from tests.skep import Answer, Client, Skep, client_of, running_skep, state

LATE_S: Final = 0.6
"""An answer may come so long after its deadline: the service's own margin is 60 ms, and a machine may be busy."""
NEIGHBOUR_MAX_S: Final = 0.5
"""So long another workspace may wait for an answer while the attack runs; alone it waits for about a millisecond."""
ASK_EVERY_S: Final = 0.02
LEFT_S: Final = 3.0
"""So long the last process of a deleted workspace may take to go."""
SETTINGS: Final[Mapping[str, object]] = {
    "PYTHON_WORKER_MAX_MEMORY_MB": 64,
    "FUNCTIONS_RUN_TIMEOUT": 3000,
    "RESULT_MAX_SIZE": "1mb",
    "LOGS_MAX_SIZE": "64kb",
}
NEXT_TIMEOUT_MS: Final = 2000
STUCK_TIMEOUT_MS: Final = 150
"""Of the next run where it may be lost."""
AT_ONCE: Final = 4
COUNT: Final = "cache['runs'] = cache.get('runs', 0) + 1\nreturn cache['runs']"
SLOW: Final = "import asyncio\nawait asyncio.sleep(0.02)\nprint('mine')\nreturn 'mine'"


def descendants(pid: int) -> list[int]:
    """Live processes that this one has started, directly or not, each before its own."""
    found: list[int] = []
    # A process may go while it is looked at.
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            if state(child) not in {"Z", None}:
                found += [child, *descendants(child)]
    return found


@dataclass
class Rig:
    """One running service, a neighbour in it, and what hostile programs are told of both."""

    skep: Skep
    canary: Canary
    python: str
    mark: str
    neighbour_runs: int = 0
    standing: list[int] = field(default_factory=list)
    """Service, zygote and the neighbour's worker: processes that must outlive every program."""

    async def settle(self, client: Client) -> None:
        """Deploy the neighbour, and note which process is its."""
        if self.standing:
            return
        zygotes = descendants(self.skep.pid)
        assert (await client.deploy("neighbour", {"count": COUNT, "slow": SLOW})).status == 200
        # What the service has in its environment is the neighbour's, too: whoever finds it has found either.
        path, value = "/v2/functions/neighbour/secrets/MINE", self.canary.secret
        assert (await client.call("PUT", path, json={"value": value})).status == 204
        await self.ask_neighbour(client)
        everybody = await self._descendants(lambda found: len(found) == len(zygotes) + 1)
        self.standing = [self.skep.pid, *everybody]

    async def ask_neighbour(self, client: Client) -> None:
        """It answers, at once, and remembers every run it has had."""
        started = time.monotonic()
        answer = await client.run("neighbour", "count")
        self.neighbour_runs += 1
        assert (answer.status, answer.body["result"]) == (200, self.neighbour_runs), "the neighbour lost its cache"
        assert time.monotonic() - started < NEIGHBOUR_MAX_S, "the neighbour had to wait"

    def where(self) -> dict[str, Any]:
        """The parameter that tells a program where its victims are."""
        service, zygote, *_, sibling = self.standing
        home = self.skep.functions / "neighbour"
        return {
            "service": service,
            "zygote": zygote,
            "sibling": sibling,
            "canary": self.canary.process.pid,
            "volume": str(self.skep.functions),
            "yaml": next((str(path) for path in home.iterdir() if path.suffix in {".yml", ".yaml"}), ""),
            "bundle": next((str(path) for path in home.iterdir() if path.suffix not in {".yml", ".yaml"}), ""),
            "sandbox": str(Path(sandbox.__file__).parent),
            "folder": str(self.canary.folder),
            "socket": self.canary.socket_name,
            "port": int(self.skep.url.rpartition(":")[2]),
            "secret": [self.canary.secret[:16], self.canary.secret[16:]],
        }

    async def check_standing(self) -> None:
        """Nobody else's process was touched, and none is left of those that were there only for the program."""
        left = await self._descendants(lambda found: found == self.standing[1:])
        assert left == self.standing[1:], "processes are gone, or left"
        assert not self.canary.harm()

    async def _descendants(self, wanted: Callable[[list[int]], bool]) -> list[int]:
        """The service's, as soon as they are as is wanted, or in the end as they are."""
        until = time.monotonic() + LEFT_S
        # Nobody tells of the end of a stranger's child, so it is looked for.
        while not wanted(found := descendants(self.skep.pid)) and time.monotonic() < until:  # noqa: ASYNC110  # see above
            await asyncio.sleep(0.01)
        return found


@contextmanager
def running_rig(
    folder: Path, *, python: str = sys.executable, user: int | None = None, missing: Sequence[str] = ()
) -> Iterator[Rig]:
    """A service with the door open; on exit nothing of it is left, and nothing beside it was changed.

    `user`: who runs it, None for whoever runs the tests. `missing`: what its machine lacks, as for `tests.without`.
    """
    mark = f"skep-hostile-{secrets.token_hex(8)}"
    with canary(folder / "canary", python=python, user=user) as witness:
        before = snapshot(witness.folder)
        own = {"SKEP_TEST_SECRET": witness.secret, "DATABASE_PATH": str(folder / f"{witness.secret}.db")}
        command = [python, "-m", "tests.hostile.native_service", mark]
        if missing:
            command = [python, "-m", "tests.without", *missing, "--", *command]
        try:
            with running_skep(folder, {**SETTINGS, **own}, command=command, user=user) as skep:
                yield Rig(skep, witness, python, mark)
        finally:
            left = until_nothing_is_left(mark)
        assert not left, "processes outlived the service"
        assert snapshot(witness.folder) == before, "files were changed"
        assert not witness.harm()


@asynccontextmanager
async def neighbour_asked_all_the_while(rig: Rig, client: Client) -> AsyncIterator[None]:
    """One slow run of the neighbour spans the beginning of the attack, and quick ones follow until it is over."""
    over = asyncio.Event()
    slow = asyncio.create_task(client.run("neighbour", "slow"))

    async def ask() -> None:
        while not over.is_set():
            await rig.ask_neighbour(client)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), ASK_EVERY_S)

    asking = asyncio.create_task(ask())
    try:
        yield
    finally:
        over.set()
        _, answer = await asyncio.gather(asking, slow)
    assert (answer.result, answer.messages) == ("mine", ["mine"])


async def run_program(rig: Rig, program: Program) -> None:
    """Deploy a program, run its parts in order, and hold them to what they say and to what holds for all."""
    async with client_of(rig.skep) as client:
        await rig.settle(client)
        async with neighbour_asked_all_the_while(rig, client):
            await _run_parts(rig, client, program)
        await rig.check_standing()


async def run_programs(rig: Rig, programs: Sequence[Program]) -> dict[str, str]:
    """The same for many, some at a time. Returns what was wrong with which."""
    wrong: dict[str, str] = {}
    room = asyncio.Semaphore(AT_ONCE)

    async def run(client: Client, program: Program) -> None:
        async with room:
            try:
                await _run_parts(rig, client, program)
            except AssertionError as error:
                wrong[program.name] = str(error)

    async with client_of(rig.skep) as client:
        await rig.settle(client)
        async with neighbour_asked_all_the_while(rig, client):
            await asyncio.gather(*(run(client, program) for program in programs))
        await rig.check_standing()
    return wrong


async def _run_parts(rig: Rig, client: Client, program: Program) -> None:
    workspace = f"h-{program.name.replace('_', '-')}"[:63]
    may_lose = any(part.next == "may be lost" for part in program.parts)
    next_timeout_ms = STUCK_TIMEOUT_MS if may_lose else NEXT_TIMEOUT_MS
    functions: dict[str, Any] = {"count": {"code": COUNT, "timeout": next_timeout_ms}}
    for number, part in enumerate(program.parts):
        specification = {"code": part.code, "timeout": part.timeout_ms, "parameters": {"where": {}}}
        functions[f"attack{number}"] = specification
    try:
        deployed = await client.deploy(workspace, functions)
        if program.parts[0].claim.ends == "refuse":
            assert deployed.status == 400, deployed.body
            assert deployed.body["error"] in program.parts[0].claim.value
            return
        assert deployed.status == 200, deployed.body
        for number, part in enumerate(program.parts):
            await _run_part(rig, client, workspace, f"attack{number}", part)
    finally:
        await client.call("DELETE", f"/v2/functions/{workspace}")


async def _run_part(rig: Rig, client: Client, workspace: str, function: str, part: Part) -> None:
    runs = (await client.run(workspace, "count")).result
    started = time.monotonic()
    answer = await client.run(workspace, function, where=rig.where())
    took_s = time.monotonic() - started
    assert took_s < part.timeout_ms / 1000 + LATE_S, "the answer came late"
    _check(part.claim, answer)
    if part.next == "is not asked":
        return
    after = await client.run(workspace, "count")
    if part.next == "may be lost" and after.status != 200:
        after = await client.run(workspace, "count")
    assert after.status == 200, after.body
    if part.claim.lives is not None:
        assert (after.body["result"] == runs + 1) is part.claim.lives, "the worker lives or dies against the claim"


def _check(claim: Claim, answer: Answer) -> None:
    match claim.ends:
        case "return":
            assert answer.status == 200, answer.body
            assert answer.body["result"] == claim.value
        case "raise":
            assert answer.status == 500, answer.body
            assert answer.body["details"]["type"] in claim.value, answer.body
        case "end":
            assert answer.status != 200, answer.body
            assert answer.body["error"] in claim.value, answer.body
        case "refuse":
            raise AssertionError("a program that is refused is not run")
