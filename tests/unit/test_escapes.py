"""Ways out of the language that are known to have worked somewhere. Each must end in a refusal or an exception."""

import pytest

from sandbox.python.compiler import CodeRefused
from tests.unit.bodies import cases, run

REFUSALS = (CodeRefused, AttributeError, TypeError, NameError, ImportError, ValueError, LookupError)

ESCAPES = {name: code for name, (code, _) in cases("escapes").items()}


@pytest.mark.filterwarnings("ignore:coroutine")  # a body that is stopped cannot await what it made
@pytest.mark.parametrize("code", ESCAPES.values(), ids=ESCAPES)
def test_no_way_out(code: str) -> None:
    with pytest.raises(REFUSALS):
        run(code)


def test_what_ends_a_run_cannot_be_named() -> None:
    with pytest.raises(CodeRefused):
        run("try: pass\nexcept __skep_stop__: pass")
