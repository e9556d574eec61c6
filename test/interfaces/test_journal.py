"""The journal's serialised form: what goes in comes out, and what is damaged is refused."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.journal import BEGIN, KEY, SAID, SPOKEN, JournalEntry, JournalWriter, read_batch

kinds = st.integers(0, 255)
times = st.integers(-(2**63), 2**63 - 1)


@given(st.lists(st.tuples(kinds, times, st.binary(max_size=50)), min_size=1, max_size=20), times, times)
def test_a_batch_is_read_as_it_was_written(
    entries: list[tuple[int, int, bytes]], wall_ns: int, monotonic_ns: int
) -> None:
    writer = JournalWriter(7)
    for entry in entries:
        writer.add(*entry)
    batch = read_batch(writer.take(wall_ns, monotonic_ns))
    assert (batch.incarnation, batch.first, batch.wall_ns, batch.monotonic_ns) == (7, 0, wall_ns, monotonic_ns)
    assert list(batch.entries) == entries
    assert writer.take(0, 0) == b""
    writer.add(KEY, 1, b"x")
    assert read_batch(writer.take(0, 0)).first == len(entries)


def test_the_layout_is_the_one_of_recorded_journals() -> None:
    writer = JournalWriter(3)
    writer.add(3, 5, b"ab")
    writer.said(topics.JOINT_COMMAND, 6, b"effort")
    assert writer.size == 2 * 13 + 2 + 4
    assert writer.take(1, 2) == (
        b"HRJ1"
        + struct.pack("<QQqqI", 3, 0, 1, 2, 2)
        + struct.pack("<BqI", 3, 5, 2)
        + b"ab"
        + struct.pack("<BqI", 128 + 3, 6, 4)
        + struct.pack("<I", crc32(b"effort"))
    )
    assert (KEY, BEGIN, SAID) == (64, 65, 128)
    assert [topic.name for topic in SPOKEN] == [
        *("policy/joint_effort", "policy/observation", "policy/action"),
        *("joint_effort_controller/commands", "safety/status"),
    ]


def test_an_entry_says_what_it_is() -> None:
    assert JournalEntry(3, 0, b"").said_on is None
    assert JournalEntry(SAID + 1, 0, b"").said_on is topics.POLICY_OBSERVATION
    assert JournalEntry(SAID, 0, struct.pack("<I", 9)).digest == 9
    with pytest.raises(StateError, match="kind 200"):
        _ = JournalEntry(200, 0, b"").said_on
    with pytest.raises(StateError, match="digest"):
        _ = JournalEntry(SAID, 0, b"abc").digest


def _written() -> bytes:
    writer = JournalWriter(1)
    writer.add(3, 5, bytes(40))
    return writer.take(0, 0)


@pytest.mark.parametrize("cut", [0, 3, 4, 20, 39, 40, 46, 60, 92])
def test_a_batch_that_is_cut_off_is_refused(refuses: Any, cut: int) -> None:
    with refuses(StateError, "no journal of this version" if cut < 4 else "cut off"):
        read_batch(_written()[:cut])


def test_another_version_is_refused_by_name(refuses: Any) -> None:
    with refuses(StateError, "HRJ9"):
        read_batch(b"HRJ9" + _written()[4:])


@given(st.binary(max_size=200))
def test_nothing_wild_is_anything_but_refused_or_read(data: bytes) -> None:
    for wild in (data, _written()[:40] + data, b"HRJ1" + data):
        with suppress(StateError):
            read_batch(wild)
