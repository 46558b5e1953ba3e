"""A key that somebody has given something as its name is in no line of the log."""

import io
from collections.abc import Iterator
from typing import Literal

import pytest
import structlog

from service import logs
from service.domain.keys import mint


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)
    logs._lines.sink = None


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_line_has_a_key(log_format: Literal["json", "console"]) -> None:
    stream = io.StringIO()
    logs.configure(log_format, "info", stream)
    minted = mint()
    structlog.get_logger().info("deployed", workspace=minted.key, reason=f"é {minted.key}")
    logs.write_lines(f'{{"workspace":"{minted.key}"}}\n'.encode())
    assert f"sk_{minted.id}_..." in stream.getvalue()
    assert minted.key not in stream.getvalue()
