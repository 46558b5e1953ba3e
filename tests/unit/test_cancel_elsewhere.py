"""Runs that may be under way in another service: how many are looked for at a time, and what is written down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest

from service.errors import RunNotFound, TooMany
from service.http import unfinished
from service.http.shares import Shares


class Looked:
    """A service with another one on its database. What has ended is in the history once the other has heard of it."""

    def __init__(self) -> None:
        self.statuses: dict[str, str] = {}
        self.told: list[str] = []
        self.audited: list[str] = []
        self.jobs = SimpleNamespace(get=lambda *_: None)
        self.live_runs = SimpleNamespace(find=lambda *_: None)
        self.owner = SimpleNamespace(has_others=lambda: True)
        self.job_store = SimpleNamespace(find=self._nowhere)
        self.history = SimpleNamespace(find=self._recorded)
        self.database = SimpleNamespace(writing=self._writing)
        self.elsewhere = Shares(8, "too many")

    async def _nowhere(self, *_given: str) -> None:
        return None

    async def _recorded(self, workspace: str, run_id: str) -> Any:
        status = self.statuses.get(run_id) if f"{workspace}/{run_id}" in self.told else None
        return None if status is None else SimpleNamespace(status=status)

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[Any]:
        async def changed(_topic: str, subject: str) -> None:
            self.told.append(subject)

        yield SimpleNamespace(changed=changed)

    async def cancel(self, run_id: str, workspace: str = "demo") -> Any:
        request = SimpleNamespace(match_info={"workspace": workspace, "id": run_id})
        return await unfinished.cancel_run(cast("Any", self), cast("Any", request))


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> Looked:
    looked = Looked()

    async def append(_write: Any, _actor: Any, action: str, **_more: Any) -> None:
        looked.audited.append(action)

    monkeypatch.setattr("service.http.unfinished.audit.append", append)
    monkeypatch.setattr("service.http.unfinished.actor_of", lambda _request: None)
    monkeypatch.setattr("service.http.unfinished.LOOK_S", 0.0)
    monkeypatch.setattr("service.http.unfinished.ELSEWHERE_S", 0.05)
    return looked


@pytest.mark.parametrize("run_id", ["abc", "G" * 32, "A" * 32, "0" * 31, "0" * 33])
async def test_what_is_no_id_is_not_looked_for(looked: Looked, run_id: str) -> None:
    with pytest.raises(RunNotFound):
        await looked.cancel(run_id)
    assert (looked.told, looked.audited) == ([], [])


async def test_a_run_that_never_was_is_not_in_the_audit_log(looked: Looked) -> None:
    with pytest.raises(RunNotFound):
        await looked.cancel("0" * 32)
    assert (len(looked.told), looked.audited) == (1, [])
    looked.statuses["1" * 32] = "cancelled"
    assert (await looked.cancel("1" * 32)).status == 204
    assert looked.audited == ["run.cancelled"]


async def test_few_are_looked_for_at_a_time_and_no_workspace_has_them_all(looked: Looked) -> None:
    asked = [looked.cancel("0" * 32) for _ in range(100)] + [looked.cancel("0" * 32, "other")]
    ended = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(error) for error in ended].count(TooMany) == 95
    assert isinstance(ended[-1], RunNotFound)
    assert len(looked.told) == 6
    with pytest.raises(RunNotFound):
        await looked.cancel("0" * 32)
