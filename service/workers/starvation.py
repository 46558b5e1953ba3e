"""Whether a worker that does nothing could have done something."""

from pathlib import Path
from typing import Final

_NS: Final = 1e9


def waited_s(pid: int) -> float:
    """How long a process has waited for a processor in its life, see schedstat; 0 where the kernel does not say."""
    try:
        _ran_ns, waited_ns, _turns = Path(f"/proc/{pid}/schedstat").read_text().split()
        return int(waited_ns) / _NS
    except (OSError, ValueError):
        return 0.0
