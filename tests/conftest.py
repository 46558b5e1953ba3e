"""Fixtures every test may ask for."""

import gc
import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from service import logs
from tests.skep import Client, Skep, client_of, running_skep


def pytest_collection_finish() -> None:
    """Thousands of tests stay until the end: the collector, which many of them call, need not look at them again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def small_heap() -> None:
    """For modules whose tests call the collector: what is alive after all those before is nothing to look at again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    """For tests that configure the log. What they leave behind would print what goes wrong in any test after them."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    logs._lines.sink = None


@pytest.fixture(scope="session")
def skep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Skep]:
    """One Skep with default settings for all tests that do not break it. Each test takes workspaces of its own."""
    with running_skep(tmp_path_factory.mktemp("skep")) as running:
        yield running


@pytest.fixture
async def client(skep: Skep) -> AsyncIterator[Client]:
    """A client of the shared Skep."""
    async with client_of(skep) as client:
        yield client


@pytest.fixture
def workspace(request: pytest.FixtureRequest) -> str:
    """A workspace name nobody else uses."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    return f"t-{abs(hash(request.node.nodeid)) % 10**8}-{name}"[:63].rstrip("-")
