"""Make every bundle anew from its YAML, as `UPDATE_SCRIPTS_ON_STARTUP` asks."""

import asyncio
from dataclasses import replace
from typing import Final

import structlog

from service.errors import SkepError, VolumeUnavailable
from service.storage.workspaces import Volume
from service.usecases.definitions import Definitions
from service.workers.pools import Pools

AT_ONCE: Final = 4
PAGE: Final = 500

_log = structlog.get_logger()


async def rebuild_bundles(volume: Volume, pools: Pools, definitions: Definitions) -> None:
    """Compile every workspace in a worker of its own. One that cannot be is logged; its next run says why."""
    after: str | None = None
    more = True
    room = asyncio.Semaphore(AT_ONCE)

    async def rebuild(name: str) -> None:
        async with room:
            try:
                stored = await volume.read(name)
                package = definitions.package(stored.workspace)
                bundle = await pools.compile(name, package)
            except (SkepError, OSError) as error:  # one workspace is never why the others do not start
                _log.warning("not rebuilt", workspace=name, reason=str(error))
            else:
                await definitions.keep(name, replace(package, bundle=bundle))

    while more:
        try:
            names, more = await volume.names(after=after, limit=PAGE)
        except VolumeUnavailable as error:  # no reason not to take runs: whoever needs the volume will be told
            _log.warning("not rebuilt", reason=str(error))
            return
        async with asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(rebuild(name))
        after = names[-1] if names else None
