"""The servers under measurement, as context managers: yielded when they answer, gone afterwards."""

import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from bench.errors import MeasureError
from bench.processes import end_leftovers, read_tree
from bench.wire import HOST, Connection, build_request

START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 30.0
_POLL_S: Final = 0.005
_ROOT: Final = Path(__file__).resolve().parent.parent
SKEP: Final = Path(sys.executable).with_name("skep")
_PASSED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
"""Of the environment; no server gets a setting by accident."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers on 127.0.0.1."""

    port: int
    pid: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


@dataclass(frozen=True, slots=True)
class SkepServer(Server):
    """One that is Skep, with the folders it writes to."""

    volume: Path
    temporary: Path


@contextmanager
def open_floor() -> Iterator[Server]:
    """The bare aiohttp server of `bench.floor`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.floor"],
        cwd=_ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        process_group=0,  # Ctrl-C is for the benchmark, which then ends its servers
    )
    try:
        assert process.stdout is not None
        yield Server(port=_read_port(process.stdout), pid=process.pid)
    finally:
        stop(process)


@contextmanager
def open_skep(settings: Mapping[str, str] | None = None, *, zygote: str | None = None) -> Iterator[SkepServer]:
    """Skep as it ships: default settings but for the given ones, a fresh volume, its log written to a file.

    Or not as it ships: `zygote` names a module that its workers are forked by instead of the product's own.
    On exit its processes are gone and its files are removed. Raises: MeasureError, with the end of its log, if it does
    not become ready; a MeasureError from inside gets the end of the log, too.
    """
    with tempfile.TemporaryDirectory(prefix="skep-bench-", ignore_cleanup_errors=True) as folder:
        # Workers may have users of their own; what they may read below here is for Skep to say.
        Path(folder).chmod(0o755)
        port = free_port()
        log = Path(folder, "log")
        volume, temporary = Path(folder, "functions"), Path(folder, "tmp")
        temporary.mkdir()
        environment = passed_on() | {
            "HOST": HOST,
            "PORT": str(port),
            "TMPDIR": str(temporary),
            "FUNCTIONS_STORAGE_FILESYSTEM_DIRPATH": str(volume),
            "DATABASE_PATH": f"{folder}/skep.db",
            **(settings or {}),
        }
        with log.open("wb") as output:
            process = subprocess.Popen(
                [SKEP] if zygote is None else [sys.executable, "-m", "bench.with_zygote", zygote],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,  # as above
            )
        try:
            wait_until_answered(process, build_request(port=port, method="GET", path="/sys/ready"), port, name="skep")
            yield SkepServer(port=port, pid=process.pid, volume=volume, temporary=temporary)
        except MeasureError as error:
            raise MeasureError(f"{error}\nThe end of skep's log:\n{tail(log)}") from error
        finally:
            stop(process)


def passed_on() -> dict[str, str]:
    """What a server gets of our environment."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _read_port(output: IO[bytes]) -> int:
    """The port that the floor writes when it listens."""
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        line = output.readline() if selector.select(START_TIMEOUT_S) else b""
    if not line.strip().isdigit():
        raise MeasureError("the floor server did not start")
    return int(line)


def wait_until_answered(process: subprocess.Popen[bytes], request: bytes, port: int, *, name: str) -> None:
    """Ask until the answer has status 200. Raises: MeasureError if the process ends, or it takes `START_TIMEOUT_S`."""
    give_up_at = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < give_up_at:
        try:
            with Connection(port) as connection:
                if connection.exchange(request).status == 200:
                    return
        except (OSError, MeasureError):
            pass  # not listening yet; a process that has ended is seen below
        try:
            status = process.wait(_POLL_S)
        except subprocess.TimeoutExpired:
            continue
        raise MeasureError(f"{name} ended with status {status} before it was ready")
    raise MeasureError(f"{name} was not ready within {START_TIMEOUT_S:.0f} s")


def tail(log: Path) -> str:
    """The last lines, without those of requests that went well: under load they would hide the reason."""
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join([line for line in lines if '"level":"info"' not in line][-20:])


def stop(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, then SIGKILL; what the server had started goes with it even if it forgot some of it."""
    tree = read_tree(process.pid)
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        print(f"note: process {process.pid} did not end within {STOP_TIMEOUT_S:.0f} s of SIGTERM and was killed")
    finally:
        if process.stdout is not None:
            process.stdout.close()
        forgotten = end_leftovers(tree)
        if forgotten:
            print(f"note: {forgotten} processes outlived their server and were killed")
