"""Process 1 of the workers' pid namespace. While it lives they may; when it ends the kernel kills every one of them.

It waits for two ends: that of the service, and then all is over at once, whatever workers do; and that of the zygote,
after which workers may go on until the service is done with them.
"""

import os
import select
import signal
from typing import Final, NoReturn

from sandbox.jail import kernel

PROCESS_NAME: Final = b"skep-init"
_LOOK_AGAIN_MS: Final = 1000


def start(service_pidfd: int) -> int:
    """Fork it; must be the first fork after the namespace was entered. Returns its pid. Raises: OSError."""
    zygote_lives, keep = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(keep)
        try:
            _serve(service_pidfd, zygote_lives)
        finally:
            os._exit(0)
    os.close(zygote_lives)
    # `keep` stays open for as long as the zygote lives: workers close their copies before they do anything.
    return pid


def _serve(service_pidfd: int, zygote_lives: int) -> NoReturn:
    kernel.prctl(kernel.PR_SET_NAME, PROCESS_NAME)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    kept = sorted({service_pidfd, zygote_lives})
    for low, high in zip([-1, *kept], [*kept, os.sysconf("SC_OPEN_MAX")], strict=True):
        os.closerange(low + 1, high)
    kernel.drop_capabilities()
    poll = select.poll()
    poll.register(service_pidfd, select.POLLIN)
    poll.register(zygote_lives, select.POLLIN)
    timeout: int | None = None
    while True:
        ended = {fd for fd, _event in poll.poll(timeout)}
        if service_pidfd in ended:
            os._exit(0)
        if zygote_lives in ended:
            poll.unregister(zygote_lives)
            timeout = _LOOK_AGAIN_MS
        if timeout is not None and _is_alone():
            os._exit(0)


def _is_alone() -> bool:
    """Whether no other process is left in the namespace."""
    try:
        os.kill(-1, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
