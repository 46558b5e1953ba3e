"""Bad keys, counted by address: a token bucket for each, and no more of them than fit."""

import math
import time
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address
from typing import Final

from service.errors import TooManyBadKeys

ADDRESSES_MAX: Final = 10_000
"""The address that was counted longest ago is forgotten first."""
_NETWORK_BITS: Final = 64
"""What one subscriber has of IPv6."""


class Failures:
    """Of each address so many a minute are answered as what they are. Good keys never come here."""

    def __init__(self, *, per_minute: int) -> None:
        self._most = float(per_minute)
        self._per_s = per_minute / 60
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """How many an address has left, and when that was so."""

    def count(self, address: str) -> None:
        """One more. Raises: TooManyBadKeys, with the time until the next one."""
        subscriber, now = subscriber_of(address), time.monotonic()
        left, since = self._left.pop(subscriber, (self._most, now))
        left = min(self._most, left + (now - since) * self._per_s)
        is_over = left < 1
        self._left[subscriber] = (left if is_over else left - 1, now)
        if len(self._left) > ADDRESSES_MAX:
            self._left.popitem(last=False)
        if is_over:
            raise TooManyBadKeys(retry_after_s=math.ceil((1 - left) / self._per_s))


def subscriber_of(address: str) -> str:
    """Who is behind an address: an IPv4 address, the /64 of an IPv6 one, or the text itself if it is neither."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Address(int(parsed) >> _NETWORK_BITS << _NETWORK_BITS))
