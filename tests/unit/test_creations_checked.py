"""What is only checked takes no place."""

from pathlib import Path

from service.storage.workspaces import Volume
from service.usecases.creations import Creations


async def test_dry_runs_leave_the_places_to_others(tmp_path: Path) -> None:
    volume = Volume(dirpath=tmp_path / "functions", document_max_bytes=1000)
    await volume.open()
    try:
        creations = Creations(volume, 2)
        for name in ("a", "b"):
            async with creations.room_for(name, dry_run=True):
                pass
        async with creations.room_for("c"):
            pass
    finally:
        await volume.close()
