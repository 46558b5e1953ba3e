"""What handlers work with: one object for each application, made with it and filled when it starts."""

from concurrent.futures import ThreadPoolExecutor
from typing import Final

from aiohttp import web

from service.database.changes import Changes
from service.database.database import Database
from service.database.keys import Keys
from service.database.owners import Owner
from service.database.quotas import QuotaTable
from service.database.secrets import Secrets
from service.http.access_log import AccessLog
from service.http.authentication import Gate
from service.http.followers import Followers
from service.http.lifecycle import Lifecycle
from service.http.shares import Shares
from service.metrics.metrics import Metrics
from service.settings import Settings
from service.storage.watch import VolumeWatch
from service.storage.workspaces import Volume
from service.usecases.aliases import Aliases
from service.usecases.deploy import Deploy
from service.usecases.history import History
from service.usecases.idempotency import Idempotency
from service.usecases.job_store import JobStore
from service.usecases.jobs import Jobs
from service.usecases.live_runs import LiveRuns
from service.usecases.rates import Rates
from service.usecases.releases import Releases
from service.usecases.revisions import Revisions
from service.usecases.run import Run
from service.usecases.secrets import KeepSecrets
from service.usecases.webhooks import Webhooks
from service.workers.pools import Pools
from service.workers.zygote import Zygote

ELSEWHERE_AT_ONCE: Final = 8
"""Each of them looks into the database again and again."""


class Skep:
    """Everything behind the routes. The use cases are there while the application runs, and not before."""

    database: Database
    changes: Changes
    keys: Keys
    gate: Gate
    secrets: Secrets
    keep_secrets: KeepSecrets
    volume: Volume
    volume_watch: VolumeWatch
    deploy: Deploy
    revisions: Revisions
    releases: Releases
    aliases: Aliases
    pools: Pools
    quotas: QuotaTable
    rates: Rates
    run: Run
    history: History
    owner: Owner
    live_runs: LiveRuns
    job_store: JobStore
    jobs: Jobs
    idempotency: Idempotency
    webhooks: Webhooks
    zygote: Zygote
    parsers: ThreadPoolExecutor

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lifecycle = Lifecycle()
        self.followers = Followers(settings.followers_max)
        self.elsewhere = Shares(ELSEWHERE_AT_ONCE, "As many runs are being looked for in other services as may be.")
        """Waits for another service to call off a run."""
        self.access_log = AccessLog()
        self.metrics = Metrics(workspaces_max=settings.metrics_workspaces_max)


SKEP: Final = web.AppKey("skep", Skep)
