"""Settings of secrets."""

from dataclasses import dataclass

from service.domain.sealing import Key, parse_key
from service.settings.declaring import setting


def parse_keys(text: str) -> tuple[Key, ...]:
    """Keys with commas between them."""
    return tuple(parse_key(part) for given in text.split(",") if (part := given.strip()))


@dataclass(frozen=True, kw_only=True)  # without slots: of several bases only one may have some
class SecretSettings:
    """What secrets are encrypted with."""

    secrets_keys: tuple[Key, ...] = setting(
        (),
        env="SECRETS_KEY",
        parse=parse_keys,
        shown="",
        is_secret=True,
        doc="comma list of keys of secrets, each 32 bytes in base64 or hex: the first encrypts, all decrypt",
    )
