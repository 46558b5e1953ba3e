"""Aliases as they are sent."""

from typing import Any

import pytest

from service.domain.releases import Alias
from service.errors import InvalidRequest


@pytest.mark.parametrize("number", [2, 2.0])
def test_a_whole_number_names_a_revision_however_it_is_written(number: float) -> None:
    assert Alias.from_document({"revision": number}).document == {"revision": 2}


@pytest.mark.parametrize("number", [0, -1, 2.5, 2**31, float("inf"), float("nan"), True, "2", None])
def test_nothing_else_does(number: Any) -> None:
    with pytest.raises(InvalidRequest):
        Alias.from_document({"revision": number})
