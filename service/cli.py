"""The `skep` command: read the settings, serve until told to stop."""

import argparse
import asyncio
import gc
import os
import resource
import signal
import sys
from collections.abc import Sequence
from typing import Final

import structlog
import uvloop
from aiohttp import web

from sandbox.version import __version__
from service import logs
from service.app import create_app
from service.commands import keys, secrets
from service.doctor import examine, report
from service.errors import AccessTooOpen, SkepError
from service.http.listener import listening
from service.http.skep import SKEP
from service.settings import Settings, load_settings
from service.settings.declaring import InvalidSettings
from service.threads import started_threads
from service.workers.zygote import is_enough

BAD_SETTINGS: Final = 2
DESCRIPTORS_OF_A_WORKER: Final = 3
DESCRIPTORS_BESIDES: Final = 256
"""For callers, fetches, and what the service itself has open."""
THREADS: Final = 4
COLLECTOR_THRESHOLDS: Final = (20_000, 50, 100)

_log = structlog.get_logger()


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 after a signal, 1 when the service cannot start, 2 for bad settings."""
    parser = argparse.ArgumentParser(
        prog="skep", description="Run workspaces of functions over HTTP. Settings come from the environment."
    )
    parser.add_argument("--version", action="version", version=f"skep {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")
    commands.add_parser("serve", help="the default")
    commands.add_parser("doctor", help="show what this machine gives for a jail")
    keys.add_arguments(commands)
    secrets.add_arguments(commands)
    given = parser.parse_args(arguments)
    try:
        settings = load_settings(os.environ)
    except InvalidSettings as invalid:
        print(invalid, file=sys.stderr)  # noqa: T201  # before there is a log; for a person at a terminal
        return BAD_SETTINGS
    if given.command == "doctor":
        logs.configure("console", "error")
        return uvloop.run(doctor(settings))
    if given.command == "keys":
        logs.configure("console", "error", sys.stderr)
        return uvloop.run(keys.run(settings, given))
    if given.command == "secrets":
        logs.configure("console", "error", sys.stderr)
        return uvloop.run(secrets.run(settings, given))
    logs.configure(settings.log_format, settings.log_level)
    allow_descriptors(workers_max=settings.workers_max)
    return uvloop.run(serve(settings))


async def doctor(settings: Settings) -> int:
    """Show what there is. Returns 0 if it is what the settings ask for, 1 if not."""
    try:
        level, layers = await examine(settings)
    except SkepError as error:
        print(error, file=sys.stderr)  # noqa: T201  # for a person at a terminal
        return 1
    print(report(level, layers, least=settings.jail_least))  # noqa: T201  # as above
    return 0 if is_enough(level, settings.jail_least) else 1


async def serve(settings: Settings) -> int:
    """Listen until SIGTERM or SIGINT, then drain: runs under way finish within the grace period, no new ones begin."""
    app = create_app(settings)
    runner = web.AppRunner(app, access_log=None)
    stop = asyncio.Event()
    # Large bodies are read in these.
    asyncio.get_running_loop().set_default_executor(started_threads(THREADS, name="aside"))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await runner.setup()
        async with listening(runner, host=settings.host, port=settings.port) as url:
            # What exists now stays: the collector need not look at it again, and may come by less often.
            gc.collect()
            gc.freeze()
            gc.set_threshold(*COLLECTOR_THRESHOLDS)
            _log.info("serving", url=url, version=__version__, access=app[SKEP].gate.keyring.access)
            await stop.wait()
            _log.info("draining", runs=app[SKEP].lifecycle.runs, grace_ms=settings.shutdown_grace_ms)
            # Before the sockets close: whoever asks meanwhile is told, not refused.
            await app.shutdown()
    except (OSError, SkepError) as error:
        _log.error("cannot start", reason=str(error))
        return BAD_SETTINGS if isinstance(error, AccessTooOpen) else 1
    finally:
        await runner.cleanup()
    _log.info("stopped")
    return 0


def allow_descriptors(*, workers_max: int) -> None:
    """Raise the soft limit on descriptors to the hard one, and say so if that is too low for all workers: each takes
    two, a third while it starts, and every caller one.
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = DESCRIPTORS_OF_A_WORKER * workers_max + DESCRIPTORS_BESIDES
    if hard < wanted:
        reason = "raise the hard limit (ulimit -n, LimitNOFILE=), or lower FUNCTIONS_WORKERS_MAX_LRU"
        _log.warning("few descriptors", limit=hard, wanted=wanted, reason=reason)
