"""Settings of the history of runs."""

from dataclasses import dataclass

from service.settings.declaring import setting
from service.settings.values import parse_flag, parse_size


@dataclass(frozen=True, kw_only=True)
class HistorySettings:
    """What is kept of runs; for how long is a quota."""

    history: bool = setting(
        default=True, env="HISTORY", parse=parse_flag, shown="yes", doc="whether a record of every run is kept"
    )
    history_result_max_bytes: int = setting(
        16 * 1024, env="HISTORY_RESULT_MAX_SIZE", parse=parse_size, unit="size", shown="16kb",
        doc="result or error of one run in the history; larger ones are left out",
    )  # fmt: skip
    history_logs_max_bytes: int = setting(
        16 * 1024, env="HISTORY_LOGS_MAX_SIZE", parse=parse_size, unit="size", shown="16kb",
        doc="logs of one run in the history; entries beyond are left out",
    )  # fmt: skip
