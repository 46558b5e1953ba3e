"""Things die. Whatever was acknowledged stays, whatever was lost says so, and the next request is fine."""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import aiohttp
import yaml

from tests.skep import Client, Skep, children, client_of, name, running_skep, skep_aside, state

HOLD = {"code": "import asyncio\nprint('begun')\ncache['held'] = True\nawait asyncio.sleep(10)\nreturn 'held'"}


def descriptors(pid: int) -> list[str]:
    """What the descriptors of a process are, see proc_pid_fd(5)."""
    return [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]


async def _until_held(client: Client, workspace: str) -> None:
    async with asyncio.timeout(5):
        while (await client.inline(workspace, "return cache.get('held')")).result is not True:
            pass


async def test_a_killed_worker_loses_its_runs_and_nothing_else(one_place: Skep) -> None:
    async with client_of(one_place) as client:
        await client.deploy("w", {"hold": HOLD, "one": "return 1"})
        running = asyncio.create_task(client.run("w", "hold"))
        await _until_held(client, "w")
        (worker,) = one_place.worker_pids()
        os.kill(worker, signal.SIGKILL)
        lost = await running
        assert (lost.status, lost.body["error"]) == (502, "WorkerLost")
        assert "signal 9" in lost.body["details"]["reason"]
        assert lost.messages == ["begun"]
        assert (await client.run("w", "one")).result == 1


async def test_a_killed_zygote_is_replaced_and_its_workers_live_on_without_the_next(tmp_path: Path) -> None:
    with running_skep(tmp_path) as skep:
        async with client_of(skep) as client:
            count = "cache['n'] = cache.get('n', 0) + 1\nreturn cache['n']"
            names = [f"w{number}" for number in range(3)]
            for name in names:
                await client.deploy(name, {"count": count})
                await client.run(name, "count")
            for _ in range(2):
                os.kill(skep.zygote_pid(), signal.SIGKILL)
                assert (await client.deploy("other", {"one": "return 1"})).status == 200
                assert (await client.run("other", "one")).result == 1
                held = [held for held in descriptors(skep.zygote_pid()) if "pidfd" in held]
                assert held == [], "the next holds something of the workers of the last"
            assert [(await client.run(name, "count")).result for name in names] == [2] * len(names)


async def test_the_end_of_the_workers_process_1_is_the_end_of_every_worker_and_of_nothing_else(tmp_path: Path) -> None:
    with running_skep(tmp_path) as skep:
        async with client_of(skep) as client:
            await client.deploy("w", {"hold": HOLD, "one": "return 1"})
            running = asyncio.create_task(client.run("w", "hold"))
            await _until_held(client, "w")
            init = [pid for pid in children(skep.zygote_pid()) if name(pid) == "skep-init"]
            if not init:
                assert "namespaces" in {line.get("layer") for line in skep.log_lines()}
                running.cancel()
                return
            os.kill(init[0], signal.SIGKILL)
            lost = await running
            assert (lost.status, lost.body["error"]) == (502, "WorkerLost")
            assert (await client.run("w", "one")).result == 1


async def test_a_killed_service_leaves_no_process_behind(tmp_path: Path) -> None:
    with running_skep(tmp_path) as skep:
        async with client_of(skep) as client:
            await client.deploy("w", {"hold": HOLD, "spin": "cache['held'] = True\nwhile True: pass"})
            requests = [asyncio.create_task(client.run("w", "hold"))]
            await _until_held(client, "w")
            family = [skep.zygote_pid(), *skep.worker_pids()]
            skep.process.kill()
            skep.process.wait()
            with contextlib.suppress(aiohttp.ClientError):
                await asyncio.gather(*requests)
            end = time.monotonic() + 5
            while any(state(pid) not in {"Z", None} for pid in family):
                assert time.monotonic() < end
                await asyncio.sleep(0.01)


async def test_every_acknowledged_deploy_survives_a_killed_service(tmp_path: Path) -> None:
    acknowledged: dict[str, int] = {}
    settings = {"FUNCTIONS_WORKERS_MAX_LRU": 20}

    with running_skep(tmp_path, settings) as skep:
        async with client_of(skep) as client:
            enough = asyncio.Event()

            async def deploy(number: int) -> None:
                name = f"w{number % 50}"
                with contextlib.suppress(aiohttp.ClientError):
                    answer = await client.deploy(name, {"n": f"return {number}"})
                    if answer.status == 200:
                        acknowledged[name] = max(number, acknowledged.get(name, -1))
                    if len(acknowledged) >= 40:
                        enough.set()

            # 500 deploys in the order of their numbers for each workspace, all workspaces at once.
            async def deploy_in_turn(first: int) -> None:
                for number in range(first, 500, 50):
                    await deploy(number)

            tasks = [asyncio.create_task(deploy_in_turn(first)) for first in range(50)]
            async with asyncio.timeout(60):
                await enough.wait()
            skep.process.kill()
            skep.process.wait()
            await asyncio.gather(*tasks)
    assert acknowledged
    for folder in (tmp_path / "functions").iterdir():
        path = folder / "workspace.yaml"
        if path.exists():
            assert yaml.safe_load(path.read_text())["functions"]["n"]["code"]
    with running_skep(tmp_path, settings) as skep:
        async with client_of(skep) as client:
            for name, number in acknowledged.items():
                # A later deploy may have reached the disk without its answer reaching us.
                assert (await client.run(name, "n")).result >= number


async def test_600_workspaces_fit_into_500_workers(tmp_path: Path) -> None:
    with running_skep(tmp_path) as skep:
        async with client_of(skep) as client:
            most = 0
            for batch in range(0, 600, 20):
                names = [f"w{number}" for number in range(batch, batch + 20)]
                answers = await asyncio.gather(*(client.inline(name, "return context.workspace") for name in names))
                assert [answer.result for answer in answers] == names
                most = max(most, len(skep.worker_pids()))
            assert most in range(490, 501)
            evicted = [f"w{number}" for number in range(20)]
            answers = await asyncio.gather(*(client.inline(name, "return context.workspace") for name in evicted))
            assert [answer.result for answer in answers] == evicted
            assert all("cold;dur=" in answer.headers["server-timing"] for answer in answers)


async def test_a_busy_worker_is_never_evicted(two_places: Skep) -> None:
    async with client_of(two_places) as client:
        wait = "import asyncio\ncache['held'] = True\nwhile cache['held']:\n    await asyncio.sleep(0.005)"
        await client.deploy("busy", {"f": f"{wait}\nreturn 'finished'", "end": "cache['held'] = False"})
        running = asyncio.create_task(client.run("busy", "f"))
        await _until_held(client, "busy")
        for number in range(5):
            assert (await client.inline(f"w{number}", "return 1")).result == 1
        assert (await client.run("busy", "end")).status == 200
        assert (await running).result == "finished"


async def test_idle_workers_go_after_their_time(tmp_path: Path) -> None:
    with running_skep(tmp_path, {"INACTIVE_WORKER_DELETION_TIMEOUT": 1}) as skep:
        async with client_of(skep) as client:
            await client.deploy("w", {"one": "return 1"})
            assert len(skep.worker_pids()) == 1
            end = time.monotonic() + 10
            while skep.worker_pids():
                assert time.monotonic() < end
                await asyncio.sleep(0.02)
            assert (await client.run("w", "one")).result == 1


async def test_sigterm_lets_runs_finish_and_takes_no_new_ones(tmp_path: Path) -> None:
    with running_skep(tmp_path) as skep:
        async with client_of(skep) as client:
            code = "import asyncio\ncache['held'] = True\nawait asyncio.sleep(0.7)\nreturn 'finished'"
            await client.deploy("w", {"f": code})
            running = asyncio.create_task(client.run("w", "f"))
            await _until_held(client, "w")
            skep.process.send_signal(signal.SIGTERM)
            async with asyncio.timeout(5):
                while (ready := await client.call("GET", "/sys/ready")).status == 200:
                    pass
            assert (ready.status, ready.body["error"]) == (503, "ServiceUnavailable")
            refused = await client.run("w", "f")
            assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
            assert (await running).result == "finished"
        assert skep.process.wait(timeout=10) == 0


async def test_runs_that_outlast_the_grace_period_are_told(tmp_path: Path) -> None:
    with running_skep(tmp_path, {"SHUTDOWN_GRACE_PERIOD": 200}) as skep:
        async with client_of(skep) as client:
            await client.deploy("w", {"hold": HOLD})
            running = asyncio.create_task(client.run("w", "hold"))
            await _until_held(client, "w")
            skep.process.send_signal(signal.SIGTERM)
            lost = await running
            assert (lost.status, lost.body["error"]) == (502, "WorkerLost")
        assert skep.process.wait(timeout=10) == 0


async def test_an_idle_service_ends_with_status_0(tmp_path: Path) -> None:
    async def end(number: signal.Signals) -> int:
        folder = tmp_path / number.name
        folder.mkdir()
        async with skep_aside(folder) as skep:
            skep.process.send_signal(number)
            return await asyncio.to_thread(skep.process.wait, timeout=10)

    assert set(await asyncio.gather(end(signal.SIGTERM), end(signal.SIGINT))) == {0}


async def test_a_worker_that_logs_faster_than_it_is_read_is_not_taken_for_a_stuck_one(
    client: Client, workspace: str
) -> None:
    """The service reads a flood of log entries slowly; answers wait behind it, and may come too late, but are sent."""
    flood = {"code": "for _ in range(1000):\n    print('x' * 1000)", "timeout": 250}
    await client.deploy(workspace, {"flood": flood, "one": "return 1"})
    await client.inline(workspace, "cache['kept'] = True")
    answers = await asyncio.gather(*[client.run(workspace, "flood") for _ in range(8)])
    assert {answer.status for answer in answers} <= {200, 504}
    async with asyncio.timeout(5):
        while (await client.run(workspace, "one")).status != 200:
            pass
    assert (await client.inline(workspace, "return cache.get('kept')")).result is True
