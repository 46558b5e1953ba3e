"""Wires what is about runs that are accepted, asked for again, followed and told of."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from service.broker.egress import Egress
from service.database.group_commit import GroupCommit
from service.database.owners import Owner
from service.domain.egress import Rules
from service.domain.jobs import Job, JobQueue
from service.domain.outcome import Completed, Outcome
from service.errors import SkepError, WorkspaceNotFound
from service.http.problems import error_json, failure_json
from service.http.run_modes import lost
from service.http.skep import Skep
from service.http.unfinished import CANCEL
from service.usecases.claim_store import ClaimStore
from service.usecases.idempotency import Idempotency
from service.usecases.job_archive import JobArchive
from service.usecases.job_store import JobStore
from service.usecases.jobs import Jobs
from service.usecases.live_runs import LiveRuns
from service.usecases.webhook_secret import read_or_make
from service.usecases.webhooks import Webhooks
from service.workers.pools import Pools

BEGUN_MAX: Final = 1024
"""Accepted runs of all workspaces that are under way, or wait for room in their pool."""


@asynccontextmanager
async def running_jobs(skep: Skep, pools: Pools, egress: Egress) -> AsyncIterator[None]:
    """Everything of it. `skep.run` must be there; accepted runs begin with `skep.jobs.start`."""
    settings = skep.settings
    owner = skep.owner = Owner(skep.database.path)
    group = GroupCommit(skep.database)
    live = skep.live_runs = LiveRuns(pools)
    webhooks = skep.webhooks = Webhooks(
        skep.database, group, owner, egress.fetch, lambda workspace: _network_of(skep, workspace),
        secret=await _secret(skep),
    )  # fmt: skip
    archive = JobArchive(result_max_bytes=settings.jobs_result_max_bytes, logs_max_bytes=settings.logs_max_bytes)
    store = skep.job_store = JobStore(skep.database, group, owner, [archive.write, webhooks.keep])
    queue = JobQueue(
        jobs_max=settings.jobs_max,
        jobs_max_bytes=settings.jobs_max_bytes,
        at_once=settings.jobs_concurrency,
        begun_max=BEGUN_MAX,
    )
    run = skep.run.unrecorded()

    async def run_job(job: Job) -> Completed:
        # Counted against its workspace's quota when it was accepted.
        if job.code is not None:
            return await run.inline(
                job.workspace, job.code,
                run_id=job.id, parameters_json=job.parameters_json, key=job.key, is_counted=True,
            )  # fmt: skip
        return await run.function(
            job.workspace, job.function, run_id=job.id, parameters_json=job.parameters_json, key=job.key,
            revision=job.revision, is_counted=True,
        )  # fmt: skip

    jobs = skep.jobs = Jobs(store, queue, owner, live, run_job, under_way=skep.lifecycle, explain=_explain)
    jobs.on_finished = webhooks.wake
    skep.lifecycle.on_drain = jobs.stop

    async def was_finished(workspace: str, run_id: str) -> bool:
        return await skep.history.find(workspace, run_id) is not None

    claims = ClaimStore(
        skep.database, group, owner, most=settings.idempotency_max, max_bytes=settings.idempotency_max_bytes
    )
    skep.idempotency = Idempotency(claims, owner, lost=lost, was_finished=was_finished)

    async def cancel(subject: str | None) -> None:
        if subject is None:
            return
        workspace, _, run_id = subject.partition("/")
        if (job := jobs.get(workspace, run_id)) is not None:
            jobs.cancel(job)
        elif (run := live.find(workspace, run_id)) is not None:
            run.cancel()

    skep.changes.listen(CANCEL, cancel)
    owner.open()
    try:
        async with webhooks.running(), jobs.running(), skep.idempotency.running():
            yield
        await group.close()
    finally:
        owner.close()


def _explain(ended: Outcome | SkepError) -> bytes:
    return error_json(ended) if isinstance(ended, SkepError) else failure_json(ended)


async def _network_of(skep: Skep, workspace: str) -> Rules | None:
    """The rules of one that was deleted hold on: its last runs may still have something to tell."""
    try:
        return (await skep.volume.read(workspace)).workspace.network
    except WorkspaceNotFound:
        newest = await skep.revisions.newest(workspace)
        return None if newest is None else (await skep.revisions.to_run(workspace, newest)).network


async def _secret(skep: Skep) -> bytes:
    given = skep.settings.webhook_secret
    if given:
        return given.encode()
    return await asyncio.to_thread(read_or_make, Path(f"{skep.database.path}-webhook-secret"))
