"""Runs that were accepted, to be run when it is their turn: the queue of one service, in memory."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Literal

import msgspec

from service.domain.fairness import fair_share


class Job(msgspec.Struct, eq=False):
    """One accepted run: all it takes to run it."""

    id: str
    workspace: str
    function: str
    """Empty for a body that is run once."""
    code: str | None
    parameters_json: bytes
    revision: str | None
    """By number or alias, as its caller asked for it: what an alias means is decided when it begins."""
    key: str
    """The name of its caller's key."""
    callback: str | None
    accepted_ms: int
    begun_ms: int | None = None
    state: Literal["queued", "begun", "finished"] = "queued"
    refusals: int = 0
    """How often there was no room for it in the workspace's pool."""
    refused_ms: int | None = None
    """When that was first."""
    is_cancelled: bool = False
    ran_revision: int | None = None
    """Set if it was not simply what is live."""

    @property
    def size_bytes(self) -> int:
        """What it takes to keep it."""
        return len(self.parameters_json) + (0 if self.code is None else len(self.code))


class JobQueue:
    """Who may be accepted, and whose turn it is: the workspaces in a circle, the jobs of each in order.

    At most `at_once` jobs of a workspace are begun, `begun_max` of all. Of these, as of everything that is accepted, a
    workspace may have as much as is still free: one alone gets half of it, two a third each.
    """

    def __init__(self, *, jobs_max: int, jobs_max_bytes: int, at_once: int, begun_max: int) -> None:
        self._jobs_max = jobs_max
        self._jobs_max_bytes = jobs_max_bytes
        self._at_once = at_once
        self._begun_max = begun_max
        self._jobs: dict[str, Job] = {}
        self._of: dict[str, _Share] = {}
        self._circle: OrderedDict[str, None] = OrderedDict()
        """Workspaces with a job that may begin as far as they are concerned."""
        self._size_bytes = 0
        self._begun = 0

    def __len__(self) -> int:
        return len(self._jobs)

    def __iter__(self) -> Iterator[Job]:
        return iter(tuple(self._jobs.values()))

    @property
    def waiting(self) -> int:
        """Those that have not begun."""
        return len(self._jobs) - self._begun

    def get(self, job_id: str) -> Job | None:
        """A job that is not finished."""
        return self._jobs.get(job_id)

    def has_room(self, workspace: str, size_bytes: int) -> bool:
        """Whether one more may be accepted."""
        share = self._of.get(workspace)
        count, held_bytes = (0, 0) if share is None else (share.count, share.size_bytes)
        free_bytes = self._jobs_max_bytes - self._size_bytes - size_bytes
        return fair_share(count, self._jobs_max - len(self._jobs)) and fair_share(held_bytes + size_bytes, free_bytes)

    def hold(self, job: Job) -> None:
        """Count it: it is about to be accepted. `add` or `drop` follows."""
        share = self._of.setdefault(job.workspace, _Share())
        share.count += 1
        share.size_bytes += job.size_bytes
        self._size_bytes += job.size_bytes
        self._jobs[job.id] = job

    def add(self, job: Job) -> None:
        """It waits for its turn from now on."""
        self._of[job.workspace].waiting[job.id] = job
        self._offer(job.workspace)

    def withdraw(self, job: Job) -> None:
        """It does not wait for its turn any more."""
        self._of[job.workspace].waiting.pop(job.id, None)
        self._offer(job.workspace)

    def drop(self, job: Job) -> None:
        """It is finished, or was not accepted after all. Must not be among those that are begun."""
        if self._jobs.pop(job.id, None) is None:
            return
        share = self._of[job.workspace]
        share.count -= 1
        share.size_bytes -= job.size_bytes
        self._size_bytes -= job.size_bytes
        share.waiting.pop(job.id, None)
        self._offer(job.workspace)
        if not share.count:
            del self._of[job.workspace]

    def next(self) -> Job | None:
        """Begin the job whose turn it is; None if there is none that may."""
        for _ in range(len(self._circle)):
            workspace, _ = self._circle.popitem(last=False)
            share = self._of[workspace]
            if not fair_share(share.begun, self._begun_max - self._begun):
                self._circle[workspace] = None
                continue
            _, job = share.waiting.popitem(last=False)
            job.state = "begun"
            share.begun += 1
            self._begun += 1
            self._offer(workspace)
            return job
        return None

    def end(self, job: Job) -> None:
        """It is not under way any more."""
        self._of[job.workspace].begun -= 1
        self._begun -= 1
        self._offer(job.workspace)

    def _offer(self, workspace: str) -> None:
        share = self._of[workspace]
        if share.waiting and share.begun < self._at_once:
            self._circle.setdefault(workspace)
        else:
            self._circle.pop(workspace, None)


class _Share:
    """What one workspace has."""

    __slots__ = ("begun", "count", "size_bytes", "waiting")

    def __init__(self) -> None:
        self.count = 0
        self.size_bytes = 0
        self.begun = 0
        self.waiting: OrderedDict[str, Job] = OrderedDict()
