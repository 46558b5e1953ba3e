"""A fetch lasts as long as its run, and a run that is too slow is a run that timed out."""

import asyncio

from sandbox import protocol
from service.domain.fetching import Allowance, FetchRequest, Response
from service.workers.fetches import Fetches, FetchSettings

FETCH = protocol.Fetch(1, 1, "GET", "http://example.com/", [], b"", 0)


async def test_the_deadline_of_a_run_comes_before_that_of_its_fetch_and_ends_it() -> None:
    asked: asyncio.Future[FetchRequest] = asyncio.get_running_loop().create_future()
    answer: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
    ended = asyncio.Event()

    async def hang(request: FetchRequest, _allowance: Allowance) -> Response:
        asked.set_result(request)
        try:
            return await answer
        finally:
            ended.set()

    fetches = Fetches("w", None, FetchSettings(hang, protocol.FetchLimits(), timeout_max_ms=30_000), lambda _: None)
    fetches.check(FETCH)
    fetches.start(FETCH, run_id="0", left_s=0.2)
    # Ending at the same moment it would now and then be told to the code first, which fails with it.
    assert 1.0 < (await asked).timeout_s < 2.0
    fetches.end_run(1)
    await asyncio.wait_for(ended.wait(), 5)
