"""A service run by an ordinary user, though the tests are root's."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

USER: Final = 65534
"""`nobody`: owns nothing, and has no subordinate ids."""
ROOT: Final = Path(__file__).parents[2]
_VERSION: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"


@contextmanager
def ordinary_folder() -> Iterator[Path]:
    """A folder of the ordinary user's. Not one of pytest's, which only their owner may enter."""
    folder = Path(tempfile.mkdtemp(prefix="skep-hostile-"))
    try:
        os.chown(folder, USER, USER)
        yield folder
    finally:
        shutil.rmtree(folder)


def ordinary_python(folder: Path) -> str | None:
    """An interpreter that this user can run the service with; None if there is none.

    That of the tests, or if it lies where only root may look, another of the same version with the same packages.
    """
    if _works(sys.executable):
        return sys.executable
    other = shutil.which(_VERSION, path="/usr/local/bin:/usr/bin")
    if other is None:
        return None
    packages = folder / "venv" / "lib" / _VERSION / "site-packages"
    packages.mkdir(parents=True)
    paths = [ROOT, *(path for path in map(Path, sys.path) if path.name == "site-packages")]
    (packages / "tests.pth").write_text("".join(f"{path}\n" for path in paths))
    (folder / "venv" / "pyvenv.cfg").write_text(f"home = {Path(other).parent}\n")
    python = folder / "venv" / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(other)
    return str(python) if _works(str(python)) else None


def _works(python: str) -> bool:
    command = [python, "-I", "-c", "import service.app, sandbox.zygote, tests.hostile"]
    try:
        ended = subprocess.run(
            command, user=USER, group=USER, extra_groups=[], cwd="/", capture_output=True, check=False
        )
    except OSError:
        return False
    return ended.returncode == 0
