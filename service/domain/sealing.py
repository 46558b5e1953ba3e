"""Encryption of secrets at rest: AES-256-GCM (NIST SP 800-38D), with what a value belongs to authenticated beside it.

Not Fernet, which has no associated data: whoever can write to the database could give a workspace the secrets of
another one by copying a row.
"""

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
OVERHEAD_BYTES: Final = NONCE_BYTES + 16
_HEX_CHARACTERS: Final = 64


class CannotUnseal(Exception):
    """These bytes were not sealed with this key for this place."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key, and what it is called beside what it has encrypted."""

    content: bytes = field(repr=False)

    @property
    def id(self) -> str:
        """Tells keys apart, and nothing about them."""
        return hashlib.sha256(b"skep secrets key\0" + self.content).hexdigest()[:16]

    def written(self) -> str:
        """As `parse_key` reads it."""
        return base64.urlsafe_b64encode(self.content).decode()


@dataclass(frozen=True, slots=True)
class Place:
    """What a value belongs to."""

    workspace: str
    name: str
    version: str

    @property
    def written(self) -> bytes:
        """None of the three can hold what is between them."""
        return f"skep secret 1\0{self.workspace}\0{self.name}\0{self.version}".encode()


def new_key() -> Key:
    """A key that nobody has had before."""
    return Key(secrets.token_bytes(KEY_BYTES))


def parse_key(text: str) -> Key:
    """A key in base64 or hex. Raises: ValueError, which says nothing of the text."""
    problem = f"must be {KEY_BYTES} bytes in base64 or hex"
    try:
        if len(text) == _HEX_CHARACTERS:
            content = bytes.fromhex(text)
        else:
            padded = text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4)
            content = base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)
    except (ValueError, binascii.Error):
        raise ValueError(problem) from None
    if len(content) != KEY_BYTES:
        raise ValueError(problem)
    return Key(content)


def seal(key: Key, place: Place, value: str) -> bytes:
    """A value, encrypted."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key.content).encrypt(nonce, value.encode(), place.written)


def unseal(key: Key, place: Place, sealed: bytes) -> str:
    """The value. Raises: CannotUnseal."""
    try:
        return AESGCM(key.content).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.written).decode()
    except (InvalidTag, ValueError):
        raise CannotUnseal from None
