"""Every series there is, declared once: name, kind, labels, meaning. docs/metrics.md is held to it by a test."""

from typing import Final, Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]


class Series(NamedTuple):
    """One name and what is behind it."""

    name: str
    """As it is scraped; a counter's ends with _total."""
    kind: Kind
    doc: str
    labels: tuple[str, ...] = ()


# fmt: off
RUNS: Final = Series("skep_runs_total", "counter", "Runs by how they ended.", ("outcome",))
REQUESTS: Final = Series(
    "skep_requests_total", "counter", "Answers to HTTP requests; 499 for callers that left before theirs.", ("status",)
)
RUNNING: Final = Series("skep_runs_running", "gauge", "Runs in workers.")
WAITING: Final = Series("skep_runs_waiting", "gauge", "Runs that wait for a worker.")
RUN_SECONDS: Final = Series("skep_run_seconds", "histogram", "Time in the worker.")
QUEUE_SECONDS: Final = Series("skep_queue_seconds", "histogram", "Time waited for a worker; 0 for runs that did not.")
WORKERS: Final = Series("skep_workers", "gauge", "Workers by what they do.", ("state",))
STARTS: Final = Series("skep_worker_starts_total", "counter", "Workers started, by what for.", ("kind",))
START_SECONDS: Final = Series("skep_worker_start_seconds", "histogram", "Time until a worker had loaded its workspace.")
ENDS: Final = Series("skep_worker_ends_total", "counter", "Workers that went, by why.", ("reason",))
MEMORY: Final = Series(
    "skep_worker_memory_bytes", "gauge", "Memory of workers beyond what they were forked with.", ("stat",)
)
CPU: Final = Series("skep_worker_cpu_seconds_total", "counter", "Processor time of workers, as last sampled.")
ZYGOTE_STARTS: Final = Series("skep_zygote_starts_total", "counter", "Starts of the process that forks workers.")
FORK_FAILURES: Final = Series("skep_fork_failures_total", "counter", "Workers that could not be forked.")
CACHE: Final = Series("skep_cache_bytes", "gauge", "Size of all shared caches.")
CACHE_OPERATIONS: Final = Series("skep_cache_operations_total", "counter", "Operations on shared caches.")
DATABASE_UP: Final = Series("skep_database_up", "gauge", "Whether the database does what it is asked to.")
HISTORY: Final = Series("skep_history_records_total", "counter", "Records of runs, by what came of them.", ("outcome",))
HISTORY_WAITING: Final = Series("skep_history_waiting", "gauge", "Records of runs that are not written yet.")
WORKSPACE_RUNS: Final = Series(
    "skep_workspace_runs_total", "counter", "Runs of a workspace; outcomes it has had.", ("workspace", "outcome")
)
WORKSPACE_WAITING: Final = Series("skep_workspace_waiting", "gauge", "Waiting runs of a workspace.", ("workspace",))
WORKSPACE_WORKERS: Final = Series("skep_workspace_workers", "gauge", "Workers of a workspace.", ("workspace",))
WORKSPACE_MEMORY: Final = Series(
    "skep_workspace_memory_bytes", "gauge", "Memory of a workspace's workers.", ("workspace",)
)
WORKSPACE_CPU: Final = Series(
    "skep_workspace_cpu_seconds_total", "counter", "Processor time of a workspace's workers.", ("workspace",)
)
# fmt: on

ALL: Final = tuple(value for value in tuple(globals().values()) if isinstance(value, Series))
