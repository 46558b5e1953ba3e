"""Numbers that only YAML can say, in an override."""

import math

import pytest

from service.domain.quotas import check_override
from service.errors import InvalidRequest


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_no_finite_number_is_one_problem(value: float) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_override({"runs_per_minute": value})
    assert [problem.path for problem in refused.value.problems] == ["runs_per_minute"]
