"""Ports of apps: the last one again, and never one of another process of tests."""

from tests.support.harness import Ports


def test_the_port_given_back_last_comes_first_and_others_have_ports_of_their_own() -> None:
    ours, theirs = Ports(), Ports()
    first, second = ours.take(), ours.take()
    assert len({first, second, theirs.take(), theirs.take()}) == 4
    ours.give_back(second)
    ours.give_back(first)
    assert [ours.take(), ours.take()] == [first, second]
