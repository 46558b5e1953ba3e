"""How what is limited for everybody is shared, so that a greedy one cannot have it all."""


def fair_share(own: int, free: int) -> bool:
    """Whether who has `own` of something may have one more while `free` are left: up to as much as is left.

    The dynamic threshold of shared packet buffers (Choudhury and Hahne, 1998). One alone gets half, n greedy ones
    get an n + 1st each as what they have comes back: there is room for the next, however many there are.
    """
    return own <= free > 0
