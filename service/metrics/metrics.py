"""The service's metrics: counted as plain numbers, shown in the formats that Prometheus reads.

prometheus-client writes the formats and knows the process and its collector; its own counters are not used, since one
step of them costs what all the counting of a run may. Its registry is one of our own: applications do not share.
"""

from collections.abc import Callable, Iterator, KeysView

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder

from service.metrics.collector import families
from service.metrics.encoding import encoded, understood
from service.metrics.observation import HistoryState, Observation, Usage
from service.metrics.tally import EndReason, StartKind, Tally, Totals


class Metrics:
    """What the service has done since it started, and how it stands."""

    def __init__(self, *, workspaces_max: int) -> None:
        self._workspaces_max = workspaces_max
        self._totals = Totals()
        self._requests = self._totals.requests
        self._tallies: dict[str, Tally] = {}
        self._others = Tally(self._totals)
        """All workspaces without series count here: as many as there are, it is one."""
        self._observe: Callable[[], Observation] = Observation
        self._usage: Callable[[], Usage] = Usage
        self._history: Callable[[], HistoryState] = HistoryState
        self._registry = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    @property
    def workspaces(self) -> KeysView[str]:
        """Those that have series of their own."""
        return self._tallies.keys()

    @property
    def is_crowded(self) -> bool:
        """Whether somebody may have to do without series."""
        return len(self._tallies) >= self._workspaces_max

    def tally(self, workspace: str) -> Tally:
        """Where the runs of this workspace are counted: with series of its own while there is room for it.

        Ask anew now and then: who had to do without gets the room of one that was forgotten.
        """
        tally = self._tallies.get(workspace)
        if tally is None:
            if len(self._tallies) >= self._workspaces_max:
                return self._others
            tally = self._tallies[workspace] = Tally(self._totals)
        return tally

    def forget(self, workspace: str) -> None:
        """The workspace is gone, or nothing of it lives: its series go. The totals keep what it has done."""
        self._tallies.pop(workspace, None)

    def request(self, status: int) -> None:
        """An HTTP request was answered. Paid by every request."""
        try:
            self._requests[status] += 1
        except KeyError:
            self._requests[status] = 1

    def worker_started(self, kind: StartKind, seconds: float) -> None:
        """A worker has loaded its workspace, so long after it was asked for."""
        self._totals.starts[kind] += 1
        self._totals.start_s.add(seconds)

    def worker_ended(self, reason: EndReason) -> None:
        """A worker is gone."""
        self._totals.ends[reason] += 1

    def zygote_started(self) -> None:
        """There is a new process that forks workers."""
        self._totals.zygote_starts += 1

    def fork_failed(self) -> None:
        """A worker could not be forked."""
        self._totals.fork_failures += 1

    def cache_operation(self) -> None:
        """A shared cache was read or written."""
        self._totals.cache_operations += 1

    def observe(self, source: Callable[[], Observation]) -> None:
        """Whom to ask, each time somebody looks, how the service stands."""
        self._observe = source

    def observe_usage(self, source: Callable[[], Usage]) -> None:
        """Whom to ask what workers use: `Sampler.usage`."""
        self._usage = source

    def observe_history(self, source: Callable[[], HistoryState]) -> None:
        """Whom to ask about the database: `History.state`."""
        self._history = source

    def collect(self) -> Iterator[Metric]:
        """Called by prometheus-client."""
        return families(self._totals, self._tallies, self._observe(), self._usage(), self._history())

    def describe(self) -> list[Metric]:
        """Called by prometheus-client to find names that are there twice: nothing is asked for that."""
        return []

    def expose(self, accept: str | None) -> tuple[bytes, str]:
        """All of it as one moment has it: the body and its content type, as an `Accept` header wants it."""
        pieces, content_type = self.pieces(accept)
        return b"".join(pieces), content_type

    def pieces(self, accept: str | None) -> tuple[Iterator[bytes], str]:
        """As `expose`, the body in pieces that are made one by one: each takes well under a millisecond."""
        encode, content_type = choose_encoder(understood(accept or ""))
        return encoded(encode, list(self._registry.collect())), content_type
