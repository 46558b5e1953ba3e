"""A row of the surface; the table itself is in `routes`."""

from typing import NamedTuple

from service.domain.access import Need
from service.http.edge import Handler


class Route(NamedTuple):
    """One row of the surface."""

    method: str
    path: str
    handler: Handler
    needs: Need
    """What its caller must be allowed to do: in the workspace of the path, or everywhere if the path has none."""
    is_filtered: bool = False
    """Without a workspace in its path, it shows each caller what that one covers."""
