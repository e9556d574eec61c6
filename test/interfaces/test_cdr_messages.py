"""Serialised messages of the graph read by hand, against what rclpy wrote."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import Point, Pose, PoseArray, Quaternion, Twist, TwistStamped
from nav_msgs.msg import Odometry
from rclpy.serialization import serialize_message
from rosgraph_msgs.msg import Clock
from std_msgs.msg import (
    Bool,
    Float32MultiArray,
    Float64MultiArray,
    MultiArrayDimension,
    MultiArrayLayout,
    String,
    UInt8MultiArray,
)

from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.interfaces import cdr_messages as cdr
from humanoid_rl_ros.interfaces.conversions import ns_to_stamp

pytestmark = pytest.mark.ros
SECOND = 1_000_000_000

any_stamp = st.integers(-(2**31) * SECOND, 2**31 * SECOND - 1)
text = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9)
pairs = st.dictionaries(text, text, max_size=4)
layouts = st.lists(text, max_size=3).map(
    lambda labels: MultiArrayLayout(dim=[MultiArrayDimension(label=label, size=3, stride=3) for label in labels])
)
six = st.tuples(*[st.floats()] * 6)
READERS: list[Callable[[bytes], Any]] = [
    cdr.read_diagnostic_status,
    cdr.read_diagnostic_array,
    cdr.read_float32_array,
    cdr.read_float64_array,
    cdr.read_layout_labels,
    cdr.read_uint8_array,
    cdr.read_string,
    cdr.read_bool,
    cdr.read_clock,
    cdr.read_twist,
    cdr.read_twist_stamped,
    cdr.read_odometry,
    cdr.read_pose_array,
]


def same(left: object, right: object) -> bool:
    return np.array(left, dtype=np.float64).tobytes() == np.array(right, dtype=np.float64).tobytes()


def status_of(level: int, name: str, message: str, hardware_id: str, values: dict[str, str]) -> DiagnosticStatus:
    return DiagnosticStatus(
        level=bytes([level]),
        name=name,
        message=message,
        hardware_id=hardware_id,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


@given(st.integers(0, 255), text, text, text, pairs)
def test_any_status_is_read(level: int, name: str, message: str, hardware_id: str, values: dict[str, str]) -> None:
    raw = cdr.read_diagnostic_status(serialize_message(status_of(level, name, message, hardware_id, values)))
    assert raw == cdr.RawStatus(level, name, message, hardware_id, values)


@given(any_stamp, text, st.lists(st.tuples(st.integers(0, 3), text, text, text, pairs), max_size=3))
def test_any_array_of_statuses_is_read(stamp_ns: int, frame: str, entries: list[Any]) -> None:
    message = DiagnosticArray(status=[status_of(*entry) for entry in entries])
    message.header.stamp = ns_to_stamp(stamp_ns)
    message.header.frame_id = frame
    raw = cdr.read_diagnostic_array(serialize_message(message))
    assert raw == cdr.RawDiagnostics(stamp_ns, tuple(cdr.RawStatus(*entry) for entry in entries))


@given(layouts, st.lists(st.floats(), max_size=5), st.lists(st.floats(width=32), max_size=5), st.binary(max_size=9))
def test_any_array_is_read(layout: MultiArrayLayout, doubles: list[float], floats: list[float], data: bytes) -> None:
    assert same(cdr.read_float64_array(serialize_message(Float64MultiArray(layout=layout, data=doubles))), doubles)
    raw = serialize_message(Float32MultiArray(layout=layout, data=floats))
    assert same(cdr.read_float32_array(raw), floats)
    assert cdr.read_layout_labels(raw) == tuple(dimension.label for dimension in layout.dim)
    assert cdr.read_uint8_array(serialize_message(UInt8MultiArray(layout=layout, data=list(data)))) == data


@given(any_stamp, text, six)
def test_any_velocity_is_read(stamp_ns: int, frame: str, numbers: tuple[float, ...]) -> None:
    twist = Twist()
    twist.linear.x, twist.linear.y, twist.linear.z = numbers[:3]
    twist.angular.x, twist.angular.y, twist.angular.z = numbers[3:]
    plain = cdr.read_twist(serialize_message(twist))
    assert plain.stamp_ns is None
    assert same(plain.numbers, numbers)
    message = TwistStamped(twist=twist)
    message.header.stamp = ns_to_stamp(stamp_ns)
    message.header.frame_id = frame
    stamped = cdr.read_twist_stamped(serialize_message(message))
    assert stamped.stamp_ns == stamp_ns
    assert same(stamped.numbers, numbers)


@given(any_stamp, text, text, st.tuples(*[st.floats()] * 7), six)
def test_any_odometry_is_read(
    stamp_ns: int, frame: str, child: str, pose: tuple[float, ...], numbers: tuple[float, ...]
) -> None:
    message = Odometry(child_frame_id=child)
    message.header.stamp = ns_to_stamp(stamp_ns)
    message.header.frame_id = frame
    position, q = message.pose.pose.position, message.pose.pose.orientation
    position.x, position.y, position.z, q.x, q.y, q.z, q.w = pose
    twist = message.twist.twist
    twist.linear.x, twist.linear.y, twist.linear.z = numbers[:3]
    twist.angular.x, twist.angular.y, twist.angular.z = numbers[3:]
    raw = cdr.read_odometry(serialize_message(message))
    assert (raw.stamp_ns, raw.frame_id, raw.child_frame_id) == (stamp_ns, frame, child)
    assert same(raw.pose, pose)
    assert same(raw.twist, numbers)


@given(any_stamp, text, st.lists(st.tuples(*[st.floats()] * 7), max_size=3))
def test_any_poses_are_read(stamp_ns: int, frame: str, numbers: list[tuple[float, ...]]) -> None:
    def pose(x: float, y: float, z: float, *q: float) -> Pose:
        orientation = Quaternion(**dict(zip("xyzw", q, strict=True)))
        return Pose(position=Point(x=x, y=y, z=z), orientation=orientation)

    message = PoseArray(poses=[pose(*each) for each in numbers])
    message.header.stamp = ns_to_stamp(stamp_ns)
    message.header.frame_id = frame
    raw = cdr.read_pose_array(serialize_message(message))
    assert (raw.stamp_ns, raw.frame_id, raw.poses.shape) == (stamp_ns, frame, (len(numbers), 7))
    assert same(raw.poses, np.reshape(numbers, (len(numbers), 7)))


@given(any_stamp, text, st.booleans())
def test_clock_text_and_truth_are_read(stamp_ns: int, words: str, truth: bool) -> None:
    assert cdr.read_clock(serialize_message(Clock(clock=ns_to_stamp(stamp_ns)))) == stamp_ns
    assert cdr.read_string(serialize_message(String(data=words))) == words
    assert cdr.read_bool(serialize_message(Bool(data=truth))) is truth


def test_a_message_that_is_cut_off_anywhere_is_refused() -> None:
    wholes = {
        cdr.read_diagnostic_status: status_of(2, "monitor", "FALLING", "robot", {"state": "FALLING"}),
        cdr.read_float64_array: Float64MultiArray(data=[1.0, 2.0]),
        cdr.read_odometry: Odometry(),
        cdr.read_twist_stamped: TwistStamped(),
    }
    lengths = {cdr.read_float64_array: 4 + 8 + 4 + 16, cdr.read_odometry: 4 + 8 + 16 + 8 * 85 - 4}
    for read, message in wholes.items():
        whole = bytes(serialize_message(message))
        read(whole)
        for length in range(lengths.get(read, len(whole.rstrip(b"\0")))):
            with pytest.raises(StateError):
                read(whole[:length])


@given(st.binary(max_size=200), st.booleans())
def test_garbage_is_refused_or_read_and_never_worse(garbage: bytes, headed: bool) -> None:
    data = (b"\x00\x01\x00\x00" if headed else b"") + garbage
    for read in READERS:
        with contextlib.suppress(StateError):
            read(data)


@pytest.mark.parametrize("read", READERS[:5])
def test_a_hostile_length_takes_no_memory(read: Callable[[bytes], Any]) -> None:
    with pytest.raises(StateError, match="cut off"):
        read(
            b"\x00\x01\x00\x00" + struct.pack("<8I", *[2**32 - 1] * 8)
            if read is not cdr.read_diagnostic_array
            else b"\x00\x01\x00\x00" + struct.pack("<4I", 0, 0, 0, 2**32 - 1)
        )


@pytest.mark.parametrize("read", READERS)
def test_another_encoding_is_refused_by_name(read: Callable[[bytes], Any]) -> None:
    with pytest.raises(StateError, match="00030000"):
        read(b"\x00\x03\x00\x00" + bytes(800))
