"""Settings of revisions."""

from dataclasses import dataclass

from service.settings.declaring import setting
from service.settings.values import whole


@dataclass(frozen=True, kw_only=True)  # no slots: two bases with slots cannot be mixed
class RevisionSettings:
    """What is kept of what was deployed."""

    revisions_max: int = setting(
        100,
        env="REVISIONS_MAX",
        parse=whole(1, 1_000_000),
        unit="revisions",
        doc="kept of a workspace: the newest, and what is live or named by an alias",
    )
    revisions_deleted_max: int = setting(
        100,
        env="REVISIONS_DELETED_MAX",
        parse=whole(0, 1_000_000),
        unit="workspaces",
        doc="that were deleted, the last ones, and can be brought back",
    )
