"""A run as the API shows it, while it is under way and in what its callback is told."""

from typing import Any

import orjson

from service.domain.outcome import Logs
from service.domain.times import rfc3339
from service.usecases.job_endings import Ending


def shown(  # noqa: PLR0913  # what there is to show
    run_id: str,
    function: str,
    status: str,
    *,
    queued_ms: int,
    started_ms: int | None,
    logs: Logs,
) -> dict[str, Any]:
    """One that is not finished. Logs are JSON already, and only quoted into it: for orjson."""
    return {
        "id": run_id,
        "function": function,
        "status": status,
        "revision": None,
        "key": None,
        "logs": orjson.Fragment(b"[" + b",".join(logs) + b"]"),
        "queued": rfc3339(queued_ms),
        "started": None if started_ms is None else rfc3339(started_ms),
        "finished": None,
        "duration": None,
    }


def told(ending: Ending, *, part_max_bytes: int) -> bytes:
    """What a callback is told, as JSON. A result, an error or logs that are larger are left out, and it says so."""
    job = ending.job
    parts = {
        "result": ending.result_json,
        "error": ending.error_json,
        "logs": b"[" + b",".join(ending.logs) + b"]",
    }
    kept = {name: part for name, part in parts.items() if part is not None and len(part) <= part_max_bytes}
    return orjson.dumps(
        {
            "id": job.id,
            "workspace": job.workspace,
            "function": job.function,
            "status": ending.status,
            **{name: orjson.Fragment(part) for name, part in kept.items()},
            "queued": rfc3339(job.accepted_ms),
            "started": None if job.begun_ms is None else rfc3339(job.begun_ms),
            "finished": rfc3339(ending.finished_ms),
            "duration": ending.duration_ms,
            "truncated": any(part is not None and name not in kept for name, part in parts.items()),
        }
    )
