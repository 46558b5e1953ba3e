"""Settings of who gets in."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from service.settings.declaring import setting
from service.settings.values import one_of, whole

Auth = Literal["auto", "on", "off"]

ADMIN_KEY_MIN: Final = 24
_ADMIN_KEY: Final = re.compile(rf"[A-Za-z0-9._~+/-]{{{ADMIN_KEY_MIN - 2},510}}={{0,2}}", re.ASCII)
"""What a Bearer token is made of (RFC 6750, section 2.1), without the colon that ends a user name in HTTP Basic."""


def parse_admin_key(text: str) -> str:
    if len(text) < ADMIN_KEY_MIN or _ADMIN_KEY.fullmatch(text) is None:
        raise ValueError(
            f"must have {ADMIN_KEY_MIN} to 512 characters, of letters, digits and . _ ~ + / - only; "
            "`openssl rand -hex 32` prints a good one"
        )
    return text


@dataclass(frozen=True, kw_only=True)  # without slots: of several bases only one may have some
class AccessSettings:
    """Whether callers need keys, and the one key that needs no database."""

    auth: Auth = setting(  # noqa: RUF009 (makes a field; the value is immutable)
        "auto",
        env="AUTH",
        parse=one_of("auto", "on", "off"),
        doc="whether callers need a key; auto is on as soon as there is one, and until then only this machine comes in",
    )
    admin_key: str = setting(
        "",
        env="ADMIN_KEY",
        parse=parse_admin_key,
        is_secret=True,
        doc="a key that may do everything, to make the others with",
    )
    auth_failures_max: int = setting(
        60,
        env="AUTH_FAILURES_MAX",
        parse=whole(1, 1_000_000),
        unit="a minute",
        doc="bad keys from one address (IPv6: one /64) that are answered with 401; the next is a 429",
    )
