"""Messages to core types and back, through the wire format, and every message that must not become a state."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Twist, TwistStamped
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float64MultiArray

from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.core.joints import JointMatcher
from humanoid_rl_ros.core.state import VelocityCommand
from humanoid_rl_ros.interfaces import conversions, measurements
from humanoid_rl_ros.interfaces.cdr import JointStateReader, RawJointState, read_imu
from humanoid_rl_ros.interfaces.cdr_messages import read_twist, read_twist_stamped
from humanoid_rl_ros.interfaces.cdr_writers import write_float64_array

pytestmark = pytest.mark.ros
Refuses = Callable[..., AbstractContextManager[None]]

NAMES = ["hip", "knee", "ankle"]
HALF = math.sqrt(0.5)
SECOND = 1_000_000_000
any_stamp = st.integers(-(2**31) * SECOND, (2**31) * SECOND - 1)
triple = st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 3).map(np.array)


def wire(message: Any) -> Any:
    """As a subscriber gets it; sensor messages are read from their serialised form."""
    if isinstance(message, JointState):
        return JointStateReader().read(serialize_message(message))
    if isinstance(message, Imu):
        return read_imu(serialize_message(message))
    if isinstance(message, Twist):
        return read_twist(serialize_message(message))
    if isinstance(message, TwistStamped):
        return read_twist_stamped(serialize_message(message))
    return deserialize_message(serialize_message(message), type(message))


def matcher(*ignored: str) -> JointMatcher:
    return JointMatcher(NAMES, ignored)


def joint_state(names: list[str] | None = None, **arrays: list[float]) -> RawJointState:
    return wire(joint_state_message(names, **arrays))


def joint_state_message(names: list[str] | None = None, **arrays: list[float]) -> JointState:
    names = NAMES if names is None else names
    message = JointState(name=names)
    message.position = arrays.get("position", [float(i) for i in range(len(names))])
    message.velocity = arrays.get("velocity", [10.0 + i for i in range(len(names))])
    message.effort = arrays.get("effort", [20.0 + i for i in range(len(names))])
    return message


def upright() -> Imu:
    message = Imu()
    message.orientation.w = 1.0
    return message


# Stamps.


@given(any_stamp)
def test_every_stamp_that_ros_can_say_comes_back(stamp_ns: int) -> None:
    assert conversions.stamp_to_ns(wire(conversions.ns_to_stamp(stamp_ns))) == stamp_ns


@pytest.mark.parametrize(
    ("stamp_ns", "sec", "nanosec"),
    [
        (0, 0, 0),
        (1, 0, 1),
        (SECOND - 1, 0, 999_999_999),
        (3 * SECOND + 7, 3, 7),
        (-1, -1, 999_999_999),
        (-SECOND, -1, 0),
    ],
)
def test_stamps_by_hand(stamp_ns: int, sec: int, nanosec: int) -> None:
    stamp = conversions.ns_to_stamp(stamp_ns)
    assert (stamp.sec, stamp.nanosec) == (sec, nanosec)
    assert conversions.stamp_to_ns(Time(sec=sec, nanosec=nanosec)) == stamp_ns


@pytest.mark.parametrize("convert", ["joints", "effort", "imu"])
@pytest.mark.parametrize(("sec", "nanosec"), [(0, SECOND), (2**31 - 1, 2**32 - 1)])
def test_a_stamp_that_no_clock_gives_is_refused(refuses: Refuses, convert: str, sec: int, nanosec: int) -> None:
    # Its time may lie beyond what a stamp can say, and the answer could not carry it.
    message = upright() if convert == "imu" else joint_state_message()
    message.header.stamp = Time(sec=sec, nanosec=nanosec)
    with refuses(StateError, "stamp", str(nanosec)):
        if convert == "imu":
            measurements.imu_sample(wire(message))
        elif convert == "joints":
            measurements.joint_sample(wire(message), matcher())
        else:
            measurements.effort_of(wire(message), matcher())


# Joint states.


@given(st.permutations(range(3)))
def test_joints_are_matched_by_name_in_any_order(order: list[int]) -> None:
    message = joint_state(
        [NAMES[i] for i in order],
        position=[float(i) for i in order],
        velocity=[10.0 + i for i in order],
        effort=[20.0 + i for i in order],
    )
    sample = measurements.joint_sample(message, matcher())
    assert sample.position.tolist() == [0.0, 1.0, 2.0]
    assert sample.velocity.tolist() == [10.0, 11.0, 12.0]
    assert measurements.effort_of(message, matcher()).effort.tolist() == [20.0, 21.0, 22.0]


def test_one_matcher_follows_a_publisher_that_changes_its_order() -> None:
    one = matcher()
    for names in (NAMES, NAMES[::-1], NAMES):
        sample = measurements.joint_sample(joint_state(names, position=[float(NAMES.index(n)) for n in names]), one)
        assert sample.position.tolist() == [0.0, 1.0, 2.0]


def test_joints_to_be_ignored_are_dropped_whatever_they_say() -> None:
    message = joint_state(["thumb", *NAMES], position=[math.nan, 1.0, 2.0, 3.0], velocity=[math.inf, 4.0, 5.0, 6.0])
    sample = measurements.joint_sample(message, matcher("thumb"))
    assert sample.position.tolist() == [1.0, 2.0, 3.0]
    assert sample.velocity.tolist() == [4.0, 5.0, 6.0]


BAD_NAMES = [
    (["hip", "knee"], "joint 'ankle' is missing"),
    ([], "joint 'hip' is missing (and 2 more)"),
    ([*NAMES, "tail"], "joint 'tail' is unknown"),
    (["hip", "knee", "ankel"], "joint 'ankle' is missing and 'ankel' is unknown"),
    (["hip", "knee", "ankle", "knee"], "joint 'knee' is listed twice"),
    (["hip", "knee", "knee"], "joint 'knee' is listed twice"),
    (["", "knee", "ankle"], "joint 'hip' is missing and '' is unknown"),
    (["Hip", "knee", "ankle"], "joint 'hip' is missing and 'Hip' is unknown"),
]


@pytest.mark.parametrize(("names", "text"), BAD_NAMES)
def test_wrong_joint_names_are_refused_by_name(refuses: Refuses, names: list[str], text: str) -> None:
    with refuses(StateError, text):
        measurements.joint_sample(joint_state(names), matcher())
    with refuses(StateError, text):
        measurements.effort_of(joint_state(names), matcher())


@pytest.mark.parametrize("field", ["position", "velocity"])
@pytest.mark.parametrize("values", [[], [1.0, 2.0], [1.0, 2.0, 3.0, 4.0]])
def test_arrays_that_do_not_match_the_names_are_refused(refuses: Refuses, field: str, values: list[float]) -> None:
    with refuses(StateError, f"3 names but {len(values)} values of {field}"):
        measurements.joint_sample(joint_state(**{field: values}), matcher())


@pytest.mark.parametrize("values", [[], [1.0, 2.0], [1.0, 2.0, 3.0, 4.0]])
def test_an_effort_that_does_not_match_the_names_is_refused(refuses: Refuses, values: list[float]) -> None:
    with refuses(StateError, f"3 names but {len(values)} values"):
        measurements.effort_of(joint_state(effort=values), matcher())


@pytest.mark.parametrize("field", ["position", "velocity"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("joint", NAMES)
def test_a_value_that_is_not_finite_is_refused_with_its_joint(
    refuses: Refuses, field: str, value: float, joint: str
) -> None:
    names = NAMES[::-1]
    values = [value if name == joint else 1.0 for name in names]
    with refuses(StateError, f"{field} of joint '{joint}' is {value}"):
        measurements.joint_sample(joint_state(names, **{field: values}), matcher())


def test_efforts_that_are_not_finite_are_passed_on_to_be_counted() -> None:
    efforts = measurements.effort_of(joint_state(effort=[math.nan, math.inf, 1.0]), matcher()).effort
    assert np.array_equal(efforts, [math.nan, math.inf, 1.0], equal_nan=True)


# The IMU.


def test_the_order_of_the_quaternion_by_hand() -> None:
    # A quarter turn to the left about z: ROS says (x, y, z, w) = (0, 0, √½, √½), inside it is (w, x, y, z).
    message = Imu()
    message.orientation.z = message.orientation.w = HALF
    orientation = measurements.imu_sample(wire(message)).orientation
    assert orientation == pytest.approx([HALF, 0.0, 0.0, HALF])
    assert rotations.rotate(orientation, np.array([1.0, 0.0, 0.0])) == pytest.approx([0.0, 1.0, 0.0])
    assert measurements.xyzw(np.array([0.1, 0.2, 0.3, 0.4])).tolist() == [0.2, 0.3, 0.4, 0.1]


@pytest.mark.parametrize(
    ("q", "fits"),
    [
        ((0.0, 0.0, 0.0, 0.0), False),
        ((0.0, 0.0, 0.0, 2.0), False),
        ((0.0, 0.0, 0.0, 0.98), False),
        ((0.5, 0.5, 0.5, 0.0), False),
        ((1e200, 0.0, 0.0, 0.0), False),
        ((0.0, 0.0, 0.0, 0.995), True),
        ((0.0, 0.0, 0.0, -1.0), True),
    ],
)
def test_only_a_unit_quaternion_is_an_orientation(refuses: Refuses, q: tuple[float, ...], fits: bool) -> None:
    message = Imu()
    message.orientation.x, message.orientation.y, message.orientation.z, message.orientation.w = q
    if fits:
        assert np.linalg.norm(measurements.imu_sample(wire(message)).orientation) == pytest.approx(1.0, abs=1e-12)
        return
    with refuses(StateError, "not a unit quaternion"), np.errstate(over="ignore"):
        measurements.imu_sample(wire(message))


def test_a_message_that_nobody_filled_in_is_no_orientation(refuses: Refuses) -> None:
    message = Imu()
    message.orientation.w = 0.0
    with refuses(StateError, "not a unit quaternion", "norm 0"):
        measurements.imu_sample(wire(message))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("part", ["orientation", "angular_velocity", "linear_acceleration"])
@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_an_imu_value_that_is_not_finite_is_refused_by_name(
    refuses: Refuses, value: float, part: str, axis: str
) -> None:
    message = upright()
    setattr(getattr(message, part), axis, value)
    with refuses(StateError, f"IMU {part} is not finite"):
        measurements.imu_sample(wire(message))


@pytest.mark.parametrize(
    ("part", "word"), [("orientation", "no orientation"), ("angular_velocity", "no angular velocity")]
)
def test_an_imu_that_says_it_does_not_know_is_believed(refuses: Refuses, part: str, word: str) -> None:
    message = upright()
    getattr(message, f"{part}_covariance")[0] = -1.0
    with refuses(StateError, word, "is -1"):
        measurements.imu_sample(wire(message))


def test_an_imu_without_accelerometer_is_enough() -> None:
    message = upright()
    message.linear_acceleration_covariance[0] = -1.0
    message.linear_acceleration.x = math.nan
    assert measurements.imu_sample(wire(message)).linear_acceleration.tolist() == [0.0, 0.0, 0.0]


# Commands.


@pytest.mark.parametrize("stamped", [True, False])
def test_a_twist_gives_its_planar_part(stamped: bool) -> None:
    twist = Twist()
    twist.linear.x, twist.linear.y, twist.linear.z = 0.5, -0.25, 9.0
    twist.angular.x, twist.angular.y, twist.angular.z = 9.0, 9.0, 1.5
    message = TwistStamped(twist=twist) if stamped else twist
    assert measurements.velocity_command(wire(message)) == VelocityCommand(0.5, -0.25, 1.5)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("part", ["linear.x", "linear.y", "angular.z"])
def test_a_twist_that_is_not_finite_is_refused(refuses: Refuses, value: float, part: str) -> None:
    message = Twist()
    vector, axis = part.split(".")
    setattr(getattr(message, vector), axis, value)
    with refuses(StateError, "not finite", str(value)):
        measurements.velocity_command(wire(message))


@pytest.mark.parametrize(
    "values",
    [
        np.array([1.0, -2.0, 0.5]),
        np.array([1.0, -2.0, 0.5], dtype=np.float32),
        np.array([1.0, 9.0, -2.0, 9.0, 0.5, 9.0])[::2],
        np.asfortranarray([[1.0, -2.0, 0.5]])[0],
    ],
)
def test_arrays_of_any_layout_become_doubles(values: np.ndarray) -> None:
    message = deserialize_message(write_float64_array(values), Float64MultiArray)
    assert list(message.data) == [1.0, -2.0, 0.5]
    assert list(message.layout.dim) == []


def test_odometry_has_pose_in_the_world_and_velocity_in_the_base() -> None:
    message = wire(
        conversions.odometry_message(
            SECOND,
            ("odom", "base_link"),
            np.array([1.0, 2.0, 3.0]),
            np.array([0.1, 0.2, 0.3, 0.4]),
            np.array([4.0, 5.0, 6.0]),
            np.array([7.0, 8.0, 9.0]),
        )
    )
    assert (message.header.stamp.sec, message.header.frame_id, message.child_frame_id) == (1, "odom", "base_link")
    p, q, v, w = (
        message.pose.pose.position,
        message.pose.pose.orientation,
        message.twist.twist.linear,
        message.twist.twist.angular,
    )
    assert [p.x, p.y, p.z, q.w, q.x, q.y, q.z] == [1.0, 2.0, 3.0, 0.1, 0.2, 0.3, 0.4]
    assert [v.x, v.y, v.z, w.x, w.y, w.z] == [4.0, 5.0, 6.0, 7.0, 8.0, 9.0]
