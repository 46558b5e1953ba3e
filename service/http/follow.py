"""What a run says, over HTTP: all of it so far, or as server-sent events while it goes on (the HTML standard, 9.2)."""

import asyncio
from collections.abc import Sequence
from typing import Final

import msgspec
import orjson
from aiohttp import web

from service.domain.values import shown
from service.errors import DatabaseUnavailable, InvalidRequest, Problem, RunNotFound
from service.http.names import workspace_name
from service.http.problems import JSON, logs_json
from service.http.skep import Skep
from service.usecases.live_runs import LiveRun
from service.usecases.recording import status_of

KEEP_ALIVE_S: Final = 15.0
LOOK_S: Final = 0.1
"""So often it is looked whether a run that waits has begun, and whether one that has ended is written down."""
UNKNOWN_S: Final = 2.0
"""So long after its end a run may take to be found in the history; one that never began is not."""
WRITE_TIMEOUT_S: Final = 30.0
"""A reader that takes nothing for so long is let go."""
CHUNK_BYTES: Final = 8 * 1024
"""So much for one reader, and then it is another one's turn."""
EVENTS: Final = "text/event-stream"
LAST_EVENT_ID: Final = "Last-Event-ID"
EVENT_ID_MAX_DIGITS: Final = 9
"""More than any run says."""
_entries: Final = msgspec.json.Decoder(list[msgspec.Raw])


async def read_logs(skep: Skep, request: web.Request) -> web.StreamResponse:
    """GET /v2/functions/{workspace}/runs/{id}/logs: an array, or with `?follow=1` a stream of events."""
    workspace, run_id = workspace_name(request), request.match_info["id"]
    follows, after = _asked(request)
    logs = await _logs(skep, workspace, run_id)
    if not follows or request.method == "HEAD":
        return web.Response(body=logs_json(tuple(logs)), content_type=JSON)
    return EventStream(skep, workspace, run_id, after=after)


class EventStream(web.StreamResponse):
    """The stream of one reader. It keeps nothing: what it is to send stands in the run, or in the history."""

    def __init__(self, skep: Skep, workspace: str, run_id: str, *, after: int) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self.content_type = EVENTS
        self.charset = "utf-8"
        self._skep = skep
        self._workspace = workspace
        self._run_id = run_id
        self._sent = after
        self._unknown_s = 0.0
        self._quiet_s = 0.0
        skep.followers.come(self, workspace)

    async def write_eof(self, data: bytes = b"") -> None:
        """Send events until the run is over. Called by aiohttp when the head is sent."""
        try:
            await self._write(b": the logs of one run\n\n")
            status = await self._until_over()
            if status is not None:
                await self._write(b"event: end\ndata: %b\n\n" % orjson.dumps({"status": status}))
            await super().write_eof(data)
        except TimeoutError:
            if self._req is not None and self._req.transport is not None:
                self._req.transport.abort()
        finally:
            self._skep.followers.go(self, self._workspace)

    async def _until_over(self) -> str | None:
        """How it ended; None if that will be known elsewhere, or never."""
        while True:
            job = self._skep.jobs.get(self._workspace, self._run_id)
            live = self._skep.live_runs.find(self._workspace, self._run_id)
            if live is not None and live.status == "running":
                status = await self._follow(live)
                if job is None or job.state == "finished":
                    return status
                continue
            if job is None and live is None:
                status = await self._recorded()
                if status == "unknown":
                    return None
                if status != "unfinished":
                    return status
            if self._skep.lifecycle.draining and (job is None or job.state == "queued"):
                return None
            await self._wait(LOOK_S)

    async def _follow(self, live: LiveRun) -> str:
        heard = asyncio.Event()
        with live.listening(heard.set):
            while not live.outcome.done():
                await self._send(live.logs)
                try:
                    async with asyncio.timeout(KEEP_ALIVE_S):
                        await heard.wait()
                except TimeoutError:
                    await self._write(b": still here\n\n")
                heard.clear()
        outcome = None if live.outcome.cancelled() else live.outcome.result()
        await self._send(live.logs)
        return status_of(outcome)

    async def _recorded(self) -> str:
        """The status in the history; `unfinished` if another service has it, `unknown` if nobody has."""
        try:
            if await self._skep.job_store.find(self._workspace, self._run_id) is not None:
                return "unfinished"
            record = await self._skep.history.find(self._workspace, self._run_id)
        except DatabaseUnavailable:
            return "unfinished"
        if record is not None:
            await self._send([bytes(entry) for entry in _entries.decode(record.logs_json)])
            return record.status
        self._unknown_s += LOOK_S
        return "unknown" if self._unknown_s > UNKNOWN_S else "unfinished"

    async def _wait(self, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        self._quiet_s += pause_s
        if self._quiet_s >= KEEP_ALIVE_S:
            await self._write(b": still here\n\n")

    async def _send(self, entries: Sequence[bytes]) -> None:
        """Send those that it does not have."""
        while self._sent < len(entries):
            async with self._skep.followers.turn:
                await asyncio.sleep(0)
                chunk = self._chunk(entries)
            await self._write(chunk)

    def _chunk(self, entries: Sequence[bytes]) -> bytes:
        chunk = bytearray()
        while self._sent < len(entries) and len(chunk) < CHUNK_BYTES:
            entry = entries[self._sent]
            self._sent += 1
            if b"\n" in entry or b"\r" in entry:
                entry = orjson.dumps(orjson.loads(entry))
            chunk += b"id: %d\nevent: log\ndata: %b\n\n" % (self._sent, entry)
        return bytes(chunk)

    async def _write(self, data: bytes) -> None:
        self._quiet_s = 0.0
        async with asyncio.timeout(WRITE_TIMEOUT_S):
            await self.write(data)


async def _logs(skep: Skep, workspace: str, run_id: str) -> Sequence[bytes]:
    """What it has said so far. Raises: RunNotFound."""
    live = skep.live_runs.find(workspace, run_id)
    if live is not None:
        return live.logs
    if skep.jobs.get(workspace, run_id) is not None or await skep.job_store.find(workspace, run_id) is not None:
        return ()
    record = await skep.history.find(workspace, run_id)
    if record is None:
        raise RunNotFound(workspace, run_id)
    return [bytes(entry) for entry in _entries.decode(record.logs_json)]


def _asked(request: web.Request) -> tuple[bool, int]:
    problems = [
        Problem(f"query.{shown(name)}", "unknown parameter; there is follow")
        for name in dict.fromkeys(request.query.keys())
        if name != "follow"
    ]
    given = request.query.get("follow", "0")
    if given not in {"0", "1"}:
        problems.append(Problem("query.follow", "must be 0 or 1"))
    last = request.headers.get(LAST_EVENT_ID, "0")
    if not (last.isascii() and last.isdigit() and len(last) <= EVENT_ID_MAX_DIGITS):
        problems.append(Problem(f"headers.{LAST_EVENT_ID}", "must be the number of an event"))
    if problems:
        raise InvalidRequest(problems)
    return given == "1", int(last)
