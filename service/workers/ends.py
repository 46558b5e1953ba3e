"""Why a worker ends: a label to count it by, and a sentence for whoever lost a run by it."""

from typing import Final, NamedTuple

from service.metrics.tally import EndReason
from service.workers.child import WITH_ITS_ZYGOTE


class End(NamedTuple):
    """One reason."""

    label: EndReason
    sentence: str


EVICTED: Final = End("evicted", "it was evicted")
INACTIVE: Final = End("inactive", "it was inactive")
REPLACED: Final = End("replaced", "it was replaced")
SHRUNK: Final = End("shrunk", "there were more workers than needed")
DELETED: Final = End("deleted", "its workspace was deleted")
MALFORMED: Final = End("malformed", "the worker sent something that is no answer")
SHUTDOWN: Final = End("shutdown", "the service is going down")
LOAD_FAILED: Final = End("load_failed", "it could not be loaded")
DEPLOY_FAILED: Final = End("load_failed", "its deploy failed")
COMPILED: Final = End("compiled", "it was only there to compile")
OVERDUE: Final = End(
    "stuck", "another run of this workspace passed its deadline and could not be stopped without ending the worker"
)

ORPHANED: Final = End("crashed", WITH_ITS_ZYGOTE)
"""Nothing that its workspace did."""

NOT_LOCKED_IN: Final = End("crashed", "the worker could not be locked in")
"""The same: it never saw anything of it."""

CRASHES: Final = frozenset({"crashed", "stuck", "malformed"})
"""What the workspace's own code brings about."""


def is_crash(end: End) -> bool:
    """Whether the workspace's own code has brought this about, as far as anybody can tell."""
    return end.label in CRASHES and end not in {ORPHANED, NOT_LOCKED_IN}
