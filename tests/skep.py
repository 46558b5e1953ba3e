"""A real Skep for tests: its own process, its own folder, a client that speaks HTTP to it."""

import asyncio
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 20
LOOK_S = 0.005
"""So often the log of a service that starts is looked into."""
COMMAND = (sys.executable, "-m", "tests.lean_service")


@dataclass(frozen=True)
class Skep:
    """A running service."""

    process: subprocess.Popen[bytes]
    url: str
    folder: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def functions(self) -> Path:
        """The volume."""
        return self.folder / "functions"

    def log_lines(self) -> list[dict[str, Any]]:
        """What the service has logged so far."""
        return [json.loads(line) for line in (self.folder / "log").read_bytes().splitlines()]

    def zygote_pid(self) -> int:
        """The only child of the service."""
        (zygote,) = children(self.pid)
        return zygote

    def worker_pids(self) -> list[int]:
        """The workers of the zygote that runs now."""
        return [pid for pid in children(self.zygote_pid()) if name(pid) == "skep-worker"]


def children(pid: int) -> list[int]:
    """Live child processes of a process, zombies not counted."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found if state(int(child)) not in {"Z", None}]


def name(pid: int) -> str | None:
    """The name of a process (proc(5)), None if there is none."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None


def state(pid: int) -> str | None:
    """The state letter of a process (proc(5)), None if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


@contextmanager
def running_skep(
    folder: Path,
    settings: Mapping[str, object] = {},
    *,
    command: Sequence[str] = COMMAND,
    user: int | None = None,
) -> Iterator[Skep]:
    """Start `skep` on a free port with these settings; on exit it is stopped, by force if it must be.

    `user`: its user and group id, None for those of the tests. The folder must be its to write.
    """
    log = folder / "log"
    environment = {
        "PATH": os.environ["PATH"],
        "PORT": "0",
        "LOG_FORMAT": "json",
        # No authority is trusted, since none is asked: aiohttp reads all the system has whenever it is imported.
        "SSL_CERT_FILE": os.devnull,
        "FUNCTIONS_STORAGE_FILESYSTEM_DIRPATH": str(folder / "functions"),
        "DATABASE_PATH": str(folder / "skep.db"),
        **{name: str(value) for name, value in settings.items()},
    }
    log.unlink(missing_ok=True)  # what is left of a service that was killed may still write to its own
    with log.open("wb") as output:
        groups: list[int] | None = None if user is None else []
        process = subprocess.Popen(
            command, env=environment, stdout=output, stderr=output, user=user, group=user, extra_groups=groups
        )
    try:
        yield Skep(process, _wait_until_serving(process, log), folder)
    finally:
        if process.poll() is None:
            process.terminate()
            if not _has_ended(process, within_s=STOP_TIMEOUT_S):
                process.kill()
            process.wait()


@asynccontextmanager
async def skep_aside(
    folder: Path, settings: Mapping[str, object] = {}, *, command: Sequence[str] = COMMAND
) -> AsyncIterator[Skep]:
    """The same for a test that does something else meanwhile: it starts and stops in a thread."""
    running = running_skep(folder, settings, command=command)
    skep = await asyncio.to_thread(running.__enter__)
    try:
        yield skep
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


def _wait_until_serving(process: subprocess.Popen[bytes], log: Path) -> str:
    """The address, from the service's own log."""
    end = time.monotonic() + START_TIMEOUT_S
    with log.open("rb") as lines:
        while True:
            line = lines.readline()
            if line.endswith(b"\n") and b'"serving"' in line:
                url: str = json.loads(line)["url"]
                return url
            if line:
                continue
            if _has_ended(process, within_s=LOOK_S):
                break
            if time.monotonic() > end:
                raise TimeoutError(f"not within {START_TIMEOUT_S} s: {log.read_text()[-2000:]}")
    raise AssertionError(f"skep ended with {process.wait()}: {log.read_text()[-2000:]}")


def _has_ended(process: subprocess.Popen[bytes], *, within_s: float) -> bool:
    """Known as soon as it is so: `Popen.wait` with a timeout only looks again every 50 ms."""
    pidfd = os.pidfd_open(process.pid)
    try:
        ended = select.poll()
        ended.register(pidfd, select.POLLIN)
        return bool(ended.poll(within_s * 1000))
    finally:
        os.close(pidfd)


@dataclass(frozen=True)
class Answer:
    """One response, read whole."""

    status: int
    body: Any
    headers: Mapping[str, str]

    @property
    def result(self) -> Any:
        assert self.status == 200, self.body
        return self.body["result"]

    @property
    def messages(self) -> list[str]:
        """The messages of the run's logs."""
        return [entry["message"] for entry in self.body["logs"]]


class Client:
    """Speaks the contract to one Skep."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def call(self, method: str, path: str, **options: Any) -> Answer:
        async with self.session.request(method, path, **options) as response:
            content = await response.read()
            is_json = response.content_type == "application/json"
            return Answer(response.status, json.loads(content) if is_json and content else content, response.headers)

    async def deploy(self, workspace: str, functions: Mapping[str, str | Mapping[str, Any]], **fields: Any) -> Answer:
        """Deploy functions given as code or as whole objects."""
        objects = {name: {"code": given} if isinstance(given, str) else given for name, given in functions.items()}
        return await self.call("POST", f"/v2/functions/{workspace}", json={"functions": objects, **fields})

    async def run(self, workspace: str, function: str, /, **parameters: Any) -> Answer:
        path = f"/v2/functions/{workspace}/run/{function}"
        return await self.call("POST", path, json={"parameters": parameters})

    async def inline(self, workspace: str, code: str, /, **parameters: Any) -> Answer:
        path = f"/v2/functions/{workspace}/run"
        return await self.call("POST", path, json={"code": code, "parameters": parameters})


@asynccontextmanager
async def client_of(skep: Skep) -> AsyncIterator[Client]:
    """A client with as many connections as a test wants."""
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(skep.url, connector=connector, timeout=timeout) as session:
        yield Client(session)
