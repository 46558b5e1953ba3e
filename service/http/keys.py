"""What handlers find on their application, typed."""

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from service.http.access import AccessLog
from service.http.lifecycle import Lifecycle
from service.settings import Settings
from service.storage.workspaces import Volume
from service.usecases.deploy import Deploy
from service.usecases.run import Run
from service.workers.pool import Pool


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that runs behind the routes."""

    volume: Volume
    deploy: Deploy
    run: Run
    pool: Pool


SETTINGS: Final = web.AppKey("settings", Settings)
LIFECYCLE: Final = web.AppKey("lifecycle", Lifecycle)
ACCESS_LOG: Final = web.AppKey("access log", AccessLog)
SERVICES: Final = web.AppKey("services", Services)
