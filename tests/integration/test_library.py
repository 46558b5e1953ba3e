"""The standard library in a real worker, which has no files, gives what it gives anywhere."""

import pytest

from tests.skep import Client
from tests.unit.bodies import cases

PROGRAMS = cases("library")


@pytest.mark.parametrize("name", PROGRAMS)
async def test_in_a_worker_the_library_works_as_it_does_outside(client: Client, name: str) -> None:
    code, expected = PROGRAMS[name]
    assert (await client.inline("library", code)).result == expected
