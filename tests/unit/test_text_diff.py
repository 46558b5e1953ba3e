"""The diff of two texts says the same as the usual tools, and takes a bounded time."""

import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.domain.text_diff import unified

_LINES = st.lists(st.sampled_from(["a", "b", "c", "", " x", "-d"]), max_size=30)


def _applied(old: list[str], diff: str) -> list[str]:
    """The new text, from the old one and what is said to differ."""
    result: list[str] = []
    at = 0
    for line in diff.splitlines()[2:]:
        if line.startswith("@@ "):
            start, length = (int(part) for part in line.split()[1][1:].split(","))
            start -= length > 0
            result += old[at:start]
            at = start
        elif line[0] == "+":
            result.append(line[1:])
        else:
            assert old[at] == line[1:]
            at += 1
            if line[0] == " ":
                result.append(line[1:])
    return result + old[at:]


@given(_LINES, _LINES)
def test_a_diff_makes_the_new_text_of_the_old_one(old: list[str], new: list[str]) -> None:
    diff = unified(old, new, "old", "new")
    assert (diff == "") == (old == new)
    assert _applied(old, diff) == new


def test_patch_takes_it(tmp_path: Path) -> None:
    old = [f"line {number}" for number in range(100)]
    new = ["first", *old[:20], "changed", *old[21:60], *old[63:], "last"]
    (tmp_path / "text").write_text("".join(f"{line}\n" for line in old))
    diff = unified(old, new, "text", "text")
    assert diff.count("@@ -") == 4
    try:
        subprocess.run(["patch", "-s", "-p0"], cwd=tmp_path, input=diff.encode(), check=True)
    except FileNotFoundError:
        pytest.skip("there is no patch(1) here")
    assert (tmp_path / "text").read_text().splitlines() == new


def test_texts_that_have_nothing_in_common_are_compared_in_a_moment() -> None:
    old = [line for number in range(10_000) for line in (f"{number % 70}", f"u{number}")]
    new = [line for number in range(10_000) for line in (f"{number % 70}", f"v{number}")]
    began = time.thread_time()
    diff = unified(old, new, "old", "new")
    assert time.thread_time() - began < 3
    assert _applied(old, diff) == new
