"""A zygote without the jail: its workers give up what they gave up before there was one, and nothing more.

No namespaces, no ids, no capabilities, no Landlock, no seccomp, no niceness. For `bench.jail`; started by
`bench.with_zygote`.
"""

from typing import Final

from sandbox import zygote
from sandbox.jail.jail import Jail
from sandbox.jail.lockdown import (
    Cell,
    Step,
    close_descriptors,
    empty_environment,
    forbid_new_privileges,
    leave_group,
    limit_resources,
    reset_signals,
)
from sandbox.protocol import Layer

STEPS: Final[tuple[Step, ...]] = (
    leave_group,
    reset_signals,
    empty_environment,
    close_descriptors,
    limit_resources,
    forbid_new_privileges,
)


class NoJail(Jail):
    """Nothing is entered, so nothing is there: the level is `none`, and the last step finds no filter to install."""

    @property
    def layers(self) -> list[Layer]:
        return []

    def enter(self, service_pid: int) -> None:
        pass


def lock_down(cell: Cell) -> None:
    """In place of the product's."""
    for step in STEPS:
        step(cell)


if __name__ == "__main__":
    # Through the namespace: a type checker knows classes and functions of a module as what cannot be replaced.
    vars(zygote).update(Jail=NoJail, lock_down=lock_down)
    zygote.main()
