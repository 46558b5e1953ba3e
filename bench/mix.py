"""The mix of a soak: runs of every kind, callers that leave, cold workers, workspaces that come and go."""

import asyncio
import random
from typing import Any, Final

from bench.caller import Caller
from bench.kinds import KINDS, Kind, function_name, functions_of, is_overdue
from bench.ledger import Ledger, Reply
from bench.lost import Loss, is_kill
from bench.ordinary import VARIANTS, Outside, difference_of, parameters_of
from bench.tenant import Tenant

CALM: Final = ("calm-0", "calm-1", "calm-2")
ROUGH: Final = ("rough-0", "rough-1")
COLD: Final = tuple(f"cold-{number}" for number in range(10))
"""More than there may be workers, run in turn: most of these runs find their worker evicted."""
ORDINARY: Final = "ordinary"
LEFT: Final = "left"
GUESTS: Final = 3
GUEST_RUNS: Final = 4
HEAVY: Final = ("big_json", "big_result", "big_parameter", "big_sort")
"""Of the ordinary functions; the soak that runs only those has them, too."""
BEGUN_TIMEOUT_S: Final = 10.0
SEEN_WITHIN_S: Final = 1.0
_POLL_S: Final = 0.02
_COUNT: Final = "cache['n'] = cache.get('n', 0) + 1\nreturn cache['n']"
_HOLD: Final = (
    "import asyncio\ncache.setdefault('begun', set()).add(n)\ntry:\n    await asyncio.sleep(60)\n"
    "finally:\n    cache['begun'].discard(n)"
)
_N: Final = {"n": {"type": "integer"}}
LEFT_FUNCTIONS: Final = {
    "hold": {"code": _HOLD, "parameters": _N, "timeout": 60_000},
    "is_held": {"code": "return n in cache.get('begun', ())", "parameters": _N},
}
OTHER_WEIGHTS: Final = {"ordinary": 15, "cold": 15, "leaves": 3, "guest": 5}


class Mix:
    """One request after the other, each with what it may be answered."""

    def __init__(self, caller: Caller, choices: random.Random, losses: list[Loss], outside: Outside) -> None:
        self._losses = losses
        """Takes the runs that say that their worker was killed; whether it was is found out later."""
        self._caller = caller
        self._ledger: Ledger = caller.ledger
        self._choices = choices
        self._number = 0
        self._outside = outside
        self._ordinary = [name for name in outside.functions if name not in HEAVY]
        self.guests = [Tenant(f"guest-{number}") for number in range(GUESTS)]
        self._names = [*(kind.name for kind in KINDS), *OTHER_WEIGHTS]
        self._weights = [*(kind.weight for kind in KINDS), *OTHER_WEIGHTS.values()]
        self._kinds = {kind.name: kind for kind in KINDS}

    async def prepare(self) -> None:
        """Deploy what stays, and find out what ordinary functions return. Raises: MeasureError."""
        lasting = self.lasting().items()
        await asyncio.gather(*[self._caller.must_deploy(name, functions) for name, functions in lasting])
        for name in self._ordinary:
            for variant in range(VARIANTS):
                await self._outside.answer(name, parameters_of(name, variant))

    def lasting(self) -> dict[str, Any]:
        """The workspaces that stay, with their functions."""
        return {
            **{name: functions_of(is_rough=False) for name in CALM},
            **{name: functions_of(is_rough=True) for name in ROUGH},
            **{name: {"count": {"code": _COUNT}} for name in COLD},
            ORDINARY: {name: self._outside.functions[name] for name in self._ordinary},
            LEFT: LEFT_FUNCTIONS,
        }

    def names(self) -> list[str]:
        """Everything there is to try."""
        return list(self._names)

    async def one(self, name: str | None = None) -> None:
        """One of the mix, or the one with this name."""
        self._number += 1
        number = self._number
        if name is None:
            (name,) = self._choices.choices(self._names, self._weights)
        match name:
            case "ordinary":
                await self._run_ordinary()
            case "cold":
                await self._run_cold(number)
            case "leaves":
                await self._leave(number)
            case "guest":
                await self._change_guest(number)
            case _:
                await self._run_kind(self._kinds[name], number)

    async def clean(self) -> None:
        """Delete everything."""
        names = [*self.lasting(), *(guest.name for guest in self.guests if guest.live)]
        await asyncio.gather(*[self._caller.ask("DELETE", f"/v2/functions/{name}") for name in names])

    async def _run_kind(self, kind: Kind, number: int) -> None:
        workspace = self._choices.choice(ROUGH if kind.is_rough else CALM)
        n = kind.n(number)
        if kind.is_inline:
            reply = await self._caller.run_inline(workspace, kind.code, n=n)
        else:
            reply = await self._caller.run(workspace, function_name(kind), n=n)
        self._judge(kind.name, workspace, reply, is_right=reply is not None and kind.is_right(reply, number))

    async def _run_ordinary(self) -> None:
        name = self._choices.choice(self._ordinary)
        parameters = parameters_of(name, self._choices.randrange(VARIANTS))
        expected = await self._outside.answer(name, parameters)
        reply = await self._caller.run(ORDINARY, name, **parameters)
        is_right = reply is not None and not difference_of(reply.status, reply.body, expected)
        self._judge("ordinary", ORDINARY, reply, is_right=is_right)

    async def _run_cold(self, number: int) -> None:
        workspace = COLD[number % len(COLD)]
        reply = await self._caller.run(workspace, "count")
        is_right = reply is not None and isinstance(reply.result, int) and reply.result >= 1
        name = "cold" if is_right and reply is not None and reply.result == 1 else "cold, but warm"
        self._judge(name, workspace, reply, is_right=is_right)

    async def _leave(self, number: int) -> None:
        """Leave when the run is under way, and see that it ends."""
        give_up_at = self._caller.now() + BEGUN_TIMEOUT_S
        while True:
            held = asyncio.create_task(self._caller.run(LEFT, "hold", n=number))
            is_seen = await self._until(number, held, is_held=True, within_s=SEEN_WITHIN_S)
            if held.done():
                # Its worker is gone, and it must have been told.
                self._judge("leaves", LEFT, await held, is_right=False)
                return
            held.cancel()
            await asyncio.wait([held])
            if is_seen:
                self._ledger.seen["leaves: left"] += 1
                if not await self._until(number, None, is_held=False, within_s=BEGUN_TIMEOUT_S):
                    self._ledger.violate("left, and not ended", f"run {number} of {LEFT}")
                return
            # Its worker had to make room for others: it goes on there, while who asks for it is sent to another.
            if self._caller.now() >= give_up_at:
                self._ledger.violate("not begun", f"run {number} of {LEFT}")
                return

    async def _until(
        self, number: int, held: "asyncio.Task[Reply | None] | None", *, is_held: bool, within_s: float
    ) -> bool:
        """Ask until the run has begun, or until nothing is left of it; False if it was not seen, or answered."""
        give_up_at = self._caller.now() + within_s
        while self._caller.now() < give_up_at:
            reply = await self._caller.run(LEFT, "is_held", n=number)
            is_right = reply is not None and isinstance(reply.result, bool)
            self._judge("leaves: asked", LEFT, reply, is_right=is_right)
            if reply is not None and reply.result is is_held:
                return True
            if held is not None and held.done():
                break
            await asyncio.sleep(_POLL_S)
        return False

    async def _change_guest(self, number: int) -> None:
        """One change of a workspace that comes and goes, with runs of it before, during and after."""
        guest = self._choices.choice(self.guests)
        runs = [asyncio.create_task(self._run_guest(guest, number * GUEST_RUNS + run)) for run in range(GUEST_RUNS)]
        if not guest.is_busy:
            guest.is_busy = True
            await self._change(guest)
            guest.is_busy = False
            await self._run_guest(guest, number)
        await asyncio.gather(*runs)

    async def _change(self, guest: Tenant) -> None:
        weights = (4, 1, 1) if guest.is_there else (4, 1, 0)
        (change,) = self._choices.choices(("deploy", "refuse", "delete"), weights)
        match change:
            case "deploy":
                reply = await guest.deploy(self._caller)
                if reply is not None and reply.status != 200:
                    self._ledger.violate("not deployed", f"{guest.name}: {reply}")
            case "refuse":
                reply = await guest.refuse(self._caller)
            case _:
                reply = await guest.delete(self._caller)
        if reply is not None:
            self._ledger.seen[f"guest, {change}: {reply.status}"] += 1

    async def _run_guest(self, guest: Tenant, number: int) -> None:
        reply = await guest.run(self._caller, n=number, wait_s=self._choices.choice((0, 0.05)))
        if reply is not None:
            self._judge("guest", guest.name, reply, is_right=False, worker="".join(reply.messages[:1]))

    def _judge(self, name: str, workspace: str, reply: Reply | None, *, is_right: bool, worker: str = "") -> None:
        if reply is None:
            return  # told already
        self._ledger.seen[f"{name}: {reply.status} {reply.error}".rstrip()] += 1
        if is_right:
            return
        if is_kill(reply):
            self._losses.append(Loss(workspace, worker, reply))
        elif not (workspace in ROUGH and is_overdue(reply)):
            self._ledger.violate(f"an answer that may not be, of what {name}", f"{workspace}: {reply}")
