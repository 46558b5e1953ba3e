"""Numbers that are JSON and that no worker can read, sent along with a body that is run once."""

from pathlib import Path

from tests.skep import client_of, skep_aside

JSON = {"Content-Type": "application/json"}


async def test_a_number_that_is_too_large_is_refused_and_no_worker_ends_of_it(tmp_path: Path) -> None:
    async with skep_aside(tmp_path) as skep, client_of(skep) as client:
        await client.inline("demo", "return 1")
        workers = skep.worker_pids()
        for number in ("1e999", "9" * 5000):
            body = f'{{"code": "return 1", "parameters": {{"n": {number}}}}}'
            answer = await client.call("POST", "/v2/functions/demo/run", data=body, headers=JSON)
            assert answer.status == 400, answer.body
            assert answer.body["details"][0]["path"] == "parameters"
        assert set(workers) <= set(skep.worker_pids())
