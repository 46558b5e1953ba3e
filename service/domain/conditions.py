"""What a caller made a condition of its change (RFC 9110, section 13)."""

from dataclasses import dataclass

from service.errors import PreconditionFailed


@dataclass(frozen=True, slots=True)
class Conditions:
    """`If-Match` and `If-None-Match`: revisions, or "*" for any. None where the caller made no condition."""

    if_match: frozenset[str] | None = None
    if_none_match: frozenset[str] | None = None

    def check(self, revision: str | None) -> None:
        """Hold against the workspace as it is; `revision` is None when there is none. Raises: PreconditionFailed."""
        if self.if_match is not None and not _matches(self.if_match, revision):
            now = "does not exist" if revision is None else f"has the revision {revision}"
            raise PreconditionFailed(f"If-Match does not hold: the workspace {now}.")
        if self.if_none_match is not None and _matches(self.if_none_match, revision):
            raise PreconditionFailed(f"If-None-Match does not hold: the workspace has the revision {revision}.")


def _matches(wanted: frozenset[str], revision: str | None) -> bool:
    return revision is not None and ("*" in wanted or revision in wanted)
