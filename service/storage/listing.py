"""Which workspaces there are. Blocks, and belongs in a thread."""

import os
from collections.abc import Callable

from service.domain.names import is_workspace_name
from service.storage import files


def workspace_names(
    definition: str, *, root: int, after: str | None, limit: int, only: Callable[[str], bool]
) -> tuple[list[str], bool]:
    """At most `limit` names of folders with such a file, in order, that come after `after` and pass `only`; and whether
    more follow. Raises: OSError.
    """
    # A descriptor of its own: listings of one descriptor share their position.
    with files.open_folder(".", parent=root) as folder, os.scandir(folder) as entries:
        folders = sorted(
            entry.name
            for entry in entries
            if is_workspace_name(entry.name) and entry.name > (after or "") and entry.is_dir(follow_symlinks=False)
        )
    found: list[str] = []
    for name in filter(only, folders):
        if files.exists(f"{name}/{definition}", folder=root):
            if len(found) == limit:
                return found, True
            found.append(name)
    return found, False
