"""Runs that are more than a question and its answer: accepted now and run later, or run once however often asked for.

`Prefer: respond-async` is RFC 7240; `Idempotency-Key` follows draft-ietf-httpapi-idempotency-key-header.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec
import orjson
from aiohttp import web
from multidict import CIMultiDictProxy, istr

from service.domain.idempotency import Answer, Claim, Place, fingerprint, parse_key
from service.domain.jobs import Job
from service.domain.outcome import CodeRefused, Completed, ParametersRefused, Rejected
from service.domain.times import now_ms
from service.domain.urls import UrlRefused, parse_url
from service.errors import InvalidRequest, Problem
from service.http.access import caller_of
from service.http.problems import JSON
from service.http.responses import CORRELATION_ID, RunResponse
from service.http.skep import Skep
from service.ids import new_id

# Of a kind that is looked up three times as fast: every run asks for both.
PREFER: Final = istr("Prefer")
IDEMPOTENCY_KEY: Final = istr("Idempotency-Key")
REPLAYED: Final = "Idempotency-Replayed"
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?$)')
_OF_THIS_ANSWER: Final = ("content-", "ratelimit", "retry-after", "date", CORRELATION_ID)
"""Headers that begin so are not those of the next one."""
_NEVER_BEGAN: Final = (ParametersRefused, CodeRefused, Rejected)

Respond = Callable[[Completed, str], web.StreamResponse]


class Wanted(msgspec.Struct, frozen=True):
    """A run that somebody asks for."""

    workspace: str
    function: str
    """Empty for a body that is run once."""
    code: str | None
    parameters_json: bytes
    callback: str | None
    revision: str | None
    body: bytes
    """As it was sent: what two requests must have in common to be one."""


def has_mode(headers: CIMultiDictProxy[str]) -> bool:
    """Whether this is for here. Asked for every run."""
    return IDEMPOTENCY_KEY in headers or PREFER in headers


async def run_in_mode(skep: Skep, request: web.Request, wanted: Wanted, respond: Respond) -> web.StreamResponse:
    """Run it, once or later. Raises: InvalidRequest, Conflict, TooMany, and as a run does."""
    is_async = prefers_async(request.headers)
    if wanted.callback is not None:
        if not is_async:
            raise InvalidRequest([Problem("callback", "is only for runs with the header Prefer: respond-async")])
        _check_url(wanted.callback)
    key = _key_of(request.headers)
    caller, run_id = caller_of(request).name, new_id()
    if key is None:
        if is_async:
            return _response(await _accept(skep, wanted, caller, run_id))
        with skep.lifecycle:
            return respond(await _run(skep, wanted, caller, run_id), run_id)

    async def ask() -> Answer:
        if is_async:
            return await _accept(skep, wanted, caller, run_id)
        with skep.lifecycle:
            completed = await _run(skep, wanted, caller, run_id)
        return _answer(respond(completed, run_id), is_kept=not isinstance(completed.outcome, _NEVER_BEGAN))

    mark = fingerprint(wanted.function, wanted.revision or "", "later" if is_async else "now", wanted.body)
    claim = Claim(Place(wanted.workspace, caller_of(request).id, key), mark, run_id, is_async)
    answer, is_replayed = await skep.idempotency.once(claim, ask, accepted(wanted, run_id) if is_async else None)
    response = _response(answer)
    if is_replayed:
        response.headers[REPLAYED] = "true"
    return response


def prefers_async(headers: CIMultiDictProxy[str]) -> bool:
    """Whether an answer at once is preferred to one with the result; what else is preferred is ignored (RFC 7240)."""
    # What is quoted is not looked into; quotation marks without end go on to the end.
    return any(
        preference.partition(";")[0].strip().lower() == "respond-async"
        for line in headers.getall(PREFER, ())
        for preference in _QUOTED.sub('"', line).split(",")
    )


def accepted(wanted: Wanted, run_id: str) -> Answer:
    """The answer for one that will be run."""
    headers = {
        "Location": f"/v2/functions/{wanted.workspace}/runs/{run_id}",
        "Preference-Applied": "respond-async",
        "x-run-id": run_id,
    }
    return Answer(202, headers, orjson.dumps({"id": run_id, "status": "queued"}))


def lost(run_id: str) -> Answer:
    """The answer for one whose service has died."""
    body = {
        "error": "WorkerLost",
        "message": "The service ended while this run was under way; nobody knows how far it came.",
        "details": {"reason": "the service ended", "run_id": run_id},
        "logs": [],
    }
    return Answer(502, {"x-run-id": run_id}, orjson.dumps(body))


async def _accept(skep: Skep, wanted: Wanted, caller: str, run_id: str) -> Answer:
    skep.lifecycle.check()
    job = Job(
        id=run_id,
        workspace=wanted.workspace,
        function=wanted.function,
        code=wanted.code,
        parameters_json=wanted.parameters_json,
        revision=wanted.revision,
        key=caller,
        callback=wanted.callback,
        accepted_ms=now_ms(),
    )
    await skep.run.accept(wanted.workspace, partial(skep.jobs.accept, job))
    return accepted(wanted, run_id)


async def _run(skep: Skep, wanted: Wanted, caller: str, run_id: str) -> Completed:
    parameters_json = wanted.parameters_json
    if wanted.code is not None:
        return await skep.run.inline(
            wanted.workspace, wanted.code, run_id=run_id, parameters_json=parameters_json, key=caller
        )
    return await skep.run.function(
        wanted.workspace, wanted.function,
        run_id=run_id, parameters_json=parameters_json, key=caller, revision=wanted.revision,
    )  # fmt: skip


def _answer(response: web.StreamResponse, *, is_kept: bool) -> Answer:
    if isinstance(response, RunResponse):
        return Answer(response.status, {**response.own_headers, **_kept(response)}, response.content, is_kept)
    return Answer(response.status, _kept(response), _body_of(response), is_kept)


def _kept(response: web.StreamResponse) -> dict[str, str]:
    return {
        str(name): value for name, value in response.headers.items() if not name.lower().startswith(_OF_THIS_ANSWER)
    }


def _body_of(response: web.StreamResponse) -> bytes:
    body = getattr(response, "body", None)
    return body if isinstance(body, bytes) else b""


def _response(answer: Answer) -> web.Response:
    return web.Response(status=answer.status, body=answer.body, content_type=JSON, headers=answer.headers)


def _key_of(headers: CIMultiDictProxy[str]) -> str | None:
    given = headers.getall(IDEMPOTENCY_KEY, [])
    if not given:
        return None
    if len(given) > 1:
        raise InvalidRequest([Problem(f"headers.{IDEMPOTENCY_KEY}", "must be given once")])
    try:
        return parse_key(given[0])
    except ValueError as error:
        raise InvalidRequest([Problem(f"headers.{IDEMPOTENCY_KEY}", str(error))]) from None


def _check_url(url: str) -> None:
    try:
        parse_url(url)
    except UrlRefused as refused:
        raise InvalidRequest([Problem("callback", str(refused))]) from None
