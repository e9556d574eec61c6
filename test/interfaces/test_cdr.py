"""Serialised messages read and written by hand, against what rclpy makes of them."""

from __future__ import annotations

import contextlib
import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy")

from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float32MultiArray

from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.core.joints import JointMatcher
from humanoid_rl_ros.interfaces import conversions, measurements
from humanoid_rl_ros.interfaces.cdr import (
    MOST_TEMPLATES,
    Float32ArrayWriter,
    ImuWriter,
    JointStateReader,
    JointStateWriter,
    read_imu,
)

pytestmark = pytest.mark.ros
SECOND = 1_000_000_000

any_stamp = st.integers(-(2**31) * SECOND, 2**31 * SECOND - 1)
# What DDS can carry: no zero inside, no half of a surrogate pair.
text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)
numbers = st.lists(st.floats(), max_size=5)


def same(left: object, right: object) -> bool:
    return np.array(left, dtype=np.float64).tobytes() == np.array(right, dtype=np.float64).tobytes()


@given(any_stamp, text, st.lists(text, max_size=5), numbers, numbers, numbers)
def test_any_joint_state_is_read_as_rclpy_reads_it(
    stamp_ns: int, frame: str, names: list[str], position: list[float], velocity: list[float], effort: list[float]
) -> None:
    message = JointState(name=names, position=position, velocity=velocity, effort=effort)
    message.header.stamp = conversions.ns_to_stamp(stamp_ns)
    message.header.frame_id = frame
    reader = JointStateReader()
    for _ in range(2):  # the second time the head is known
        raw = reader.read(serialize_message(message))
        assert (raw.stamp_ns, raw.frame_id, raw.name) == (stamp_ns, frame, names)
        assert same(raw.position, position)
        assert same(raw.velocity, velocity)
        assert same(raw.effort, effort)


@given(st.lists(st.tuples(text, st.lists(text, max_size=3), st.integers(0, 3)), min_size=2, max_size=6))
def test_a_reader_that_remembers_reads_like_one_that_does_not(messages: list[tuple[str, list[str], int]]) -> None:
    one = JointStateReader()
    for frame, names, count in messages:
        message = JointState(name=names, position=[1.0] * count)
        message.header.frame_id = frame
        data = serialize_message(message)
        known, fresh = one.read(data), JointStateReader().read(data)
        assert (known.frame_id, known.name, known.position.tolist()) == (frame, names, [1.0] * count)
        assert (fresh.frame_id, fresh.name, fresh.position.tolist()) == (frame, names, [1.0] * count)


@given(any_stamp, text, st.tuples(*[st.floats()] * 10), st.tuples(*[st.floats()] * 3))
def test_any_imu_message_is_read_as_rclpy_reads_it(
    stamp_ns: int, frame: str, values: tuple[float, ...], covariances: tuple[float, ...]
) -> None:
    message = Imu()
    message.header.stamp = conversions.ns_to_stamp(stamp_ns)
    message.header.frame_id = frame
    q, w, a = message.orientation, message.angular_velocity, message.linear_acceleration
    q.x, q.y, q.z, q.w, w.x, w.y, w.z, a.x, a.y, a.z = values
    message.orientation_covariance[0], message.angular_velocity_covariance[0] = covariances[:2]
    message.linear_acceleration_covariance[0] = covariances[2]
    raw = read_imu(serialize_message(message))
    assert raw.stamp_ns == stamp_ns
    assert same(raw.numbers[[0, 1, 2, 3, 13, 14, 15, 25, 26, 27]], values)
    assert same(raw.numbers[[4, 16, 28]], covariances)
    assert raw.numbers.shape == (37,)


@pytest.mark.parametrize("fields", [("effort",), ("position", "velocity", "effort"), ("velocity",)])
@given(stamp_ns=any_stamp, frame=text, names=st.lists(text, min_size=1, max_size=4), data=st.data())
def test_what_is_written_is_what_rclpy_reads(
    fields: tuple[str, ...], stamp_ns: int, frame: str, names: list[str], data: st.DataObject
) -> None:
    writer = JointStateWriter(names, fields)
    for frame_id in (frame, "", frame):
        values = [np.array(data.draw(st.lists(st.floats(), min_size=len(names), max_size=len(names)))) for _ in fields]
        message = deserialize_message(writer.write(stamp_ns, frame_id, *values), JointState)
        assert conversions.stamp_to_ns(message.header.stamp) == stamp_ns
        assert (message.header.frame_id, list(message.name)) == (frame_id, names)
        for field in ("position", "velocity", "effort"):
            assert same(getattr(message, field), values[fields.index(field)] if field in fields else [])


@given(any_stamp, text, st.tuples(*[st.floats()] * 10))
def test_an_imu_message_that_is_written_is_what_rclpy_reads(
    stamp_ns: int, frame: str, values: tuple[float, ...]
) -> None:
    array = np.array(values)
    message = deserialize_message(ImuWriter(frame).write(stamp_ns, array[:4], array[4:7], array[7:]), Imu)
    q, w, a = message.orientation, message.angular_velocity, message.linear_acceleration
    assert conversions.stamp_to_ns(message.header.stamp) == stamp_ns
    assert message.header.frame_id == frame
    assert same([q.x, q.y, q.z, q.w, w.x, w.y, w.z, a.x, a.y, a.z], values)
    assert not np.any(message.orientation_covariance)


def _message() -> JointState:
    message = JointState(name=["hip", "knee"], position=[1.0, 2.0], velocity=[3.0, 4.0], effort=[5.0, 6.0])
    message.header.frame_id = "x"
    return message


def test_frames_that_are_never_the_same_are_not_all_kept() -> None:
    writer = JointStateWriter(["hip"], ["effort"])
    for k in range(10 * MOST_TEMPLATES):
        raw = writer.write(k, f"standby: {k} rad", np.array([float(k)]))
        read = JointStateReader().read(raw)
        assert (read.frame_id, read.effort.tolist()) == (f"standby: {k} rad", [float(k)])
    assert len(writer._templates) <= MOST_TEMPLATES


def test_a_message_that_is_cut_off_anywhere_is_refused() -> None:
    whole = bytes(serialize_message(_message()))
    known = JointStateReader()
    known.read(whole)
    end = len(whole.rstrip(b"\0"))
    for length in range(end):
        for reader in (JointStateReader(), known):
            with pytest.raises(StateError):
                reader.read(whole[:length])
        if length < 4 + 8 + 4 + 37 * 8:
            with pytest.raises(StateError):
                read_imu(whole[:length])
    assert known.read(whole).effort.tolist() == [5.0, 6.0]


@given(st.binary(max_size=200), st.booleans())
def test_garbage_is_refused_or_read_and_never_worse(garbage: bytes, headed: bool) -> None:
    data = (b"\x00\x01\x00\x00" if headed else b"") + garbage
    matcher = JointMatcher(["hip", "knee"])
    for convert in (
        lambda: measurements.joint_sample(JointStateReader().read(data), matcher),
        lambda: measurements.effort_of(JointStateReader().read(data), matcher),
        lambda: measurements.imu_sample(read_imu(data)),
    ):
        with contextlib.suppress(StateError):
            convert()


@given(st.integers(4, 100), st.binary(min_size=1, max_size=8))
def test_a_message_with_bytes_overwritten_is_refused_or_read_and_never_worse(offset: int, patch: bytes) -> None:
    data = bytearray(serialize_message(_message()))
    data[offset : offset + len(patch)] = patch
    reader = JointStateReader()
    for _ in range(2):
        with contextlib.suppress(StateError):
            measurements.joint_sample(reader.read(bytes(data)), JointMatcher(["hip", "knee"]))


@pytest.mark.parametrize("encapsulation", [b"\x00\x00\x00\x00", b"\x00\x03\x00\x00", b"\x00\x07\x00\x00"])
def test_another_encoding_is_refused_by_name(encapsulation: bytes) -> None:
    data = encapsulation + bytes(serialize_message(_message()))[4:]
    for read in (JointStateReader().read, read_imu):
        with pytest.raises(StateError, match=encapsulation.hex()):
            read(data)


@pytest.mark.parametrize("nanoseconds", [SECOND, 2**32 - 1])
def test_a_stamp_that_no_clock_gives_is_refused(nanoseconds: int) -> None:
    data = bytearray(serialize_message(_message()))
    struct.pack_into("<iI", data, 4, 2**31 - 1, nanoseconds)
    for read in (JointStateReader().read, read_imu):
        with pytest.raises(StateError, match=str(nanoseconds)):
            read(bytes(data))


def test_what_was_read_is_ordered_and_refused_by_name() -> None:
    message = _message()
    message.velocity = [math.nan, 0.0]
    matcher = JointMatcher(["knee", "hip"])
    raw = JointStateReader().read(serialize_message(message))
    with pytest.raises(StateError, match="velocity of joint 'hip' is nan"):
        measurements.joint_sample(raw, matcher)
    assert measurements.effort_of(raw, matcher).effort.tolist() == [6.0, 5.0]


@given(text, st.lists(st.floats(width=32), max_size=9))
def test_a_vector_for_the_bag_is_labelled_and_float32(label: str, values: list[float]) -> None:
    array = np.array(values, dtype=np.float32)
    message = deserialize_message(Float32ArrayWriter(label, len(values)).write(array), Float32MultiArray)
    (dimension,) = message.layout.dim
    assert (dimension.label, dimension.size, dimension.stride) == (label, len(values), len(values))
    assert message.layout.data_offset == 0
    assert np.array(message.data, dtype=np.float32).tobytes() == array.tobytes()
