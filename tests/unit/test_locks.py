"""The locks between services on one volume."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.storage.locks import LOCKS, Lock


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def test_one_holds_it_and_others_do_not(root: int, tmp_path: Path) -> None:
    one, other, elsewhere = Lock("w"), Lock("w"), Lock("v")
    assert one.attempt(root)
    assert not other.attempt(root)
    assert elsewhere.attempt(root)
    one.release()
    one.release()
    assert other.attempt(root)
    assert [path.name for path in tmp_path.iterdir()] == [LOCKS]
    assert (tmp_path / LOCKS).stat().st_mode & 0o777 == 0o600


def test_who_waits_is_next_and_not_who_had_it_and_wants_it_again(root: int) -> None:
    greedy, modest, again = Lock("w"), Lock("w"), Lock("w")
    assert greedy.attempt(root)
    assert not modest.attempt(root)
    greedy.release()
    assert not again.attempt(root)
    assert modest.attempt(root)
    assert not again.attempt(root)
    modest.release()
    assert again.attempt(root)


def test_who_gives_up_waiting_is_in_nobodys_way(root: int) -> None:
    holder, waiting, last = Lock("w"), Lock("w"), Lock("w")
    assert holder.attempt(root)
    assert not waiting.attempt(root)
    waiting.release()
    holder.release()
    assert last.attempt(root)


def test_a_symbolic_link_in_its_place_is_not_followed(root: int, tmp_path: Path) -> None:
    (tmp_path / LOCKS).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        Lock("w").attempt(root)
    assert not (tmp_path / "elsewhere").exists()
