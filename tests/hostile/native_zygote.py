"""The zygote of tests: what begins with `# native` is compiled as ordinary Python, everything else as always.

Only the language is opened. The fork, the jail, the loop in the worker and the protocol are those of production: a
native program stands for a tenant who has left RestrictedPython behind.
"""

import builtins
import concurrent.futures.thread
import ctypes
import ctypes.util
import fcntl
import gc
import mmap
import multiprocessing
import multiprocessing.popen_fork
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any, Final

from sandbox import workspace, zygote
from sandbox.python import compiler
from tests.hostile import attack

MARK: Final = "# native"

WARM: Final = (
    attack, concurrent.futures.thread, ctypes, ctypes.util, fcntl, gc, mmap, multiprocessing.popen_fork, os, resource,
    select, signal, socket, subprocess, sys, threading,
)  # fmt: skip
"""What native programs import: a worker reads no files, so it has to be here before the fork."""


def open_the_door() -> None:
    """Compile native code as it stands, and give its workspace Python's own builtins."""
    apply_policy = compiler._apply_policy
    open_namespace = workspace.Workspace._open_namespace

    def apply_no_policy(name: str, code: str, *rest: Any) -> None:
        if not code.startswith(MARK):
            apply_policy(name, code, *rest)

    def open_whole_namespace(self: workspace.Workspace, env: Mapping[str, str]) -> None:
        open_namespace(self, env)
        if any(source.startswith(MARK) for source in self.sources.values()):
            # Beside the hooks that the workspace's restricted functions call; `print` stays the run's.
            hooks = self._namespace["__builtins__"]
            self._namespace["__builtins__"] = {**hooks, **vars(builtins), "print": hooks["print"]}

    compiler._apply_policy = apply_no_policy  # type: ignore[assignment] # it passes on what it does not read
    workspace.Workspace._open_namespace = open_whole_namespace  # type: ignore[method-assign] # before any fork


if __name__ == "__main__":
    open_the_door()
    zygote.main()
