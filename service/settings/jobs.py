"""Settings of runs that are accepted and run later, and of what they tell when they are finished."""

from dataclasses import dataclass
from typing import Final

from service.settings.declaring import setting
from service.settings.pools import COUNT_MOST
from service.settings.values import MEGABYTE, parse_size, whole

_SECRET_LEAST: Final = 16


def _secret(text: str) -> str:
    if len(text) < _SECRET_LEAST:
        raise ValueError(f"must have at least {_SECRET_LEAST} characters")
    return text


@dataclass(frozen=True, kw_only=True)
class JobSettings:
    """How many, how large, how many at once."""

    jobs_max: int = setting(
        10_000,
        env="JOBS_MAX",
        parse=whole(0, COUNT_MOST),
        unit="runs",
        doc="accepted and not finished in the whole service",
    )
    jobs_max_bytes: int = setting(
        128 * MEGABYTE,
        env="JOBS_MAX_SIZE",
        parse=parse_size,
        unit="size",
        shown="128mb",
        doc="parameters and code of the runs that are accepted and not finished",
    )
    jobs_result_max_bytes: int = setting(
        MEGABYTE,
        env="JOBS_RESULT_MAX_SIZE",
        parse=parse_size,
        unit="size",
        shown="1mb",
        doc="result or error of one accepted run that is kept; larger ones are left out",
    )
    jobs_concurrency: int = setting(
        8,
        env="JOBS_CONCURRENCY",
        parse=whole(1, COUNT_MOST),
        unit="runs",
        doc="accepted runs of one workspace that are under way at the same time",
    )
    idempotency_max: int = setting(
        100_000,
        env="IDEMPOTENCY_MAX",
        parse=whole(1, COUNT_MOST),
        unit="keys",
        doc="`Idempotency-Key`s of one workspace that are kept for their day",
    )
    idempotency_max_bytes: int = setting(
        16 * MEGABYTE,
        env="IDEMPOTENCY_MAX_SIZE",
        parse=parse_size,
        unit="size",
        shown="16mb",
        doc="recorded answers of one workspace; the oldest are let go",
    )
    followers_max: int = setting(
        256, env="FOLLOWERS_MAX", parse=whole(0, COUNT_MOST), unit="readers", doc="that follow the logs of runs"
    )
    webhook_secret: str = setting(
        "",
        env="WEBHOOK_SECRET",
        parse=_secret,
        shown="",
        doc="what the secrets that callbacks are signed with are derived from; without it, a file beside the database",
    )
