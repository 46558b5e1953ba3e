"""Loads, before the first fork, all that the standard library would otherwise load when it is first used.

A worker cannot name a file, so that an `import` inside a function, a codec, a zone or a digest that was not loaded
before does not exist for it. What is loaded here is shared by all workers and costs each of them nothing.
"""

import contextlib
import encodings
import hashlib
import hmac
import importlib
import importlib.util
import os
import pkgutil
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from sandbox.python.module_tables import DEFAULT_MODULES, offered_modules
from sandbox.python.nested_imports import nested_imports
from sandbox.python.words import words
from sandbox.python.zones import keep_zones

LAZY: Final = words("_strptime _pylong _pydecimal _md5 _sha1 _sha2 _sha256 _sha512 _sha3 _suggestions unicodedata")
"""What the default modules import when they are first used, as far as this Python has it.

C code imports some of these, where no scan sees it: `datetime` the first, `int` (for numbers of many digits) the
second, `decimal` (for some formats) the third.
"""

NEVER_FOLLOWED: Final = frozenset(
    words("""
    antigravity argparse asyncio.__main__ bdb cProfile code ctypes distutils doctest ensurepip getopt idlelib lib2to3
    multiprocessing optparse pdb pip pstats pydoc pydoc_data pytest readline rlcompleter setuptools sitecustomize test
    tests this tkinter turtle turtledemo unittest usercustomize venv webbrowser
    """)
)
"""What a module of the operator's may import inside a function and no tenant needs: it starts programs, debugs, tests
or draws, and pulls in the world."""


def load_library(allowed: Collection[str]) -> None:
    """Load the default modules, the allowed ones, and what they ask for later. Raises: ImportError.

    For the process that workers are forked from; done again, it changes nothing.
    """
    use_utc()
    for name in offered_modules(DEFAULT_MODULES):
        importlib.import_module(name)
    for name in LAZY:
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)
    for name in offered_modules(allowed):
        _load_with_nested(name)
    load_codecs()
    load_digests()
    keep_zones()
    if "mimetypes" in sys.modules:
        # It reads the system's tables when it is first asked.
        sys.modules["mimetypes"].init()


def use_utc() -> None:
    """Make local time UTC, whatever this machine has: a worker could not read its zone, and nobody is told where it is.

    Past `os.environ`, so that a worker that empties it keeps this.
    """
    os.putenv("TZ", "UTC0")
    time.tzset()


def load_codecs() -> None:
    """Load every codec, those in C for Chinese, Japanese and Korean included (3 MiB, 20 ms)."""
    for module in pkgutil.iter_modules(encodings.__path__):
        with contextlib.suppress(ImportError):  # those of Windows exist only there
            importlib.import_module(f"encodings.{module.name}")


def load_digests() -> None:
    """Use every digest once: OpenSSL reads its configuration and fetches each algorithm when it is first asked."""
    for name in sorted(hashlib.algorithms_available):
        with contextlib.suppress(ValueError):  # OpenSSL lists what its configuration then refuses
            hashlib.new(name, b"", usedforsecurity=False)
            hmac.digest(b"key", b"", name)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 1)
    if hasattr(hashlib, "scrypt"):
        hashlib.scrypt(b"", salt=b"", n=2, r=1, p=1)


def _load_with_nested(name: str) -> None:
    """Import a module and, for all that came with it, what its functions would import: one level deep."""
    before = set(sys.modules)
    importlib.import_module(name)
    home = name.partition(".")[0]
    for came in sys.modules.keys() - before:
        if not _is_never_followed(came):
            for wanted in _followed(nested_imports(sys.modules[came]), home=home):
                # A nested import may be meant to fail, with anything, on this machine; what needs it will say so.
                with contextlib.suppress(Exception):
                    importlib.import_module(wanted)


def _followed(names: Iterable[str], *, home: str) -> Iterator[str]:
    """Of these, what is not loaded and belongs to the standard library or to the package that asks."""
    for name in names:
        root = name.partition(".")[0]
        is_near = root == home or root in sys.stdlib_module_names
        if is_near and name not in sys.modules and not _is_never_followed(name):
            yield name


def _is_never_followed(name: str) -> bool:
    return not NEVER_FOLLOWED.isdisjoint({name, *name.split(".")})
