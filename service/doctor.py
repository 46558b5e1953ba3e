"""`skep doctor`: what this machine gives workers for a jail, found the way a start finds it, as a table."""

import textwrap
from collections.abc import Sequence
from typing import Final

from sandbox.protocol import JailLevel, Layer
from service.settings import Settings
from service.workers.cgroups import ControlGroup
from service.workers.zygote import Zygote, is_enough

CONTROL_GROUP: Final = "control group"
_NEEDS: Final = (
    "write access to a control group with memory, cpu and pids: as root, in a container with a writable "
    "/sys/fs/cgroup, or with Delegate=yes in the service's systemd unit"
)
_WIDTH: Final = 100
_NAME_WIDTH: Final = 14


async def examine(settings: Settings) -> tuple[JailLevel, list[Layer]]:
    """Enter the jail as a start would and leave again. Raises: WorkersUnavailable when workers cannot be had at all."""
    group = ControlGroup(workers_max=settings.workers_max)
    group.open()
    zygote = Zygote(group, modules=settings.python_modules, least="none")
    try:
        async with zygote.running():
            return zygote.level, [*zygote.layers, _layer(group)]
    finally:
        await group.close()


def report(level: JailLevel, layers: Sequence[Layer], *, least: JailLevel) -> str:
    """The findings for a person at a terminal."""
    verdict = "which is enough" if is_enough(level, least) else "so that it does not start"
    lines = [f"This machine gives workers the jail {level!r}; SANDBOX_LEVEL asks for {least!r}, {verdict}.", ""]
    indent = " " * (_NAME_WIDTH + 6)
    for layer in layers:
        lines.append(f"{layer.name:<{_NAME_WIDTH}} {'on' if layer.is_on else 'off':<4} {layer.detail}")
        if layer.grant:
            lines += textwrap.wrap(
                f"needs {layer.grant}", _WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
            )
    return "\n".join(lines)


def _layer(group: ControlGroup) -> Layer:
    if group.problem:
        return Layer(CONTROL_GROUP, is_on=False, detail=group.problem, grant=_NEEDS)
    return Layer(
        CONTROL_GROUP, is_on=True, detail="workers have half the service's weight, and less than all memory", grant=""
    )
