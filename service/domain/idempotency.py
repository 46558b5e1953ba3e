"""What an answer that is given more than once consists of, and what it is known by."""

import hashlib
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

_VISIBLE: Final = re.compile(r"[\x21-\x7e]{1,255}")
_QUOTED: Final = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')
DAY_MS: Final = 24 * 3600 * 1000


class Answer(msgspec.Struct, frozen=True):
    """A response, as it is kept."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_kept: bool = True
    """Whether it is the answer for whoever asks again; not that of a run that never began."""


class Place(NamedTuple):
    """Whose key it is: each caller has keys of its own, in each workspace."""

    workspace: str
    caller: str
    """The id of its key."""
    key: str


class Claim(msgspec.Struct, frozen=True):
    """What is asked for with a key."""

    place: Place
    fingerprint: bytes
    """Of everything else that makes the request what it is."""
    run_id: str
    is_job: bool
    """Whether it is accepted now and run later."""


def parse_key(text: str) -> str:
    """The key in a header: 1 to 255 visible characters, or the same as a string of RFC 8941. Raises: ValueError."""
    quoted = _QUOTED.fullmatch(text)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted is not None else text
    if _VISIBLE.fullmatch(key) is None:
        raise ValueError("must have 1 to 255 visible ASCII characters, with quotation marks around them or without")
    return key


def fingerprint(*parts: str | bytes) -> bytes:
    """Tells requests apart."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(b"%d:" % len(data))
        digest.update(data)
    return digest.digest()
