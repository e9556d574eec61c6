"""Batches of messages read as columns, against the same read one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.interfaces.cdr import ImuWriter, JointStateReader, JointStateWriter, RawJointState, read_imu
from humanoid_rl_ros.interfaces.cdr_batch import JointStateBatch, read_imus, read_joint_states

rows = st.lists(
    st.tuples(st.integers(0, 2**40), st.sampled_from(["", "ACTIVE", "standby"]), st.sampled_from("xy"), st.floats()),
    min_size=1,
    max_size=9,
)
garbage = st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=30)), max_size=3)


def written(stamp_ns: int, frame: str, shape: str, value: float) -> bytes:
    if shape == "x":
        return JointStateWriter(["hip", "knee"], ["position"]).write(stamp_ns, frame, np.array([value, 1.0]))
    return JointStateWriter(["arm"], ["velocity", "effort"]).write(stamp_ns, frame, np.array([2.0]), np.array([value]))


def spread(batches: list[JointStateBatch]) -> list[tuple[object, ...]]:
    return [
        (
            int(row),
            int(b.stamp_ns[i]),
            b.frame_id,
            b.name,
            *(a[i].tobytes() for a in (b.position, b.velocity, b.effort)),
        )
        for b in batches
        for i, row in enumerate(b.rows)
    ]


def one_by_one(messages: list[bytes], readable: list[int]) -> list[tuple[object, ...]]:
    found = []
    for row in readable:
        raw: RawJointState = JointStateReader().read(messages[row])
        arrays = (raw.position.tobytes(), raw.velocity.tobytes(), raw.effort.tobytes())
        found.append((row, raw.stamp_ns, raw.frame_id, tuple(raw.name), *arrays))
    return found


@given(rows, garbage)
def test_joint_states_of_any_mixture(
    values: list[tuple[int, str, str, float]], spoilt: list[tuple[int, bytes]]
) -> None:
    messages = [written(*value) for value in values]
    bad = {}
    for place, data in spoilt:
        bad[place % len(messages)] = data[:3] + b"\xff" + data[4:]  # no encapsulation that is read
    mixed = [b"\x00\x09" + bad[i] if i in bad else raw for i, raw in enumerate(messages)]
    readable = [i for i in range(len(messages)) if i not in bad]
    assert spread(read_joint_states(mixed, JointStateReader())) == one_by_one(mixed, readable)


def test_alike_messages_are_one_batch() -> None:
    messages = [written(i, "ACTIVE", "x", float(i)) for i in range(100)]
    (batch,) = read_joint_states(messages, JointStateReader())
    assert batch.position[:, 0].tolist() == list(range(100))
    assert batch.stamp_ns.tolist() == list(range(100))
    assert batch.velocity.shape == (100, 0)


@given(st.lists(st.tuples(st.integers(0, 2**40), st.floats()), min_size=1, max_size=6), st.integers(-1, 6))
def test_imus_with_one_that_is_cut_off(values: list[tuple[int, float]], cut: int) -> None:
    writer = ImuWriter("imu")
    messages = [writer.write(stamp, np.full(4, value), np.ones(3), np.zeros(3)) for stamp, value in values]
    if 0 <= cut < len(messages):
        messages[cut] = messages[cut][:100]
    readable = [i for i in range(len(messages)) if i != cut]
    batch = read_imus(messages)
    assert batch.rows.tolist() == readable
    assert batch.stamp_ns.tolist() == [values[i][0] for i in readable]
    assert batch.numbers.tobytes() == b"".join(read_imu(messages[i]).numbers.tobytes() for i in readable)
