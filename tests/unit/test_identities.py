"""Which user ids workers are given, from what the machine has."""

import pytest

from sandbox.jail.identities import Identities, Unavailable, choose

EVERYTHING = [(0, 2**32 - 1)]


def test_on_a_whole_machine_they_lie_where_no_account_does() -> None:
    chosen = choose(EVERYTHING, EVERYTHING)
    # Above what systemd hands out, below what signed readers would take for negative.
    assert chosen.first > 1_879_048_191
    assert chosen.first + chosen.count < 2_147_352_576


def test_in_a_container_they_are_the_upper_half_of_what_it_was_given() -> None:
    chosen = choose([(0, 65536)], [(0, 65536)])
    assert chosen.first == 32768
    assert chosen.first + chosen.count <= 65534


def test_a_number_must_exist_for_users_and_for_groups() -> None:
    chosen = choose([(0, 1), (100_000, 65536)], [(110_000, 65536)])
    assert chosen.first >= 110_000
    assert chosen.first + chosen.count <= 165_536


@pytest.mark.parametrize("extents", [[], [(0, 1)], [(1000, 1), (2000, 100)]], ids=str)
def test_too_few_are_none(extents: list[tuple[int, int]]) -> None:
    with pytest.raises(Unavailable):
        choose(extents, extents)


def test_workers_have_ids_of_their_own_for_as_long_as_there_are_any() -> None:
    identities = Identities(1000, 500, offset=321)
    given = [identities.of(number) for number in range(500)]
    assert sorted(given) == list(range(1000, 1500))
    assert identities.of(500) == given[0]
