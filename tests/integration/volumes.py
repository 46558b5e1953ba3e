"""What the tests of the volume share."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from service.domain.workspace import Workspace
from service.errors import WorkspaceBroken
from service.storage.workspaces import Volume

MAX_BYTES = 100_000


def workspace(name: str = "w", code: str = "return 1\n", **fields: Any) -> Workspace:
    return Workspace.from_document(name, {"functions": {"f": {"code": code}}, **fields})


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def broken(volume: Volume, name: str = "w") -> str:
    with pytest.raises(WorkspaceBroken) as refused:
        await asyncio.wait_for(volume.read(name), 10)
    return refused.value.reason
