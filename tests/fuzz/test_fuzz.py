"""A little of `make fuzz`, the same each time: nothing is answered that is not described, nothing with 5xx."""

from pathlib import Path

from tests.fuzz.fuzzing import KEY, fuzz
from tests.skep import running_skep


def test_the_service_does_what_its_document_says(tmp_path: Path) -> None:
    with running_skep(tmp_path, {"ADMIN_KEY": KEY}) as skep:
        options = ("--phases", "fuzzing", "--max-examples", "2", "--generation-deterministic", "--continue-on-failure")
        done = fuzz(skep, *options, timeout_s=60)
        assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
        assert not [line for line in skep.log_lines() if line["event"] == "unexpected failure"]
