"""What a hostile workspace does for as long as it is let, and how its calls must be answered."""

from dataclasses import dataclass
from typing import Final

from bench.workspaces import PARAMETERS

TIMEOUT_MS: Final = 1000
NATIVE: Final = "# native\n"
"""Code that begins so is compiled as ordinary Python by `bench.native_zygote`."""

_MEMORY_BOMB: Final = """\
hoard = []
while True:
    hoard.append(bytearray(1 << 20))
"""

# Should a fork ever succeed, one is enough to know; the answer is then a wrong one.
_FORK_BOMB: Final = f"""\
{NATIVE}classes = ().__class__.__base__.__subclasses__()
posix = next(c for c in classes if c.__name__ == "_wrap_close").__init__.__globals__
while True:
    try:
        child = posix["fork"]()
    except OSError:
        continue
    if child == 0:
        posix["_exit"](1)
    raise RuntimeError("a process was started")
"""

# As much as a run may log, then the next run: what goes beyond is dropped in the worker and floods nobody.
_LOG_FLOOD: Final = """\
for _ in range(1000):
    print("x" * 1000)
"""

_SPINNING_LOOP: Final = """\
while True:
    pass
"""

_TIMED_OUT: Final = (504, b'{"error":"FunctionTimeout"')
_LOST: Final = (502, b'{"error":"WorkerLost"')
"""What the attacker brings on itself: its callers wait for each other; a worker that lets deadlines pass is ended."""


@dataclass(frozen=True, slots=True)
class Attack:
    """One kind of hostile code."""

    name: str
    code: str
    answers: tuple[tuple[int, bytes], ...]
    """Each with its status and the beginning of its body; any other is wrong."""

    @property
    def workspace(self) -> str:
        return self.name.replace(" ", "-")

    @property
    def document(self) -> object:
        """Its definition, as it is deployed."""
        return {"functions": {"hello": {"code": self.code, "parameters": PARAMETERS, "timeout": TIMEOUT_MS}}}


ATTACKS: Final = (
    Attack("memory bomb", _MEMORY_BOMB, ((500, b'{"error":"MemoryExceeded"'), _TIMED_OUT, _LOST)),
    Attack("fork bomb", _FORK_BOMB, (_TIMED_OUT, _LOST)),
    Attack("log flood", _LOG_FLOOD, ((200, b'{"result":null'), _TIMED_OUT, _LOST)),
    Attack("spinning loop", _SPINNING_LOOP, (_TIMED_OUT, _LOST)),
)
