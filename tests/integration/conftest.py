"""Fixtures of the integration tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from service.storage.workspaces import Volume
from tests.integration.volumes import MAX_BYTES


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data" / "functions"


@pytest.fixture
async def volume(root: Path) -> AsyncIterator[Volume]:
    volume = Volume(dirpath=root, document_max_bytes=MAX_BYTES)
    await volume.open()
    yield volume
    await volume.close()
