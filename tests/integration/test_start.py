"""Starting: bad settings, bundles that are used, ignored and rebuilt, a start that cannot be."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.skep import Skep, client_of, running_skep


def _start(environment: dict[str, str], folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service"],
        env={
            "PATH": os.environ["PATH"],
            **({} if folder is None else {"DATABASE_PATH": str(folder / "skep.db")}),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_all_bad_settings_are_reported_at_once() -> None:
    bad = {"PORT": "x", "FUNCTIONS_RUN_TIMEOUT": "-1", "REQUEST_MAX_SIZE": "1 furlong", "LOG_LEVEL": "loud"}
    ended = _start(bad)
    assert ended.returncode == 2
    for name in bad:
        assert name in ended.stderr


def test_a_port_in_use_is_a_clear_failure(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = _start(
            {"PORT": port, "FUNCTIONS_STORAGE_FILESYSTEM_DIRPATH": str(tmp_path), "LOG_FORMAT": "json"}, tmp_path
        )
    assert ended.returncode == 1
    last = json.loads(ended.stdout.splitlines()[-1])
    assert (last["level"], last["event"]) == ("error", "cannot start")
    assert "Traceback" not in ended.stdout + ended.stderr


def test_a_volume_that_cannot_be_is_a_clear_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = _start(
        {"PORT": "0", "FUNCTIONS_STORAGE_FILESYSTEM_DIRPATH": str(tmp_path / "file"), "LOG_FORMAT": "json"}, tmp_path
    )
    assert ended.returncode == 1
    assert "cannot start" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def _starts(skep: Skep) -> list[bool]:
    """For each worker that was started for a run or a deploy, whether it had to compile."""
    lines = [line for line in skep.log_lines() if line["event"] == "worker started"]
    return [line["compiled"] for line in lines if line["kind"] != "compile"]


SETTINGS = {"LOG_LEVEL": "debug", "FUNCTIONS_WORKERS_MAX_LRU": 2}


async def test_a_start_loads_what_was_compiled_and_makes_a_bundle_that_does_not_fit_anew(tmp_path: Path) -> None:
    names = ("whole", "empty", "garbage", "other")
    with running_skep(tmp_path, SETTINGS) as skep:
        async with client_of(skep) as client:
            for name in names:
                await client.deploy(name, {"one": "return 1"})
    bundles = {name: tmp_path / "functions" / name / "module.bundle" for name in names}
    # As another version of the compiler would have made it: every byte of the digest counts.
    whole = bundles["other"].read_bytes()
    damages = (b"", b"garbage", bytes([whole[0] ^ 1]) + whole[1:])
    for name, damage in zip(names[1:], damages, strict=True):
        bundles[name].write_bytes(damage)
    for must_compile in (True, False):
        with running_skep(tmp_path, SETTINGS) as skep:
            async with client_of(skep) as client:
                assert [(await client.run(name, "one")).result for name in names] == [1, 1, 1, 1]
            assert _starts(skep) == [False, *[must_compile] * len(damages)]


async def test_every_bundle_can_be_rebuilt_at_start(tmp_path: Path) -> None:
    functions = tmp_path / "functions"
    for name in ("a", "b", "broken"):
        (functions / name).mkdir(parents=True)
        code = "return (" if name == "broken" else f"return '{name}'"
        (functions / name / "workspace.yaml").write_text(f'functions: {{me: {{code: "{code}"}}}}\n')
        (functions / name / "module.bundle").write_bytes(b"old")
    with running_skep(tmp_path, {**SETTINGS, "UPDATE_SCRIPTS_ON_STARTUP": "yes"}) as skep:
        async with client_of(skep) as client, asyncio.timeout(20):
            while (await client.call("GET", "/sys/ready")).status != 200:
                pass
        assert all((functions / name / "module.bundle").stat().st_size > 100 for name in ("a", "b"))
        refused = [line for line in skep.log_lines() if line["event"] == "not rebuilt"]
        assert [line["workspace"] for line in refused] == ["broken"]
        async with client_of(skep) as client:
            assert (await client.run("a", "me")).result == "a"
            assert (await client.run("broken", "me")).status == 503


async def test_one_worker_is_started_for_many_first_runs(counted_skep: Skep) -> None:
    before = _starts(counted_skep)
    (counted_skep.functions / "first").mkdir()
    (counted_skep.functions / "first" / "workspace.yaml").write_text("functions: {me: {code: return 1}}\n")
    async with client_of(counted_skep) as client:
        answers = await asyncio.gather(*(client.run("first", "me") for _ in range(50)))
        assert {answer.status for answer in answers} == {200}
    assert _starts(counted_skep)[len(before) :] == [True]
