"""Fixtures of the integration tests."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from service.storage.workspaces import Volume
from tests.integration.receiver import Receiver, receiving
from tests.integration.volumes import MAX_BYTES
from tests.keyed import Keyed, running_keyed
from tests.origin import Origin, running_origin
from tests.skep import Client, Skep, client_of, running_skep

SHARED = {"ceil": 2}
"""The pool of a workspace that may have several workers, which then have one cache."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "data" / "functions"


@pytest.fixture
async def volume(root: Path) -> AsyncIterator[Volume]:
    volume = Volume(dirpath=root, document_max_bytes=MAX_BYTES)
    await volume.open()
    yield volume
    await volume.close()


@pytest.fixture(scope="session")
def fetching_skep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Skep]:
    """Open to every port of 127.0.0.1, and to nothing else that is private."""
    settings = {
        "EGRESS_ALLOW": "127.0.0.1:*,*,*:*",
        "EGRESS_DENY": "denied.example,127.0.0.9",
        "FETCH_MAX_SIZE": "1mb",
        "FETCH_MAX_COUNT": 40,
        "FETCH_CONCURRENCY": 4,
        "FETCH_MAX_REDIRECTS": 3,
        "FETCH_TIMEOUT": 5000,
        # A service that believed these would send every fetch to nowhere.
        "http_proxy": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
    }
    with running_skep(tmp_path_factory.mktemp("fetching"), settings) as running:
        yield running


@pytest.fixture
async def fetching(fetching_skep: Skep) -> AsyncIterator[Client]:
    async with client_of(fetching_skep) as client:
        yield client


@pytest.fixture(scope="session")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    """Asks for keys."""
    with running_keyed(tmp_path_factory.mktemp("keyed")) as running:
        yield running


@pytest.fixture(scope="session")
def one_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Skep]:
    """A service with room for one worker."""
    with running_skep(tmp_path_factory.mktemp("one"), {"FUNCTIONS_WORKERS_MAX_LRU": 1}) as running:
        yield running


@pytest.fixture(scope="session")
def two_places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Skep]:
    """A service with room for two workers."""
    with running_skep(tmp_path_factory.mktemp("two"), {"FUNCTIONS_WORKERS_MAX_LRU": 2}) as running:
        yield running


@pytest.fixture(scope="session")
def counted_skep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Skep]:
    """One that counts nobody's requests but those of the test that runs, and logs everything."""
    settings = {"LOG_LEVEL": "debug", "REQUEST_MAX_SIZE": "10kb"}
    with running_skep(tmp_path_factory.mktemp("counted"), settings) as running:
        yield running


@pytest.fixture(scope="session")
def jobs_skep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Skep]:
    """Has few places for accepted runs and for those who follow them, and signs what it tells of them."""
    settings = {
        "EGRESS_ALLOW": "127.0.0.1:*",
        "FOLLOWERS_MAX": 6,
        "JOBS_CONCURRENCY": 2,
        "JOBS_MAX": 40,
        "RUNS_MAX": 64,
        "WEBHOOK_SECRET": "a secret of sixteen characters",
    }
    with running_skep(tmp_path_factory.mktemp("jobs"), settings) as running:
        yield running


@pytest.fixture(scope="session")
def two_skeps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Skep, Skep]]:
    """Two on one volume and one database; the folder of the first is that of both."""
    shared = tmp_path_factory.mktemp("shared")
    settings = {
        "FUNCTIONS_STORAGE_FILESYSTEM_DIRPATH": shared / "functions",
        "DATABASE_PATH": shared / "skep.db",
    }
    with ExitStack() as stack:
        one, other = (
            stack.enter_context(running_skep(tmp_path_factory.mktemp(name), settings)) for name in ("one", "other")
        )
        yield Skep(one.process, one.url, shared), other


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with running_origin() as origin:
        yield origin


@pytest.fixture
async def shared(client: Client, workspace: str) -> AsyncIterator[str]:
    """A workspace whose cache is kept by the service."""
    await client.deploy(workspace, {"kept": "return cache.copy()"}, pool=SHARED)
    yield workspace
    await client.call("DELETE", f"/v2/functions/{workspace}")
