"""How long a measurement lasts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line decides; everything else is fixed so that figures of two runs can be compared."""

    rounds: int
    seconds: float
    """Length of one round of load, without its warm-up."""
    workspace_counts: tuple[int, ...]
    cold_starts: int
    """In each round."""
    idle_workers: int
    attack_rounds: int
    """Of each attacker."""
    fetches: int
    """In each round, 16 at once; half as many one after the other."""
    peer_rounds: int
    peer_starts: int
    overload_rounds: int
    fairness_rounds: int
    parallel_rounds: int
