"""functions-framework from PyPI, in virtual environments of its own below `.peers`, which git ignores.

Its `functions-framework` command is what a production image runs. Without `--debug` the command serves Flask functions
with gunicorn's threaded worker, `THREADS` threads (by default four a processor) in one process, and with `--asgi`
Starlette ones with uvicorn under gunicorn. uvicorn takes uvloop and httptools when they are installed, which
functions-framework does not ask for: so there are two environments.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.errors import MeasureError
from bench.servers import Server, free_port, passed_on, stop, tail, wait_until_answered
from bench.wire import HOST, build_request
from bench.workspaces import RUN_BODY

ENVIRONMENTS: Final = Path(__file__).resolve().parent.parent / ".peers"
INSTALL_TIMEOUT_S: Final = 300.0
FRAMEWORK: Final = "functions-framework>=3.10,<4"
_INSTALLED: Final = "installed"

# The result alone is less to encode than what Skep answers: the peer may have that.
_FLASK: Final = """\
def hello(request):
    return {"result": "Hello " + request.get_json()["parameters"]["name"]}
"""
_STARLETTE: Final = """\
async def hello(request):
    body = await request.json()
    return {"result": "Hello " + body["parameters"]["name"]}
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """One way to serve a function with functions-framework."""

    environment: str
    packages: tuple[str, ...]
    source: str
    arguments: tuple[str, ...]


PEERS: Final = {
    "threaded": Peer("plain", (FRAMEWORK,), _FLASK, ()),
    "ASGI": Peer("plain", (FRAMEWORK,), _STARLETTE, ("--asgi",)),
    "ASGI with uvloop": Peer("uvloop", (FRAMEWORK, "uvloop", "httptools"), _STARLETTE, ("--asgi",)),
}


def install(peer: Peer) -> list[str]:
    """Make its environment unless it is there; returns what is installed, with versions.

    Raises: MeasureError with the end of pip's output, when the index cannot be reached for instance.
    """
    folder = ENVIRONMENTS / peer.environment
    # Written last: an environment that was left half made is made again.
    record = folder / _INSTALLED
    wanted = "\n".join(peer.packages)
    if not record.exists() or record.read_text() != wanted:
        _call([sys.executable, "-m", "venv", "--clear", str(folder)], "no virtual environment can be made")
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "--retries", "1"]
        _call([*pip, *peer.packages], f"pip could not install {', '.join(peer.packages)} for this comparison")
        record.write_text(wanted)
    frozen = _call([str(folder / "bin" / "pip"), "freeze"], "pip does not work")
    return frozen.split()


def _call(command: list[str], failure: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise MeasureError(f"{failure}: it took more than {INSTALL_TIMEOUT_S:.0f} s") from error
    if done.returncode != 0:
        raise MeasureError(f"{failure}:\n{(done.stderr or done.stdout)[-1500:].strip()}")
    return done.stdout


@contextmanager
def open_peer(peer: Peer) -> Iterator[Server]:
    """Serve `hello`, with default settings and no access log, as the command does. Raises: MeasureError."""
    with tempfile.TemporaryDirectory(prefix="skep-bench-peer-", ignore_cleanup_errors=True) as folder:
        Path(folder, "main.py").write_text(peer.source)
        port = free_port()
        log = Path(folder, "log")
        command = str(ENVIRONMENTS / peer.environment / "bin" / "functions-framework")
        options = ["--source", "main.py", "--target", "hello", "--host", HOST, "--port", str(port)]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [command, *options, *peer.arguments],
                cwd=folder,
                env=passed_on(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                process_group=0,  # Ctrl-C is for the benchmark, which then ends its servers
            )
        try:
            wait_until_answered(process, peer_request(port), port, name="functions-framework")
            yield Server(port=port, pid=process.pid)
        except MeasureError as error:
            raise MeasureError(f"{error}\nThe end of its log:\n{tail(log)}") from error
        finally:
            stop(process)


def peer_request(port: int) -> bytes:
    """The same body for a peer."""
    return build_request(port=port, method="POST", path="/hello", document=RUN_BODY)
