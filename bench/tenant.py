"""A workspace that is deployed over and over while it is run, and what its runs may therefore return.

Each deploy has the next number for its version, twice, in two functions of which one calls the other. A run may return
any version from the last that was known to be live when the run was sent to the last that was sent when it was
answered; never one that was refused, and never two different ones.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from bench.caller import Caller
from bench.ledger import Reply

FUNCTION: Final = "version"
_NEVER: Final = float("-inf")
_NOW: Final = float("inf")
PARAMETERS: Final = {"n": {"type": "integer"}, "wait": {"type": "number"}}
WORKER: Final = "import uuid\nworker = cache.setdefault('worker', str(uuid.uuid4()))\nprint(worker)\n"
"""What lets a run tell in which worker it is: every one has a cache of its own."""
_CODE: Final = (
    WORKER + "if wait:\n    import asyncio\n    await asyncio.sleep(wait)\nreturn [{version}, await twin(), worker, n]"
)


def functions_of(version: int) -> dict[str, Any]:
    """One version."""
    return {
        FUNCTION: {"code": _CODE.replace("{version}", str(version)), "parameters": PARAMETERS},
        "twin": {"code": f"return {version}"},
    }


def refused_of(version: int) -> dict[str, Any]:
    """One that must be refused: half of it is fine, which must not go live either."""
    return functions_of(version) | {"twin": {"code": "import os"}}


@dataclass(slots=True)
class Tenant:
    """What is known of one workspace. Its deploys are made one after the other."""

    name: str
    live: int = 0
    """No run that is sent from now on may return less."""
    sent: int = 0
    """The last version that was sent."""
    undone: set[int] = field(default_factory=set)
    """Versions whose deploy was answered with anything but 200."""
    may_be_there_until: float = _NEVER
    may_be_gone_until: float = _NOW
    is_busy: bool = False
    """A change is under way."""

    @property
    def is_there(self) -> bool:
        """Whether it is known to exist."""
        return self.may_be_gone_until != _NOW

    async def deploy(self, caller: Caller) -> Reply | None:
        """Create or replace it. What is answered with anything but 200 must have changed nothing."""
        self.sent += 1
        version = self.sent
        self.may_be_there_until = _NOW
        was_gone = not self.is_there
        reply = await caller.deploy(self.name, functions_of(version))
        if reply is not None and reply.status == 200:
            self.live = version
            self.may_be_gone_until = caller.now() if was_gone else self.may_be_gone_until
        else:
            self.undone.add(version)
            self.may_be_there_until = caller.now() if was_gone else _NOW
        return reply

    async def refuse(self, caller: Caller) -> Reply | None:
        """Send one that must be refused."""
        self.sent += 1
        self.undone.add(self.sent)
        reply = await caller.deploy(self.name, refused_of(self.sent))
        if reply is not None and (reply.status, reply.error) != (400, "CompilationError"):
            caller.ledger.violate("a bad deploy that was not refused as one", f"{self.name}: {reply}")
        return reply

    async def delete(self, caller: Caller) -> Reply | None:
        """Delete it, which must succeed."""
        self.may_be_gone_until = _NOW
        reply = await caller.ask("DELETE", f"/v2/functions/{self.name}")
        if reply is not None and reply.status == 204:
            self.may_be_there_until = caller.now()
        elif reply is not None:
            caller.ledger.violate("not deleted", f"{self.name}: {reply}")
        return reply

    async def run(self, caller: Caller, *, n: int, wait_s: float) -> Reply | None:
        """Run it and hold what it returns, or that it is not there, against what is known.

        Returns None for what was judged here; otherwise the answer, which is for the caller to judge.
        """
        oldest = self.live
        reply = await caller.run(self.name, FUNCTION, n=n, wait=wait_s)
        if reply is None:
            return None
        if reply.status == 404 and self.may_be_gone_until >= reply.sent:
            caller.ledger.seen["tenant: 404, while it may be gone"] += 1
            return None
        if reply.status != 200:
            return reply
        caller.ledger.seen["tenant: 200"] += 1
        told = self.problem(reply, oldest=oldest, n=n)
        if told:
            caller.ledger.violate(told, f"{self.name}: versions {oldest} to {self.sent} may be live: {reply}")
        return None

    def problem(self, reply: Reply, *, oldest: int, n: int) -> str:
        """What is wrong with what a run returned, if anything."""
        version, twin, _worker, same = reply.result if _is_whole(reply.result) else (0, 0, "", None)
        problems = {
            "a result of another run": same != n,
            "a deploy that was half done": version != twin,
            "a deploy that was refused and went live": version in self.undone,
            "a deploy that was lost": version < oldest,
            "a version that nobody sent": version > self.sent,
            "a run of what was deleted": self.may_be_there_until < reply.sent,
        }
        # Who has seen a version must not be given an older one afterwards.
        self.live = max(self.live, version)
        return next((name for name, is_so in problems.items() if is_so), "")

    async def check(self, caller: Caller) -> None:
        """At the end: what is stored is what was deployed last."""
        reply = await caller.ask("GET", f"/v2/functions/{self.name}")
        if reply is None:
            return
        stored = reply.body.get("functions") if reply.status == 200 and isinstance(reply.body, dict) else None
        if stored != functions_of(self.live):
            caller.ledger.violate("stored is not what was deployed", f"{self.name} at version {self.live}: {reply}")


def _is_whole(result: object) -> bool:
    return isinstance(result, list) and len(result) == 4 and isinstance(result[0], int)
