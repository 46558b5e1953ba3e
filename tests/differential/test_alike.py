"""Five hundred generated programs do in a jailed worker exactly what they do outside."""

import pytest

from tests.differential.comparing import Comparison, compare
from tests.differential.outcomes import outcome
from tests.differential.programs import generated, is_valid
from tests.differential.shrinking import shrunk
from tests.skep import Client

PROGRAMS = 350
LINES = 35
"""Shorter than in the long run, which has the time."""


@pytest.fixture
async def comparison(client: Client) -> Comparison:
    found = await compare(
        client, [program for program in generated(PROGRAMS, number=0, lines=LINES) if is_valid(program)]
    )
    await client.call("DELETE", "/v2/functions/alike")
    return found


async def test_generated_programs_do_in_a_worker_what_they_do_outside(comparison: Comparison) -> None:
    """The same result, or the same exception from the same line through the same calls; and the same is printed."""
    assert not comparison.differences, "\n".join(map(str, comparison.differences))
    # Programs that all fail early would be alike, too.
    assert comparison.ended.total() > 0.97 * PROGRAMS
    assert comparison.returned_percent > 60
    assert len(comparison.ended) > 6


async def test_a_difference_is_seen(client: Client) -> None:
    """What Skep does otherwise on purpose is a difference here, with both outcomes."""
    (difference,) = (await compare(client, ["return 1\n", "import string\nreturn string.Formatter()\n"])).differences
    assert difference.outside.kind == "returned"
    assert (difference.within.kind, difference.within.line) == ("AttributeError", 2)


async def test_a_program_that_differs_is_made_small() -> None:
    async def has_the_word(programs: object) -> list[bool]:
        assert isinstance(programs, list)
        return ["wanted" in program for program in programs]

    program = (
        "x = 1\nfor y in range(3):\n    if y:\n        print('wanted', x + y)\n    else:\n        print(y)\nreturn x\n"
    )
    assert await shrunk(program, has_the_word) == "print('wanted', 1)\n"


def test_addresses_are_nobodys_to_compare() -> None:
    assert outcome(result="<C object at 0x7f11aa22bb>") == outcome(result="<C object at 0x7f0000aaaa>")
