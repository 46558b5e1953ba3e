"""Schemathesis against a running service, in a process of its own."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.skep import Skep

ROOT: Final = Path(__file__).parents[2]
KEY: Final = "of-everything-that-is-fuzzed-here"
CONFIG: Final = Path(__file__).with_name("schemathesis.toml")


def fuzz(skep: Skep, *options: str, timeout_s: int) -> subprocess.CompletedProcess[str]:
    """Send what the service's document allows, and what it does not; all checks are on.

    The service has `KEY` as its `ADMIN_KEY`.
    """
    command = [
        sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG),
        "run", f"{skep.url}/openapi.json", "--checks", "all", "--workers", "1", "--no-color",
        "--header", f"Authorization: Bearer {KEY}", *options,
    ]  # fmt: skip
    environment = {"PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks", "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        command, env=environment, cwd=skep.folder, capture_output=True, text=True, timeout=timeout_s, check=False
    )
