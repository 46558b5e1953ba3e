"""Landlock: a worker may use no file, whatever else fails; and where the kernel knows how, no port, no abstract socket
and no signal to anybody outside its own domain. Each worker has a domain to itself, so that none may trace another.

Source: landlock(7). The ruleset is made once and has no rule: what is handled is refused.
"""

import struct
from typing import Final

from sandbox.jail import kernel

_FILES_BY_VERSION: Final = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many rights over files each version of the interface brought the total to."""
_NETWORK_FROM: Final = 4
_NETWORK: Final = 0b11  # bind and connect TCP
_SCOPES_FROM: Final = 6
_SCOPES: Final = 0b11  # abstract unix sockets, signals


def nothing_allowed() -> int:
    """A descriptor of a ruleset that handles all the kernel knows. Raises: OSError where there is no Landlock."""
    version = kernel.landlock_version()
    files = (1 << max(count for since, count in _FILES_BY_VERSION.items() if since <= version)) - 1
    attributes = struct.pack("=Q", files)
    if version >= _NETWORK_FROM:
        attributes += struct.pack("=Q", _NETWORK)
    if version >= _SCOPES_FROM:
        attributes += struct.pack("=Q", _SCOPES)
    return kernel.landlock_ruleset(attributes)
