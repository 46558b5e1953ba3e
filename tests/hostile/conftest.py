"""Fixtures of the hostile suite."""

from collections.abc import Iterator

import pytest

pytest.register_assert_rewrite("tests.hostile.rig", "tests.hostile.witnesses")

from tests.hostile.rig import Rig, running_rig  # noqa: E402  # after what makes its assertions speak


@pytest.fixture(scope="session")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One Skep for all programs; what must hold after all of them is checked when it ends."""
    with running_rig(tmp_path_factory.mktemp("hostile")) as running:
        yield running
