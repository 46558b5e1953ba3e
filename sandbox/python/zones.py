"""The data of all time zones, kept in memory: `zoneinfo` reads it from files, which a worker has not.

The C code of `zoneinfo` asks `_tzpath.find_tzfile`, then `_common.load_tzdata`. The first finds nothing once the search
path is empty; the second is looked up in its module at each call. Source: Lib/zoneinfo, Modules/_zoneinfo.c (CPython).
"""

import importlib
import io
import zoneinfo
from pathlib import Path
from typing import Any, Final

_DATA: Final[dict[str, bytes]] = {}


def keep_zones() -> None:
    """Read every zone that `available_timezones()` names, from where `zoneinfo` itself would; then do without files.

    For this whole process, and for those forked from it. Done again, it changes nothing.
    """
    if _DATA:
        return
    common: Any = importlib.import_module("zoneinfo._common")
    paths: Any = importlib.import_module("zoneinfo._tzpath")
    # Many zones are names of one another.
    distinct: dict[bytes, bytes] = {}
    for key in sorted(zoneinfo.available_timezones()):
        path = paths.find_tzfile(key)
        if path is not None:
            data = Path(path).read_bytes()
        else:
            with common.load_tzdata(key) as file:
                data = file.read()
        _DATA[key] = distinct.setdefault(data, data)
    zoneinfo.reset_tzpath(to=())
    common.load_tzdata = _load
    zoneinfo.available_timezones = paths.available_timezones = _available


def _load(key: str) -> io.BytesIO:
    """`zoneinfo._common.load_tzdata`, which comes after a look at the key's form. Raises: ZoneInfoNotFoundError."""
    data = _DATA.get(key)
    if data is None:
        raise zoneinfo.ZoneInfoNotFoundError(f"No time zone found with key {key}")
    return io.BytesIO(data)


def _available() -> set[str]:
    return set(_DATA)
