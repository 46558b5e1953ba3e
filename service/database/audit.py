"""The audit log: who changed what, written in the transaction that changes it."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from service.database.database import Writing
from service.domain.times import now_ms


class Actor(NamedTuple):
    """Who does something."""

    name: str
    """Of the key; `anonymous` where access is open."""
    address: str
    """Of the connection; empty for the command line."""


async def append(  # noqa: PLR0913  # who, what, to what
    write: Writing,
    actor: Actor,
    action: str,
    *,
    workspace: str | None = None,
    subject: str | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add one line. `action` is `noun.verb`, as in `secret.set`; no secret is ever among the details."""
    await write.execute(
        "INSERT INTO audit (time_ms, key, address, action, workspace, subject, details) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            now_ms(), actor.name, actor.address, action, workspace, subject,
            None if details is None else orjson.dumps(details).decode(),
        ),
    )  # fmt: skip
