"""Start what is to be kept warm, when the service starts."""

from typing import Final

import structlog

from service.errors import SkepError, VolumeUnavailable
from service.storage.workspaces import Volume
from service.usecases.definitions import Definitions
from service.workers.pools import Pools

PAGE: Final = 500

_log = structlog.get_logger()


async def warm_floors(volume: Volume, pools: Pools, definitions: Definitions) -> None:
    """Let every workspace with a floor have it. One that cannot be is logged; its next run says why."""
    after: str | None = None
    more = True
    while more:
        try:
            names, more = await volume.names(after=after, limit=PAGE)
        except VolumeUnavailable as error:  # no reason not to take runs: whoever needs the volume will be told
            _log.warning("not kept warm", reason=str(error))
            return
        for name in names:
            try:
                # Parsing thousands of definitions would be felt; nearly none of them says anything of a floor.
                if definitions.bounds.usual.floor or await volume.mentions(name, b"floor"):
                    package = await definitions.find(name)
                    if package.rules.floor:
                        pools.of(name).prepare(package)
            except (SkepError, OSError) as error:
                _log.warning("not kept warm", workspace=name, reason=str(error))
        after = names[-1] if names else None
