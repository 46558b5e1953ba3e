"""Writing families out, a little at a time: to write everything at once would hold the loop for some milliseconds."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

PIECE_SAMPLES: Final = 50
"""Half a millisecond in the slowest of the formats."""

_END: Final = b"# EOF\n"
"""What closes the whole in one of the formats, and therefore also each piece."""
_HEAD_LINES: Final = 2
"""HELP and TYPE; no family here has a unit."""
_VERSION: Final = re.compile(r"version=(0\.0\.[0-9]|1\.0\.0)", re.ASCII)


class _One(Collector):
    """A single family, as an encoder takes it."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        return [self._family]


def encoded(encode: Callable[[Collector], bytes], families: Sequence[Metric]) -> Iterator[bytes]:
    """What `encode` makes of all families, in pieces."""
    end = b""
    for family in families:
        samples = family.samples
        for start in range(0, max(len(samples), 1), PIECE_SAMPLES):
            family.samples = samples[start : start + PIECE_SAMPLES]
            piece = encode(_One(family))
            if piece.endswith(_END):
                piece, end = piece.removesuffix(_END), _END
            yield piece.split(b"\n", _HEAD_LINES)[_HEAD_LINES] if start else piece
    yield end


def understood(accept: str) -> str:
    """What an `Accept` header asks for in versions that there are.

    prometheus-client repeats any other in its content type, and breaks on those that are no numbers.
    """
    entries = [entry.replace(" ", "").replace('"', "") for entry in accept.split(",")]
    return ",".join(entry for entry in entries if "version" not in entry or _known(entry))


def _known(entry: str) -> bool:
    return all(_VERSION.fullmatch(part) for part in entry.split(";") if part.startswith("version"))
