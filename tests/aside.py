"""Programs that run beside the tests of a module, and are only waited for at its end."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT_S = 120


@dataclass(frozen=True)
class Aside:
    """One of them."""

    process: subprocess.Popen[bytes]
    folder: Path

    def output(self) -> str:
        """What it wrote, once it has ended well."""
        status = self.process.wait(TIMEOUT_S)
        written, errors = ((self.folder / name).read_text() for name in ("output", "errors"))
        assert status == 0, written[-3000:] + errors[-3000:]
        return written


@contextmanager
def running_aside(module: str, folder: Path) -> Iterator[Aside]:
    """A module of the tests, run as a program. The folder takes what it writes."""
    with (folder / "output").open("wb") as output, (folder / "errors").open("wb") as errors:
        process = subprocess.Popen([sys.executable, "-m", module], cwd=ROOT, stdout=output, stderr=errors)
    try:
        yield Aside(process, folder)
    finally:
        process.kill()
        process.wait()
