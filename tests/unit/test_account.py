"""What the pools of one workspace have together."""

from dataclasses import dataclass

from service.workers.account import Account


@dataclass
class Pool:
    """As much of one as an account looks at."""

    workers: list[object]
    is_busy: bool
    waited_s: float = 0.0

    def dispatch(self) -> None:
        """There is nothing to begin."""


def test_workers_of_other_revisions_count_while_they_are_in_use() -> None:
    account = Account("w")
    account.pools |= {
        "w": Pool([object()], is_busy=True),
        "w@1": Pool([object(), object()], is_busy=True),
        "w@2": Pool([object()], is_busy=False),
    }
    assert account.workers == 4
    assert account.workers_beside("w") == 2
    assert account.workers_beside("w@1") == 1
