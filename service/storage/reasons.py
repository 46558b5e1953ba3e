"""Why something on the volume cannot be used, in words for whoever asked for it."""

import errno
from typing import Final

from service.errors import Problem, VolumeUnavailable

PROBLEMS_SHOWN: Final = 3

NOT_THE_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EBADF})
"""These say something about this process or machine, not about the files of one workspace."""
_REASONS: Final = {
    errno.ELOOP: "it is a symbolic link",
    errno.ENXIO: "it is not a regular file",
    errno.ENOTDIR: "its folder is not a folder (a symbolic link to one is not followed)",
}


def reason_of(error: OSError) -> str:
    """Of a file that is no file as it should be."""
    return _REASONS.get(error.errno or 0) or f"{error.strerror or error}"


def unreadable(error: OSError) -> VolumeUnavailable:
    """Of the whole volume."""
    return VolumeUnavailable(f"The volume cannot be read: {error.strerror or error}.")


def summary_of(problems: list[Problem]) -> str:
    """Of a definition in which something is wrong."""
    shown = "; ".join(f"{problem.path} {problem.message}".strip() for problem in problems[:PROBLEMS_SHOWN])
    return shown if len(problems) <= PROBLEMS_SHOWN else f"{shown}; and {len(problems) - PROBLEMS_SHOWN} more"
