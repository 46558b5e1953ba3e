"""How what is limited for everybody is shared, so that a greedy one cannot have it all."""

from typing import Final

_PER_FREE: Final = 8


def fair_share(own: int, free: int) -> bool:
    """Whether who has `own` of something may have one more while `free` are left.

    The dynamic threshold of shared packet buffers (Choudhury and Hahne, 1998): one alone gets nearly all, any number of
    greedy ones always leave some, and nothing has to be known about how many there are.
    """
    return own < _PER_FREE * free
