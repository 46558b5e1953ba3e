"""Lines of the audit log about who has read something: many in one transaction, each on disk before its answer.

Reading is for many to do, as often as they like: were each line a transaction, whoever writes would wait for them all.
"""

from collections.abc import Sequence

from service.database import audit
from service.database.audit import Actor, Entry
from service.database.database import Writing
from service.database.group_commit import GroupCommit


async def note(
    group: GroupCommit, actor: Actor, action: str, *, workspace: str | None = None, subject: str | None = None
) -> None:
    """It is on disk when this returns. Raises: DatabaseUnavailable; nothing may be told then."""
    await group.do(_append, Entry(actor, action, workspace, subject))


async def _append(write: Writing, entries: Sequence[Entry]) -> Sequence[None]:
    await audit.append_all(write, entries)
    return [None] * len(entries)
