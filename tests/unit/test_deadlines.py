"""A run that has expired ends, whatever it does about it. The signal here is what a worker uses: again and again."""

import asyncio
import gc
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

from sandbox.python.names import FILENAME_PREFIX
from tests.unit.bodies import Expired, cases, load, make_namespace

FIRST_S = 0.02
AGAIN_S = 0.002

STUBBORN = {name: code for name, (code, _) in cases("stubborn").items()}
UNTOUCHED = cases("untouched")


class Deadline:
    """The alarm of one run."""

    def __init__(self) -> None:
        self.expired = False

    def check(self) -> None:
        if self.expired:
            raise Expired

    def ring(self, _signal: int, frame: FrameType | None) -> None:
        self.expired = True
        while frame is not None:
            if frame.f_code.co_filename.startswith(FILENAME_PREFIX):
                raise Expired
            frame = frame.f_back


pytestmark = pytest.mark.usefixtures("small_heap")


@contextmanager
def deadline() -> Iterator[Deadline]:
    alarm = Deadline()
    before = signal.signal(signal.SIGALRM, alarm.ring)
    # What a generator that was cut short still raises when it is collected has nowhere to go, and must not go to
    # pytest, whose hook would be interrupted in its turn.
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    signal.setitimer(signal.ITIMER_REAL, FIRST_S, AGAIN_S)
    try:
        yield alarm
    finally:
        gc.collect()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        sys.unraisablehook = hook


@pytest.mark.parametrize("code", STUBBORN.values(), ids=STUBBORN)
def test_no_code_outlives_its_deadline(code: str) -> None:
    with deadline() as alarm:
        body = load(code, make_namespace(check=alarm.check))

        async def main() -> Any:
            # The task is cancelled by nobody: only what is raised inside it can end it.
            return await asyncio.wait_for(asyncio.create_task(body({})), 5)

        with pytest.raises(Expired):
            asyncio.run(main())


@pytest.mark.parametrize(("code", "expected"), UNTOUCHED.values(), ids=UNTOUCHED)
def test_a_run_in_time_notices_nothing(code: str, expected: Any) -> None:
    assert asyncio.run(load(code, make_namespace())({})) == expected
