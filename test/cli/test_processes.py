"""Which ROS domain a demo or a benchmark takes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from humanoid_rl_ros.cli.processes import DOMAINS, FIRST_PORT, PORTS, busy_domains, domains_to_take


@pytest.fixture
def first_sixty() -> Iterator[range]:
    """The first sixty domains, in each of which somebody is."""
    with ExitStack() as stack:
        for domain in DOMAINS[:60]:
            there = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            there.bind(("127.0.0.1", FIRST_PORT + PORTS * domain + 249))
        yield DOMAINS[:60]


def test_domains_in_which_somebody_is_come_last(first_sixty: range) -> None:
    assert busy_domains().issuperset(first_sixty)
    for _ in range(20):
        found = domains_to_take()
        assert sorted(found) == list(DOMAINS)
        assert set(first_sixty).isdisjoint(found[: len(DOMAINS) - len(busy_domains())])
