"""Which of the workers that were killed took which runs along, from what callers saw and nothing that the service says.

A run that was lost names its workspace, and its worker if it came so far as to print that. It was under way between the
moment it was sent and the moment its loss was told. All losses with the same worker need one kill that falls into each
of these times, and no two workers the same kill: if the losses cannot be dealt out to the kills like that, one of them
was lost in a worker that nobody had killed. What this cannot show: that it was not lost in another worker of the same
workspace that died of something else within the few milliseconds that a run was under way when a kill happened.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.family import Kill
from bench.ledger import Ledger, Reply

NOTICED_WITHIN_S: Final = 0.1
"""A worker may be gone before the service knows: a run that is sent meanwhile is written to one that is no more."""
KILLED: Final = re.compile(r"\bsignal 9\b")
UNKNOWN_END: Final = "the worker ended"
"""All that can be said of a worker whose zygote was gone: nobody is told how it ended."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A run that was answered with 502."""

    workspace: str
    worker: str
    """What the run printed of where it was; empty if it did not come so far."""
    reply: Reply


@dataclass(slots=True)
class Dead:
    """A worker that must have been killed for these losses to be right."""

    workspace: str
    worker: str
    losses: list[Loss] = field(default_factory=list)

    def may_be(self, kill: Kill) -> bool:
        """Whether this kill falls into the time of each of its runs."""
        return all(_is_within(loss, kill) for loss in self.losses)


def _is_within(loss: Loss, kill: Kill) -> bool:
    gone = float("inf") if kill.gone is None else kill.gone + NOTICED_WITHIN_S
    if loss.reply.details.get("reason") == UNKNOWN_END and not kill.is_orphan:
        return False
    return kill.at <= loss.reply.answered and loss.reply.sent <= gone


def is_kill(reply: Reply) -> bool:
    """Whether an answer says that the worker was killed by somebody, as one that was killed from outside does."""
    reason = str(reply.details.get("reason"))
    return reply.outcome == "worker_lost" and (KILLED.search(reason) is not None or reason == UNKNOWN_END)


def explain(losses: Sequence[Loss], kills: Sequence[Kill], ledger: Ledger) -> None:
    """Deal the losses out to the kills; every loss that is left over is a violation."""
    workers = _group(losses, kills)
    taken: dict[int, Dead] = {}
    candidates = {id(dead): [at for at, kill in enumerate(kills) if dead.may_be(kill)] for dead in workers}

    def place(dead: Dead, tried: set[int]) -> bool:
        """Find a kill for it, moving others to another one of theirs if need be (augmenting paths, Kuhn 1955)."""
        for at in candidates[id(dead)]:
            if at not in tried:
                tried.add(at)
                if at not in taken or place(taken[at], tried):
                    taken[at] = dead
                    return True
        return False

    for dead in workers:
        if not place(dead, set()):
            for loss in dead.losses:
                ledger.violate("lost without a kill", f"{dead.workspace} {dead.worker}: {loss.reply}")
    unseen = sum(kill.gone is None for kill in kills)
    if unseen:
        ledger.violate("killed and not gone", f"{unseen} of {len(kills)} workers")
    sharp = sum(len(candidates[id(dead)]) == 1 for dead in workers)
    orphans = sum(kill.is_orphan for kill in kills)
    ledger.notes.append(
        f"{len(kills)} workers killed, {orphans} of them after their zygote; {len(taken)} had runs in them, "
        f"{len(losses)} in all; for {sharp} of these workers only one kill comes into question"
    )


def _group(losses: Sequence[Loss], kills: Sequence[Kill]) -> list[Dead]:
    """By worker; those that do not know theirs go to the first of their workspace that they fit."""
    found: dict[tuple[str, str], Dead] = {}
    for loss in losses:
        if loss.worker:
            found.setdefault((loss.workspace, loss.worker), Dead(loss.workspace, loss.worker)).losses.append(loss)
    workers = list(found.values())
    for loss in losses:
        if loss.worker:
            continue
        for dead in workers:
            together = Dead(dead.workspace, dead.worker, [*dead.losses, loss])
            if dead.workspace == loss.workspace and any(together.may_be(kill) for kill in kills):
                dead.losses.append(loss)
                break
        else:
            workers.append(Dead(loss.workspace, "", [loss]))
    return workers
