"""Starting a worker: a place, a process, a workspace loaded into it."""

import asyncio
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from sandbox import protocol
from service.domain.egress import Rules
from service.domain.masking import Mask
from service.domain.names import workspace_of
from service.domain.pool import PoolRules
from service.errors import WorkersUnavailable
from service.metrics.metrics import Metrics
from service.metrics.tally import StartKind
from service.workers.caches import Caches
from service.workers.contract import LoadTooLong, NotItsFault, Owner, WorkerDied, WorkerLimits
from service.workers.ends import COMPILED, LOAD_FAILED, End
from service.workers.fetches import Fetches, FetchSettings
from service.workers.masks import Masks, Sealed
from service.workers.places import NoPlace, Places
from service.workers.worker import Worker
from service.workers.zygote import Zygote

PLACE_TIMEOUT_S: Final = 10.0
SPARE_TIMEOUT_S: Final = 1.0
TRIES: Final = 3
"""So many workers may die while they load until that is the workspace's own fault."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Limits:
    """What every worker gets, and how many there may be."""

    workers_max: int
    inactive_s: float
    shrink_after_s: float
    memory_max_bytes: int
    result_max_bytes: int
    logs_max_bytes: int
    bundle_max_bytes: int
    modules: tuple[str, ...]
    fetching: FetchSettings

    def of_worker(self, concurrency: int) -> WorkerLimits:
        """What one worker may do."""
        body_max_bytes = self.fetching.limits.body_max_bytes + protocol.FRAME_OVERHEAD_BYTES
        largest = max(self.result_max_bytes, self.logs_max_bytes, self.bundle_max_bytes, body_max_bytes)
        return WorkerLimits(
            concurrency=concurrency,
            result_max_bytes=self.result_max_bytes,
            logs_max_bytes=self.logs_max_bytes,
            frame_max_bytes=largest + protocol.FRAME_OVERHEAD_BYTES,
        )


def _nothing_to_hide() -> Mask | None:
    return None


@dataclass(frozen=True, slots=True)
class Package:
    """What a worker loads: a definition, and what was compiled from it before, if anything was."""

    definition_json: bytes
    bundle: bytes
    version: Hashable = None
    """Tells this content from another; None where it is not on the volume yet."""
    functions: Collection[str] | None = None
    """By name; None where there is no such workspace, only a body that is run once."""
    network: Rules | None = None
    """What the workspace may reach, if it says so; its worker is held to it."""
    rules: PoolRules = field(default_factory=PoolRules)
    secrets: Sealed | None = field(default=None, repr=False)
    """What its functions read as `secrets`; None where there are none, or nobody is to read them."""
    mask: Callable[[], Mask | None] = _nothing_to_hide
    """Hides what is secret in the workspace at the moment."""


class Launcher:
    """The only one who starts workers, and who knows all there are.

    `make_room` is called when somebody waits for a place; `spare` ends a worker that nobody would miss, if there is
    one.
    """

    def __init__(  # noqa: PLR0913  # what every worker is made of, and two questions
        self,
        zygote: Zygote,
        limits: Limits,
        metrics: Metrics,
        caches: Caches,
        *,
        make_room: Callable[[], None],
        spare: Callable[[float], bool],
    ) -> None:
        self.limits = limits
        self._caches = caches
        self.workers: set[Worker] = set()
        """Every one whose process exists, those that are ending included."""
        self.places = Places(limits.workers_max, make_room=make_room)
        self._make_room = make_room
        self._zygote = zygote
        self._metrics = metrics
        self._spare = spare

    async def take_place(self, *, timeout_s: float = PLACE_TIMEOUT_S) -> None:
        """A place for `start`. Raises: NoPlace, Draining."""
        if not self.places.try_take():
            await self.places.take(until=asyncio.get_running_loop().time() + timeout_s)

    async def take_any_place(self) -> None:
        """A place for `start`, for who has no queue to wait in. Raises: WorkersUnavailable, Draining."""
        try:
            await self.take_place()
        except NoPlace:
            raise WorkersUnavailable("Every worker is busy; none could be started in time.") from None

    async def take_spare_place(self, *, idle_s: float) -> None:
        """A place for `start`, if one is free or held by who would not miss it: the only worker of a workspace for one
        that has been idle for so long. Raises: NoPlace, Draining.
        """
        if not self.places.try_take():
            if self.places.wanted or not self._spare(idle_s):
                raise NoPlace
            await self.take_place(timeout_s=SPARE_TIMEOUT_S)

    def drop_cache(self, key: str) -> None:
        """The workspace is gone, or has a single worker from now on: what it shared goes with its last holder."""
        self._caches.drop(key)

    def offer_place(self, worker: Worker) -> None:
        """This one may have nothing to do, and somebody wait for a place."""
        if self.places.wanted and worker.is_idle:
            self._make_room()

    async def start(self, key: str, package: Package, owner: Owner, *, kind: StartKind) -> tuple[Worker, bytes]:
        """A loaded worker, and the bundle if it had to compile; in a place that was taken, and is given back if this
        fails. Raises: CompilationFailed, InvalidRequest, WorkerDied, WorkersUnavailable, Draining.

        One that dies while it loads is tried again: nothing had begun, and it need not be the workspace's fault.
        """
        for tries_left in reversed(range(TRIES)):
            try:
                return await self._start(key, package, owner, kind=kind)
            except LoadTooLong:
                raise
            except WorkerDied as died:
                if not tries_left:
                    if not isinstance(died, NotItsFault):
                        raise
                    self._metrics.fork_failed()
                    raise WorkersUnavailable(f"No worker can be started: {died}.") from died
                _log.warning("worker died while it loaded", workspace=key, reason=str(died))
            await self.take_any_place()
        raise AssertionError("the last try returns or raises")

    async def _start(self, key: str, package: Package, owner: Owner, *, kind: StartKind) -> tuple[Worker, bytes]:
        limits, workspace = self.limits, workspace_of(key)
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            secrets, mask = ({}, None) if package.secrets is None else await package.secrets.open()
            child = await self._zygote.fork(memory_max_bytes=limits.memory_max_bytes)
        except BaseException as error:
            self.places.give_back()
            if isinstance(error, WorkersUnavailable):
                self._metrics.fork_failed()
            raise
        masks = Masks(mask, package.mask)
        cache = self._caches.hold(key) if package.rules.ceil > 1 else None
        worker = Worker(
            workspace,
            child,
            limits=limits.of_worker(package.rules.concurrency),
            owner=owner,
            open_fetches=lambda worker: Fetches(
                workspace, package.network, limits.fetching, worker.write_answer, hide=masks.text
            ),
            cache=cache,
            masks=masks,
        )
        self.workers.add(worker)
        try:
            await worker.connect()
            bundle = await worker.load(
                protocol.Load(
                    workspace=workspace,
                    definition=package.definition_json,
                    bundle=package.bundle,
                    modules=list(limits.modules),
                    result_max_bytes=limits.result_max_bytes,
                    logs_max_bytes=limits.logs_max_bytes,
                    fetches=limits.fetching.limits,
                    shared_cache=cache is not None,
                    cache_max_bytes=self._caches.cache_max_bytes,
                    secrets=secrets,
                )
            )
        except BaseException:
            worker.kill(LOAD_FAILED)
            raise
        started_s = loop.time() - began
        self._metrics.worker_started(kind, started_s)
        _log.info(
            "worker started",
            workspace=key,
            pid=worker.pid,
            kind=kind,
            compiled=bool(bundle),
            ms=round(started_s * 1000, 1),
        )
        return worker, bundle

    async def compile(self, key: str, package: Package) -> bytes:
        """The bundle, from a worker that ends with it, and is given no secrets. Raises: as `start`."""
        await self.take_any_place()
        package = replace(package, secrets=None)
        worker, bundle = await self.start(key, package, _Compiling(self), kind="compile")
        worker.kill(COMPILED)
        return bundle

    def bury(self, worker: Worker) -> None:
        """The owner of a worker whose process is gone says so: its place is free."""
        self.workers.discard(worker)
        self.places.give_back()
        if worker.cache is not None:
            self._caches.release(worker.cache)
        end = worker.end or End("crashed", "the worker ended")
        self._metrics.worker_ended(end.label)
        _log.info("worker ended", workspace=worker.workspace, pid=worker.pid, why=end.label, reason=end.sentence)


class _Compiling:
    """The owner of a worker that is only there to compile."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher

    def landed(self, worker: Worker) -> None:
        """No runs are sent to it."""

    def heard(self, worker: Worker) -> None:
        """Nothing waits for it."""

    def gone(self, worker: Worker, lost: int) -> None:  # noqa: ARG002  # there are none
        """Its place is free."""
        self._launcher.bury(worker)
