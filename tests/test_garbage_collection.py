"""What is made to stay is not looked through by the garbage collector, which would stop the app."""

import gc

import pytest

from smart_support.garbage_collection import paused_garbage_collection, without_garbage_collection


def test_what_is_made_to_last_is_looked_through_neither_now_nor_later() -> None:
    try:
        with without_garbage_collection():
            assert not gc.isenabled()
            made = [[] for _ in range(1000)]
        assert gc.isenabled()
        assert gc.get_freeze_count() > 1000
        assert not any(one is made for one in gc.get_objects())
    finally:
        gc.unfreeze()


def test_after_a_start_that_failed_garbage_is_looked_for_again() -> None:
    try:
        with pytest.raises(OSError, match="no room"), without_garbage_collection():
            raise OSError("no room")
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def test_it_begins_again_when_the_last_of_several_users_ends() -> None:
    try:
        with without_garbage_collection():
            with without_garbage_collection():
                pass
            assert not gc.isenabled()
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def test_a_pause_keeps_nothing_from_later_collections() -> None:
    before = gc.get_freeze_count()
    with paused_garbage_collection():
        assert not gc.isenabled()
        made = [[] for _ in range(1000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() == before
    assert any(one is made for one in gc.get_objects())
