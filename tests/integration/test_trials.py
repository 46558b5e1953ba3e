"""A short soak and a short chaos: no answer that may not be, nothing that leaks, no count that differs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from yarl import URL

from bench.chaos import Chaos, Options
from bench.servers import SkepServer
from bench.soak import SETTINGS, Everything
from bench.trial import hold
from tests.skep import running_skep


@contextmanager
def watched(folder: Path, settings: Mapping[str, str] = {}) -> Iterator[SkepServer]:
    """A service of its own, with a folder for its temporary files."""
    temporary = folder / "tmp"
    temporary.mkdir()
    with running_skep(folder, {**settings, "TMPDIR": temporary}) as skep:
        yield SkepServer(port=URL(skep.url).port or 0, pid=skep.pid, volume=skep.functions, temporary=temporary)


async def test_a_mix_of_everything_is_answered_as_it_may_be_and_leaves_nothing(tmp_path: Path) -> None:
    with watched(tmp_path, SETTINGS) as server:
        ledger = await hold(server, Everything(seconds=0.6, rate=60, kills=5))
    assert ledger.details == []


async def test_workers_that_are_killed_take_their_own_runs_along_and_nothing_else(tmp_path: Path) -> None:
    options = Options(seconds=0.7, rate=100, workspaces=6, kills=8, newborns=0.25, zygotes=1, deploys=8)
    with watched(tmp_path) as server:
        ledger = await hold(server, Chaos(options))
    assert ledger.details == []
