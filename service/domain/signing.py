"""Signatures of callbacks: who receives one can tell that it is from here, about this workspace, and not an old one.

`skep-signature: t=<unix seconds>,v1=<hex>`, where the second is the HMAC-SHA256 (RFC 2104) of `<t>.<body>` with the
workspace's secret. That is derived from the service's, which no tenant has: none can sign for another.
"""

import hashlib
import hmac
from typing import Final

HEADER: Final = "skep-signature"


def secret_of(secret: bytes, workspace: str) -> str:
    """What a workspace's callbacks are signed with."""
    return "whsec_" + hmac.new(secret, f"webhook:{workspace}".encode(), hashlib.sha256).hexdigest()


def sign(secret: str, body: bytes, *, now_s: int) -> str:
    """The header's value."""
    digest = hmac.new(secret.encode(), b"%d." % now_s + body, hashlib.sha256).hexdigest()
    return f"t={now_s},v1={digest}"
