"""Private memory of idle workers."""

from statistics import median

from bench.errors import MeasureError
from bench.load import Load
from bench.options import Options
from bench.processes import find_workers, read_private_mib, read_tree
from bench.servers import Server, open_skep
from bench.targets import Figure, Measured
from bench.wire import Connection
from bench.workspaces import HELLO, RUN_BODY, deploy


def measure_memory(_load: Load, options: Options) -> Measured:
    """Deploy and run a number of workspaces once each, then add up what no other process shares with each worker."""
    names = [f"idle-{number}" for number in range(options.idle_workers)]
    with open_skep() as skep, Connection(skep.port) as connection:
        for name in names:
            run_once(connection, name)
        private_mib = read_workers_mib(skep, at_least=len(names))
        others_mib = {process.pid: read_private_mib(process.pid) for depth, process in read_tree(skep.pid) if depth < 2}
    detail = f"of {len(private_mib)}; median {median(private_mib):.2f} MiB"
    service_detail = "together, with those workers alive"
    figures = [
        Figure("private memory, largest idle worker", max(private_mib), "MiB", detail),
        Figure("private memory, service and zygote", sum(others_mib.values()), "MiB", service_detail),
    ]
    return Measured(figures, {"workers_mib": private_mib, "service_and_zygote_mib": list(others_mib.values())})


def run_once(connection: Connection, workspace: str) -> None:
    """Deploy a workspace and run it once, so that its worker has done what every worker does."""
    deploy(connection, workspace, HELLO)
    connection.ask("POST", f"/v2/functions/{workspace}/run/hello", RUN_BODY)


def read_workers_mib(skep: Server, *, at_least: int) -> list[float]:
    """Private memory of each worker. Raises: MeasureError if there are fewer than there must be."""
    workers = find_workers(skep.pid)
    if len(workers) < at_least:
        raise MeasureError(f"{len(workers)} workers were found where there must be {at_least}")
    return [read_private_mib(pid) for pid in workers]
