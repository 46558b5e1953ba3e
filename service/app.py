"""The composition root: from settings to an application. Wires, and does no I/O itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final

from aiohttp import web

from sandbox import protocol
from service.broker.egress import Egress, open_egress
from service.broker.resolver import Resolve, system_resolve
from service.database.changes import Changes
from service.database.database import Database
from service.database.quotas import QuotaTable
from service.domain.egress import Policy
from service.domain.pool import PoolBounds, PoolRules
from service.domain.quotas import Quotas
from service.http.openapi.document import Surface
from service.http.openapi.documents import DOCUMENTS, Documents
from service.http.openapi.operations import OPERATIONS, SCHEMAS
from service.http.problems import failure_json
from service.http.routes import ROUTES, all_routes
from service.http.skep import SKEP, Skep
from service.settings import Settings
from service.storage.watch import VolumeWatch
from service.storage.workspaces import Volume
from service.threads import started_threads
from service.usecases.aliases import Aliases
from service.usecases.creations import Creations
from service.usecases.definitions import Definitions
from service.usecases.deploy import Deploy
from service.usecases.history import History
from service.usecases.ledger import Ledger
from service.usecases.meter import Meter
from service.usecases.rates import Rates
from service.usecases.rebuild import rebuild_bundles
from service.usecases.releases import Releases
from service.usecases.revisions import Revisions
from service.usecases.run import Run
from service.usecases.secrets import KeepSecrets
from service.usecases.warm import warm_floors
from service.wiring_access import wire_access
from service.wiring_jobs import running_jobs
from service.wiring_secrets import wire_secrets
from service.workers.admission import Admission
from service.workers.caches import Caches
from service.workers.cgroups import ControlGroup
from service.workers.fetches import FetchSettings
from service.workers.launcher import Limits
from service.workers.pools import Pools
from service.workers.sampling import Sampler
from service.workers.zygote import Zygote

PARSERS: Final = 2
"""Threads for large YAML."""
BUNDLE_PER_CODE: Final = 16
"""A bundle is compiled code: so many times the size of a definition is more than any compiler makes of it."""


def create_app(settings: Settings, *, resolve: Resolve = system_resolve) -> web.Application:
    """Skep as an aiohttp application, to be run by itself or mounted with `add_subapp`.

    `resolve` turns the names that functions fetch from into addresses; what it answers is held against the policy.
    Run it with `handler_cancellation=True`, or callers that leave do not cancel their runs.
    """
    app = web.Application(client_max_size=settings.request_max_bytes)
    app[SKEP] = Skep(settings)
    app[DOCUMENTS] = Documents(Surface(ROUTES, OPERATIONS, SCHEMAS))
    app.add_routes(all_routes())
    app.cleanup_ctx.append(partial(_services, resolve=resolve))
    app.on_shutdown.append(_drain)
    return app


async def _services(app: web.Application, *, resolve: Resolve) -> AsyncIterator[None]:
    skep, settings = app[SKEP], app[SKEP].settings
    volume = Volume(dirpath=settings.functions_dirpath, document_max_bytes=settings.request_max_bytes)
    group = ControlGroup(workers_max=settings.workers_max)
    zygote = skep.zygote = Zygote(
        group, modules=settings.python_modules, least=settings.jail_least, on_start=skep.metrics.zygote_started
    )
    database = skep.database = Database(settings.database_path)
    changes = skep.changes = Changes(database)
    keyring = wire_access(skep)
    releases = skep.releases = Releases(database)
    releases.follow(changes)
    revisions = skep.revisions = Revisions(database, volume)
    revisions.follow(changes)
    quotas = skep.quotas = QuotaTable(database, changes, _quotas(settings))
    rates = skep.rates = Rates(quotas.of)
    secrets = wire_secrets(skep)
    await volume.open()
    group.open()
    skep.parsers = started_threads(PARSERS, name="parsers")
    try:
        await database.open()
        history = skep.history = _history(settings, database, quotas)
        async with (
            changes.running(),
            keyring.running(),
            history.running(),
            _egress(settings, resolve) as egress,
            zygote.running(),
        ):
            definitions = Definitions(volume, revisions, _bounds(settings), secrets)
            pools = skep.pools = Pools(
                zygote,
                _limits(settings, egress),
                Admission(
                    runs_max=settings.runs_max,
                    waiting_max=settings.runs_queue_max,
                    held_max_bytes=settings.runs_max_bytes,
                    quota_of=lambda workspace: quotas.of(workspace).runs_concurrent,
                ),
                definitions,
                skep.metrics,
                Caches(
                    cache_max_bytes=settings.cache_max_bytes,
                    caches_max_bytes=settings.caches_max_bytes,
                    on_operation=skep.metrics.cache_operation,
                ),
            )
            sampler = _sampler(skep)
            watch = skep.volume_watch = VolumeWatch(volume)
            async with pools.running(), sampler.running(), watch.running():
                skep.aliases = Aliases(database, volume, releases)
                ledger = Ledger(
                    database, volume, keep=settings.revisions_max, keep_deleted=settings.revisions_deleted_max
                )
                quotas.on_change = partial(_quotas_changed, pools, rates)
                creations = Creations(volume, settings.workspaces_max)
                skep.volume, skep.deploy = (
                    volume,
                    Deploy(volume, pools, definitions, ledger, revisions, quotas, creations),
                )
                skep.keep_secrets = KeepSecrets(volume, secrets)
                meter = Meter(quotas, rates, skep.metrics)
                skep.run = Run(
                    volume, pools, skep.metrics, releases, revisions, meter, secrets, history,
                    timeout_max_ms=settings.run_timeout_ms,
                )  # fmt: skip
                skep.lifecycle.on_grace_over = pools.kill_all
                async with running_jobs(skep, pools, egress):
                    starting = asyncio.create_task(_become_ready(skep, pools, definitions))
                    yield
                    starting.cancel()
                    await asyncio.wait([starting])
                    skep.lifecycle.ready = False
                    skep.access_log.flush()
    finally:
        skep.parsers.shutdown(wait=False)
        await group.close()
        await volume.close()
        await database.close()


def _sampler(skep: Skep) -> Sampler:
    """Everything that metrics ask is there."""
    sampler = Sampler(lambda: skep.pools.workers, zygote_pid=lambda: skep.zygote.pid)
    skep.metrics.observe(skep.pools.observe)
    skep.metrics.observe_usage(sampler.usage)
    skep.metrics.observe_history(skep.history.state)
    return sampler


async def _become_ready(skep: Skep, pools: Pools, definitions: Definitions) -> None:
    """What may take long at a start happens while the service already says that it is starting."""
    if skep.settings.update_scripts_on_startup:
        await rebuild_bundles(skep.volume, pools, definitions)
    skep.lifecycle.ready = True
    skep.jobs.start()
    await warm_floors(skep.volume, pools, definitions)


def _quotas_changed(pools: Pools, rates: Rates, workspace: str | None) -> None:
    pools.look_up_quota(workspace)
    rates.changed(workspace)


async def _drain(app: web.Application) -> None:
    """In-flight runs finish within the grace period; what is left then is ended, and its callers are told."""
    await app[SKEP].lifecycle.drain(grace_ms=app[SKEP].settings.shutdown_grace_ms)


def _history(settings: Settings, database: Database, quotas: QuotaTable) -> History:
    return History(
        database,
        is_kept=settings.history,
        result_max_bytes=settings.history_result_max_bytes,
        logs_max_bytes=settings.history_logs_max_bytes,
        retention_of=quotas.retention_of,
        envelope=failure_json,
    )


def _egress(settings: Settings, resolve: Resolve) -> AbstractAsyncContextManager[Egress]:
    return open_egress(
        Policy(allow=settings.egress_allow, deny=settings.egress_deny),
        resolve=resolve,
        response_max_bytes=settings.fetch_max_bytes,
        redirects_max=settings.fetch_redirects_max,
    )


def _quotas(settings: Settings) -> Quotas:
    return Quotas(
        runs_per_minute=settings.quota_runs_per_minute,
        runs_burst=settings.quota_runs_burst,
        runs_concurrent=settings.quota_runs_concurrent,
        functions_max=settings.quota_functions_max,
        code_max_bytes=settings.quota_code_max_bytes,
        history_days=settings.quota_history_days,
        history_rows=settings.quota_history_rows,
    )


def _bounds(settings: Settings) -> PoolBounds:
    usual = PoolRules(
        floor=settings.pool_floor,
        ceil=settings.pool_ceil,
        cruise=settings.pool_cruise,
        concurrency=settings.pool_concurrency,
        queue=settings.pool_queue,
        timeout_ms=settings.pool_timeout_ms,
    )
    return PoolBounds(
        usual=usual,
        ceil_max=settings.pool_ceil_max,
        concurrency_max=settings.pool_concurrency_max,
        queue_max=settings.pool_queue_max,
        timeout_max_ms=settings.pool_timeout_max_ms,
    )


def _limits(settings: Settings, egress: Egress) -> Limits:
    fetches = protocol.FetchLimits(
        at_once=settings.fetch_at_once,
        count=settings.fetch_count,
        body_max_bytes=settings.request_max_bytes,
        response_max_bytes=settings.fetch_max_bytes,
    )
    return Limits(
        workers_max=settings.workers_max,
        inactive_s=settings.inactive_worker_s,
        shrink_after_s=settings.pool_shrink_after_ms / 1000,
        memory_max_bytes=settings.worker_memory_bytes,
        result_max_bytes=settings.result_max_bytes,
        logs_max_bytes=settings.logs_max_bytes,
        bundle_max_bytes=settings.request_max_bytes * BUNDLE_PER_CODE,
        modules=settings.python_modules,
        fetching=FetchSettings(egress.fetch, fetches, timeout_max_ms=settings.fetch_timeout_ms),
    )
