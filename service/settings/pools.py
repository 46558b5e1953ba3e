"""Settings of workspaces' pools, and of what they share: how much the service takes on, and what it turns away."""

from dataclasses import dataclass

from service.settings.declaring import setting
from service.settings.values import MEGABYTE, parse_milliseconds, parse_size, whole

CEIL_MOST = 1000
COUNT_MOST = 1_000_000


@dataclass(frozen=True, kw_only=True)  # no slots: of several bases only one may have some
class PoolSettings:
    """Defaults of a workspace's `pool`, the most it may ask for, and limits of the service as a whole."""

    pool_floor: int = setting(
        0, env="POOL_FLOOR", parse=whole(0, CEIL_MOST), unit="workers", doc="kept warm for a workspace from deploy on"
    )
    pool_ceil: int = setting(
        1, env="POOL_CEIL", parse=whole(1, CEIL_MOST), unit="workers", doc="the most that a workspace has"
    )
    pool_cruise: int = setting(
        1, env="POOL_CRUISE", parse=whole(0, CEIL_MOST), unit="workers", doc="kept when a rush is over"
    )
    pool_concurrency: int = setting(
        64, env="POOL_CONCURRENCY", parse=whole(1, COUNT_MOST), unit="runs", doc="interleaving in one worker"
    )
    pool_queue: int = setting(
        256, env="POOL_QUEUE", parse=whole(0, COUNT_MOST), unit="runs", doc="that may wait in one workspace"
    )
    pool_timeout_ms: int = setting(
        10_000, env="POOL_TIMEOUT", parse=parse_milliseconds, unit="ms", doc="time that one run may wait"
    )
    pool_ceil_max: int = setting(
        8, env="POOL_CEIL_MAX", parse=whole(1, CEIL_MOST), unit="workers", doc="the most that a `pool.ceil` may ask for"
    )
    pool_concurrency_max: int = setting(
        1000, env="POOL_CONCURRENCY_MAX", parse=whole(1, COUNT_MOST), unit="runs", doc="the same of `pool.concurrency`"
    )
    pool_queue_max: int = setting(
        10_000, env="POOL_QUEUE_MAX", parse=whole(0, COUNT_MOST), unit="runs", doc="the same of `pool.queue`"
    )
    pool_timeout_max_ms: int = setting(
        60_000, env="POOL_TIMEOUT_MAX", parse=parse_milliseconds, unit="ms", doc="the same of `pool.timeout`"
    )
    pool_shrink_after_ms: int = setting(
        10_000,
        env="POOL_SHRINK_AFTER",
        parse=parse_milliseconds,
        unit="ms",
        doc="time that fewer workers must have been enough before one goes",
    )
    runs_max: int = setting(
        2048, env="RUNS_MAX", parse=whole(1, COUNT_MOST), unit="runs", doc="under way in the whole service"
    )
    runs_queue_max: int = setting(
        8192, env="RUNS_QUEUE_MAX", parse=whole(0, COUNT_MOST), unit="runs", doc="waiting in the whole service"
    )
    runs_max_bytes: int = setting(
        512 * MEGABYTE,
        env="RUNS_MAX_SIZE",
        parse=parse_size,
        unit="size",
        shown="512mb",
        doc="large requests (from 16kb) that wait or are under way in the whole service",
    )
    cache_max_bytes: int = setting(
        8 * MEGABYTE,
        env="CACHE_MAX_SIZE",
        parse=parse_size,
        unit="size",
        shown="8mb",
        doc="the cache of one workspace, where its workers share one",
    )
    caches_max_bytes: int = setting(
        256 * MEGABYTE,
        env="CACHES_MAX_SIZE",
        parse=parse_size,
        unit="size",
        shown="256mb",
        doc="the shared caches of all workspaces",
    )
    metrics_workspaces_max: int = setting(
        100,
        env="METRICS_WORKSPACES_MAX",
        parse=whole(0, COUNT_MOST),
        unit="workspaces",
        doc="that have series of their own in `/metrics`",
    )
