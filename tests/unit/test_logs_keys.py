"""A key that somebody has given something as its name is in no line of the log."""

import io
from typing import Literal

import pytest
import structlog

from service import logs
from service.domain.keys import mint

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_line_has_a_key(log_format: Literal["json", "console"]) -> None:
    stream = io.StringIO()
    logs.configure(log_format, "info", stream)
    minted = mint()
    structlog.get_logger().info("deployed", workspace=minted.key, reason=f"é {minted.key}")
    logs.write_lines(f'{{"workspace":"{minted.key}"}}\n'.encode())
    assert f"sk_{minted.id}_..." in stream.getvalue()
    assert minted.key not in stream.getvalue()
