"""A Skep that has a door for native code, for tests only: `python -m tests.hostile.native_service <mark>`.

It is the real service in every respect but one: its zygote is `tests.hostile.native_zygote`, which compiles a function
whose code begins with `# native` as ordinary Python. No setting and no request leads here. The mark ends up in the
command line of the zygote and of everything it forks, so that a test can find what is left of them.
"""

import asyncio
import sys
from asyncio.subprocess import Process
from typing import Any, Final

import tests.lean_service  # noqa: F401  # before what it makes lean
from service.cli import main
from service.workers import fork_server

NATIVE_ZYGOTE: Final = "tests.hostile.native_zygote"


def open_the_door(mark: str) -> None:
    """Have this process start the other zygote, with one argument more than it reads."""
    create = asyncio.create_subprocess_exec

    async def create_marked(*command: str, **options: Any) -> Process:
        return await create(*command, mark, **options)

    asyncio.create_subprocess_exec = create_marked  # type: ignore[assignment] # of this process, which is a test's
    fork_server.ZYGOTE_MODULE = NATIVE_ZYGOTE  # type: ignore[misc] # a constant everywhere else


if __name__ == "__main__":
    open_the_door(sys.argv.pop())
    sys.exit(main([]))
