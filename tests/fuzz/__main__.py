"""Fuzz a service for a while: make fuzz."""

import argparse
import tempfile
from pathlib import Path

from tests.fuzz.fuzzing import KEY, fuzz
from tests.skep import running_skep

SECONDS_BEYOND = 120
"""A phase that has begun is finished."""


def main() -> int:
    """Returns the exit status of Schemathesis."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--examples", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    seconds = int(arguments.minutes * 60)
    with (
        tempfile.TemporaryDirectory(prefix="skep-fuzz-") as folder,
        running_skep(Path(folder), {"ADMIN_KEY": KEY}) as skep,
    ):
        done = fuzz(
            skep, "--max-time", str(seconds), "--max-examples", str(arguments.examples), "--seed", str(arguments.seed),
            "--continue-on-failure", timeout_s=seconds + SECONDS_BEYOND,
        )  # fmt: skip
        print(done.stdout)
        print(done.stderr)
        unexpected = [line for line in skep.log_lines() if line["event"] == "unexpected failure"]
        print(f"{len(unexpected)} unexpected failures in the service's log")
    return done.returncode or bool(unexpected)


if __name__ == "__main__":
    raise SystemExit(main())
