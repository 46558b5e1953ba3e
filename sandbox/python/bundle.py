"""What was compiled, kept: a cold start loads instead of compiling.

A bundle is a SHA-256 and a marshalled dict of code objects. The hash covers the payload and everything it depends on:
the definition, the modules that may be imported, the interpreter, and the source of this package. A bundle that does
not fit in all of that is ignored. The hash is no signature: who can write the file can write any code, so a bundle is
only ever loaded inside the worker of the workspace that made it.
"""

import hashlib
import importlib.metadata
import importlib.util
import marshal
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from types import CodeType
from typing import Final

from sandbox.version import __version__

_DIGEST_BYTES: Final = hashlib.sha256().digest_size


def _fingerprint() -> bytes:
    digest = hashlib.sha256(importlib.util.MAGIC_NUMBER)
    for text in (repr(sys.implementation), __version__, importlib.metadata.version("RestrictedPython")):
        digest.update(text.encode() + b"\0")
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.digest()


FINGERPRINT: Final = _fingerprint()
"""Of the policy and the interpreter. Read at import, once, in the zygote: a worker cannot read files."""


def _digest(definition: bytes, payload: bytes, modules: Collection[str]) -> bytes:
    digest = hashlib.sha256(FINGERPRINT)
    for part in (definition, ",".join(sorted(modules)).encode(), payload):
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.digest()


def pack(definition: bytes, codes: Mapping[str, CodeType], *, modules: Collection[str] = ()) -> bytes:
    """A bundle of the code of every function of a definition."""
    payload = marshal.dumps(dict(codes))
    return _digest(definition, payload, modules) + payload


def unpack(bundle: bytes, definition: bytes, *, modules: Collection[str] = ()) -> dict[str, CodeType] | None:
    """The code in a bundle, or None if it was made from anything else than what is here now."""
    digest, payload = bundle[:_DIGEST_BYTES], bundle[_DIGEST_BYTES:]
    if len(digest) != _DIGEST_BYTES or digest != _digest(definition, payload, modules):
        return None
    # The payload is what `pack` made, byte for byte.
    codes: dict[str, CodeType] = marshal.loads(payload)  # noqa: S302 - see above
    return codes
