"""How the text of a setting becomes its value. Each raises ValueError with what the value must be."""

import re
import sys
from collections.abc import Callable
from typing import Final

from service.domain.egress import Rules, parse_rules

MEGABYTE: Final = 2**20
_SIZE_UNITS: Final = {"": 1, "b": 1, "kb": 2**10, "mb": 2**20, "gb": 2**30}
_SIZE_MAX: Final = 2 * 2**30  # the length of a frame has 32 bits, and a message is more than its largest value
_SIZE: Final = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?) *(b|kb|mb|gb)?", re.ASCII | re.IGNORECASE)
_WHOLE: Final = re.compile(r"[0-9]{1,15}", re.ASCII)
_HOST: Final = re.compile(r"[^\s\x00-\x20\x7f]+")
_TRUE: Final = frozenset({"yes", "true", "1", "on"})
_FALSE: Final = frozenset({"no", "false", "0", "off"})


def parse_text(text: str) -> str:
    if _HOST.fullmatch(text) is None:
        raise ValueError("must be a name or an address, without blanks")
    return text


def whole(least: int, most: int, *, factor: int = 1) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if _WHOLE.fullmatch(text) is None or not least <= int(text) <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text) * factor

    return parse


def parse_size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    size = int(float(match[1]) * _SIZE_UNITS[(match[2] or "").lower()]) if match is not None else 0
    if not 1 <= size <= _SIZE_MAX:
        raise ValueError('must be a size up to 2gb, such as "500kb" or "1.5mb", or a number of bytes')
    return size


def parse_size_or_none(text: str) -> int:
    """A size, or 0 for no limit."""
    return 0 if text.strip() == "0" else parse_size(text)


def parse_flag(text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise ValueError("must be yes or no")
    return text.lower() in _TRUE


def one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return text.lower()

    return parse


def parse_modules(text: str) -> tuple[str, ...]:
    names = dict.fromkeys(name for part in text.split(",") if (name := part.strip()))
    if not names or not all(part.isidentifier() for name in names for part in name.split(".")):
        raise ValueError("must be names of modules, with commas between them")
    unknown = [name for name in names if name.partition(".")[0] not in sys.stdlib_module_names]
    if unknown:
        raise ValueError(f"must be names of standard modules, which {', '.join(unknown)} is not")
    return tuple(names)


def egress_rules(text: str) -> Rules:
    return parse_rules(rule for part in text.split(",") if (rule := part.strip()))


ONE_YEAR_S: Final = 366 * 24 * 3600
parse_milliseconds: Final = whole(1, ONE_YEAR_S * 1000)
