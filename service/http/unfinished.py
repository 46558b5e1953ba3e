"""One run by its id, from the moment it is asked for, over HTTP: what it is doing, and the way to call it off."""

import asyncio
import re
from typing import Any, Final

import orjson
from aiohttp import web

from service.database import audit
from service.domain.jobs import Job
from service.errors import Conflict, RunNotFound
from service.http.access import actor_of
from service.http.history import whole
from service.http.names import workspace_name
from service.http.problems import JSON
from service.http.skep import Skep
from service.usecases.live_runs import LiveRun
from service.usecases.run_view import shown

CANCEL: Final = "cancel"
"""The topic by which services tell each other which run to call off."""
ELSEWHERE_S: Final = 3.0
"""So long another service may take to call off a run that only it knows of: an idle one looks once a second."""
LOOK_S: Final = 0.05
_ID: Final = re.compile(r"[0-9a-f]{32}")


async def read_run(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/functions/{workspace}/runs/{id}: one run, from the moment it is asked for."""
    workspace, run_id = workspace_name(request), request.match_info["id"]
    body = await _unfinished(skep, workspace, run_id)
    if body is None:
        record = await skep.history.find(workspace, run_id)
        if record is None:
            raise RunNotFound(workspace, run_id)
        body = whole(record)
        delivery = await skep.webhooks.state(run_id)
        if delivery is not None:
            body["callback"] = {"status": delivery.status, "attempts": delivery.attempts}
    return web.Response(body=orjson.dumps(body), content_type=JSON)


async def cancel_run(skep: Skep, request: web.Request) -> web.Response:
    """DELETE /v2/functions/{workspace}/runs/{id}: 204 when it is called off, 202 when another service is to do it."""
    workspace, run_id = workspace_name(request), request.match_info["id"]
    if (job := skep.jobs.get(workspace, run_id)) is not None:
        await _write_down(skep, request, workspace, run_id)
        if not skep.jobs.cancel(job):
            raise _too_late()
        return web.Response(status=204)
    if skep.live_runs.find(workspace, run_id) is not None:
        await _write_down(skep, request, workspace, run_id)
        live = skep.live_runs.find(workspace, run_id)
        if live is None or not live.cancel():
            raise _too_late()
        return web.Response(status=204)
    if (record := await skep.history.find(workspace, run_id)) is not None:
        raise Conflict(f"The run has ended: it {record.status.replace('_', ' ')}.", status=record.status)
    if await skep.job_store.find(workspace, run_id) is not None:
        await _write_down(skep, request, workspace, run_id, is_elsewhere=True)
        return web.json_response({"id": run_id, "status": "cancelling"}, status=202)
    return await _cancel_elsewhere(skep, request, workspace, run_id)


async def webhook_secret(skep: Skep, request: web.Request) -> web.Response:
    """GET /v2/functions/{workspace}/webhook-secret: what the workspace's callbacks are signed with."""
    workspace = workspace_name(request)
    secret = await skep.webhooks.read_secret(actor_of(request), workspace)
    return web.json_response({"secret": secret}, headers={"Cache-Control": "no-store"})


async def _unfinished(skep: Skep, workspace: str, run_id: str) -> dict[str, Any] | None:
    job = skep.jobs.get(workspace, run_id)
    live = skep.live_runs.find(workspace, run_id)
    if job is not None:
        is_running = job.state == "finished" or (live is not None and live.status == "running")
        return _of_job(job, live, is_running=is_running)
    if live is not None:
        body = shown(
            run_id, live.function, live.status,
            queued_ms=live.queued_ms, started_ms=live.started_ms, logs=tuple(live.logs),
        )  # fmt: skip
        return {**body, "function": live.function or None}
    found = await skep.job_store.find(workspace, run_id)
    return None if found is None else _of_job(found[0], None, is_running=found[0].begun_ms is not None)


def _of_job(job: Job, live: LiveRun | None, *, is_running: bool) -> dict[str, Any]:
    body = shown(
        job.id,
        job.function,
        "running" if is_running else "queued",
        queued_ms=job.accepted_ms,
        started_ms=job.begun_ms if is_running else None,
        logs=() if live is None else tuple(live.logs),
    )
    body |= {"function": job.function or None, "key": job.key or None}
    if job.callback is not None:
        body["callback"] = {"status": "pending", "attempts": 0}
    return body


async def _cancel_elsewhere(skep: Skep, request: web.Request, workspace: str, run_id: str) -> web.Response:
    """One that is nowhere written down may be under way in another service: that one would end it at once."""
    if _ID.fullmatch(run_id) is None or not skep.owner.has_others():
        raise RunNotFound(workspace, run_id)
    with skep.elsewhere.one_of(workspace):
        async with skep.database.writing() as write:
            await write.changed(CANCEL, f"{workspace}/{run_id}")
        status = await _status_soon(skep, workspace, run_id)
    if status is None:
        raise RunNotFound(workspace, run_id)
    # Only now: in the audit log there are no runs that never were.
    await _write_down(skep, request, workspace, run_id)
    if status != "cancelled":
        raise _too_late()
    return web.Response(status=204)


async def _status_soon(skep: Skep, workspace: str, run_id: str) -> str | None:
    """How a run of another service has ended, if it does while that is waited for."""
    loop = asyncio.get_running_loop()
    until = loop.time() + ELSEWHERE_S
    while loop.time() < until:
        await asyncio.sleep(LOOK_S)
        if (record := await skep.history.find(workspace, run_id)) is not None:
            return record.status
    return None


async def _write_down(
    skep: Skep, request: web.Request, workspace: str, run_id: str, *, is_elsewhere: bool = False
) -> None:
    async with skep.database.writing() as write:
        await audit.append(write, actor_of(request), "run.cancelled", workspace=workspace, subject=run_id[:64])
        if is_elsewhere:
            await write.changed(CANCEL, f"{workspace}/{run_id}")


def _too_late() -> Conflict:
    return Conflict("The run has ended in the meantime.")
