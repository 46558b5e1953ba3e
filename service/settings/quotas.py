"""Settings of quotas: what every workspace may have that has no override."""

from dataclasses import dataclass

from service.settings.declaring import setting
from service.settings.values import parse_size_or_none, whole

COUNT_MOST = 10**9


@dataclass(frozen=True, kw_only=True)  # no slots: of several bases only one may have some
class QuotaSettings:
    """The operator's defaults; 0 is no limit."""

    quota_runs_per_minute: int = setting(
        0, env="QUOTA_RUNS_PER_MINUTE", parse=whole(0, COUNT_MOST), unit="runs", doc="that a workspace may begin"
    )
    quota_runs_burst: int = setting(
        0,
        env="QUOTA_RUNS_BURST",
        parse=whole(0, COUNT_MOST),
        unit="runs",
        doc="of these that it may begin at a time; 0 for all of them",
    )
    quota_runs_concurrent: int = setting(
        0,
        env="QUOTA_RUNS_CONCURRENT",
        parse=whole(0, COUNT_MOST),
        unit="runs",
        doc="of a workspace under way at once; more wait in its queue",
    )
    quota_functions_max: int = setting(
        0, env="QUOTA_FUNCTIONS", parse=whole(0, COUNT_MOST), unit="functions", doc="in a workspace"
    )
    quota_code_max_bytes: int = setting(
        0,
        env="QUOTA_CODE_SIZE",
        parse=parse_size_or_none,
        unit="size",
        doc="of the code of all functions of a workspace",
    )
    quota_history_days: int = setting(
        7, env="QUOTA_HISTORY_DAYS", parse=whole(0, 36_500), unit="days", doc="that a run is kept in the history"
    )
    quota_history_rows: int = setting(
        10_000,
        env="QUOTA_HISTORY_ROWS",
        parse=whole(0, COUNT_MOST),
        unit="runs",
        doc="of a workspace that are kept in the history",
    )
    workspaces_max: int = setting(
        10_000,
        env="WORKSPACES_MAX",
        parse=whole(0, COUNT_MOST),
        unit="workspaces",
        doc="on the volume; no more are created",
    )
