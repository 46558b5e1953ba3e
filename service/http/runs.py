"""Running functions over HTTP. `run_function` is the hot path: what stands here is paid by every run."""

from typing import Final, NoReturn, TypeVar

import msgspec
from aiohttp import web

from service.domain.outcome import Completed, Returned
from service.domain.values import PROBLEMS_MAX, must_be, shown
from service.errors import InvalidRequest, Problem
from service.http.access import caller_of
from service.http.aliases import wanted_revision
from service.http.bodies import is_yaml, parse, parse_aside, read_body, to_json
from service.http.changing import REVISION
from service.http.names import function_name, workspace_name
from service.http.problems import logs_json, outcome_response
from service.http.rates import metered
from service.http.responses import RunResponse
from service.http.run_modes import Wanted, has_mode, run_in_mode
from service.http.skep import Skep
from service.ids import new_id

T = TypeVar("T")


class RunBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is posted to run a function. Parameters are checked to be JSON and not built."""

    parameters: msgspec.Raw = msgspec.Raw(b"{}")
    callback: str | None = None
    """Who is told of the end of a run that is accepted and run later."""


class InlineBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is posted to run a body once."""

    code: str
    language: str = "python"
    parameters: msgspec.Raw = msgspec.Raw(b"{}")
    callback: str | None = None


_run_body: Final = msgspec.json.Decoder(RunBody)
_inline_body: Final = msgspec.json.Decoder(InlineBody)
_EMPTY: Final = RunBody()


@metered
async def run_function(skep: Skep, request: web.Request) -> web.StreamResponse:
    """POST /v2/functions/{workspace}/run/{function}: run a function."""
    workspace, function = workspace_name(request), function_name(request)
    skep.lifecycle.check()
    body = await _json_body(skep, request)
    if has_mode(request.headers):
        asked = _decode(_run_body, body) if body else _EMPTY
        wanted = _wanted(workspace, function, asked, None, body, revision=wanted_revision(request))
        return await run_in_mode(skep, request, wanted, _respond)
    with skep.lifecycle:
        parameters_json = _parameters(_decode(_run_body, body) if body else _EMPTY)
        del body  # a megabyte, perhaps, for as long as the run waits
        run_id = new_id()
        key = caller_of(request).name
        revision = wanted_revision(request) if "?" in request.raw_path else None
        completed = await skep.run.function(
            workspace, function, run_id=run_id, parameters_json=parameters_json, key=key, revision=revision
        )
        return _respond(completed, run_id)


@metered
async def run_inline(skep: Skep, request: web.Request) -> web.StreamResponse:
    """POST /v2/functions/{workspace}/run: run a body once, beside the functions of a workspace; it is not stored."""
    workspace = workspace_name(request)
    if "revision" in request.query:
        raise InvalidRequest([Problem("query.revision", "is for functions; a body runs once, beside what is live")])
    skep.lifecycle.check()
    body = await _json_body(skep, request)
    if has_mode(request.headers):
        asked = _inline(body)
        return await run_in_mode(skep, request, _wanted(workspace, "", asked, asked.code, body), _respond)
    with skep.lifecycle:
        inline = _inline(body)
        run_id, code, parameters_json = new_id(), inline.code, _parameters(inline)
        del body, inline
        key = caller_of(request).name
        completed = await skep.run.inline(workspace, code, run_id=run_id, parameters_json=parameters_json, key=key)
        return _respond(completed, run_id)


def _inline(body: bytes) -> InlineBody:
    inline = _decode(_inline_body, body)
    if inline.language != "python":
        raise InvalidRequest([Problem("language", "must be python; no other language is offered")])
    return inline


def _wanted(  # noqa: PLR0913  # which, and what was sent
    workspace: str, function: str, asked: RunBody | InlineBody, code: str | None, body: bytes, *,
    revision: str | None = None,
) -> Wanted:  # fmt: skip
    callback, asked.callback = asked.callback, None
    return Wanted(workspace, function, code, _parameters(asked), callback, revision, body)


async def _json_body(skep: Skep, request: web.Request) -> bytes:
    yaml = is_yaml(request)
    body = await read_body(request, max_bytes=skep.settings.request_max_bytes)
    return to_json(await parse_aside(skep, body, yaml=True)) if yaml and body else body


def _parameters(body: RunBody | InlineBody) -> bytes:
    if body.callback is not None:
        raise InvalidRequest([Problem("callback", "is only for runs with the header Prefer: respond-async")])
    parameters = bytes(body.parameters)
    if not parameters.lstrip().startswith(b"{"):
        raise InvalidRequest([Problem("parameters", "must be an object")])
    return parameters


def _decode(decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
    try:
        if not body.isascii():
            body.decode()
        return decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        _explain(decoder.type, body, error)


def _explain(wanted: type, body: bytes, first: Exception) -> NoReturn:
    """The decoder stops at the first problem; find all of them, now that time does not matter."""
    document = parse(body, yaml=False)
    if not isinstance(document, dict):
        raise InvalidRequest([Problem("", must_be("an object", document))])
    problems: list[Problem] = []
    fields = {field.name: field for field in msgspec.structs.fields(wanted)}
    offer = ", ".join(fields)
    problems += [Problem(shown(name), f"unknown field; there is {offer}") for name in document.keys() - fields.keys()]
    for name, field in fields.items():
        if name not in document:
            if field.required:
                problems.append(Problem(name, "is required"))
        elif field.type in {str, str | None} and not isinstance(document[name], field.type):
            problems.append(Problem(name, must_be("a string", document[name])))
        elif field.type is msgspec.Raw and not isinstance(document[name], dict):
            problems.append(Problem(name, must_be("an object", document[name])))
    if len(problems) > PROBLEMS_MAX:
        problems = [*problems[:PROBLEMS_MAX], Problem("", f"there are {len(problems) - PROBLEMS_MAX} more problems")]
    raise InvalidRequest(problems or [Problem("", str(first))])


def _respond(completed: Completed, run_id: str) -> web.StreamResponse:
    outcome = completed.outcome
    if isinstance(outcome, Returned):
        duration_ms = outcome.duration_ms
        body = b'{"result":%b,"logs":%b,"duration":%b}' % (
            outcome.result_json,
            logs_json(outcome.logs),
            repr(duration_ms).encode(),
        )
        returned = RunResponse(body, run_id=run_id, server_timing=_timing(completed, duration_ms))
        if completed.revision is not None:
            returned.headers[REVISION] = str(completed.revision)
        return returned
    response = outcome_response(outcome)
    response.headers["x-run-id"] = run_id
    response.headers["server-timing"] = _timing(completed, getattr(outcome, "duration_ms", 0.0))
    if completed.revision is not None:
        response.headers[REVISION] = str(completed.revision)
    return response


def _timing(completed: Completed, duration_ms: float) -> str:
    cold = "" if completed.cold_ms is None else f"cold;dur={completed.cold_ms:.3f}, "
    return f"queue;dur={completed.queue_ms:.3f}, {cold}run;dur={duration_ms:.3f}"
