from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from conftest import Refuses

from humanoid_rl_ros.core.errors import BagError
from humanoid_rl_ros.nodes.player_feed import BATCH, ReadAhead


@pytest.mark.parametrize("length", [0, 1, BATCH, 10 * BATCH + 1])
def test_every_item_comes_once_and_in_order(length: int) -> None:
    feed = ReadAhead(iter(range(length)))
    assert list(feed) == list(range(length))
    feed.close()


def test_what_the_source_raises_comes_to_who_waits(refuses: Refuses) -> None:
    def source() -> Iterator[int]:
        yield from range(BATCH)
        raise BagError("the file is torn")

    feed = ReadAhead(source())
    with refuses(BagError, "torn"):
        list(feed)
    feed.close()


def test_an_endless_source_can_be_closed_and_is_read_no_more() -> None:
    numbers = count()
    feed = ReadAhead(numbers)
    assert next(iter(feed)) == 0
    feed.close()
    reached = next(numbers)
    assert next(numbers) == reached + 1
