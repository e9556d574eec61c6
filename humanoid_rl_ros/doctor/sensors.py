"""Judges what joint states and IMU messages say: the right joints, numbers, a robot that is where it seems to be."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

import numpy as np

from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.core.joints import repeated_name
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.doctor.findings import Finding, error, note, ok, warning
from humanoid_rl_ros.doctor.graph_facts import Heard
from humanoid_rl_ros.interfaces.cdr import JointStateReader, RawImu, RawJointState, read_imu
from humanoid_rl_ros.interfaces.measurements import WXYZ, imu_sample

SHOWN = 5
"""Names in one line."""
UNIT_ERROR = 0.01
"""Of the length of a quaternion."""
GRAVITY = 9.81
STILL_SHARE = 0.1
"""By which the length of an acceleration may differ from gravity for it to show where up is."""
APART_RAD = 0.35
"""Between up as the orientation has it and as the accelerometer has it."""
UPRIGHT_RAD, TIPPED_RAD = 0.3, 1.0
FASTEST_RAD_S = 35.0
"""Of a gyroscope in rad/s; most end there (2000 degrees per second)."""
BEYOND_RAD = 0.05
"""By which a joint may be past its limit before it is said."""


def judge_joint_states(heard: Sequence[Heard], robot: RobotSpec | None) -> list[Finding]:
    """Names, numbers and poses.

    Args:
        heard: joint states in the order of arrival.
        robot: whose joints they should be; None: nobody said.
    """
    label, reader, messages = "graph.joint_states", JointStateReader(), []
    for one in heard:
        try:
            messages.append(reader.read(one.raw))
        except (StateError, struct.error) as refusal:
            return [error(f"{label}.values", f"unreadable: {refusal}", "the driver does not send what it should")]
    if not messages:
        return []
    return [*_names(label, messages, robot), *_values(label, messages, robot)]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _names(label: str, messages: Sequence[RawJointState], robot: RobotSpec | None) -> Iterable[Finding]:
    name, listed = f"{label}.joints", messages[-1].name
    kinds = {tuple(message.name) for message in messages}
    if len(kinds) > 1:
        todo = "one message for all joints: two publishers, or a driver that sends each limb by itself"
        yield error(name, f"messages list {len(kinds)} different sets of joints", todo)
    elif (twice := repeated_name(listed)) is not None:
        yield error(name, f"'{twice}' is listed twice", "each joint once")
    elif robot is None:
        yield note(name, f"{len(listed)} joints", "--robot compares them with the robot's")
    else:
        known = {*robot.joint_names, *robot.ignored_joints}
        missing = [joint for joint in robot.joint_names if joint not in listed]
        extra = [joint for joint in listed if joint not in known]
        if missing:
            todo = f"they are joints of robot '{robot.name}': does the driver call them otherwise? the message has "
            yield error(name, f"missing: {_listed(missing)}", todo + _listed(extra or listed))
        elif extra:
            todo = "list them under ignored_joints of the robot file, or take them out of the message"
            yield error(name, f"not of robot '{robot.name}': {_listed(extra)}", todo)
        else:
            yield ok(name, f"all {robot.n_joints} of robot '{robot.name}'")


def _values(label: str, messages: Sequence[RawJointState], robot: RobotSpec | None) -> Iterable[Finding]:
    name = f"{label}.values"
    for message in messages:
        for what, values in (("position", message.position), ("velocity", message.velocity)):
            if values.size != len(message.name):
                found = f"{len(message.name)} names and {values.size} values of {what}"
                yield error(name, found, "the policy needs position and velocity of every joint")
                return
            bad = np.flatnonzero(~np.isfinite(values))
            if bad.size:
                found = f"{what} of '{message.name[bad[0]]}' is {values[bad[0]]}"
                yield error(name, found, "an encoder that says nothing: the monitor damps after three such messages")
                return
    if len({tuple(message.name) for message in messages}) > 1:
        return
    position = np.array([message.position for message in messages])
    velocity = np.array([message.velocity for message in messages])
    if len(messages) > 1 and not np.any(np.diff(position, axis=0)) and not np.any(np.diff(velocity, axis=0)):
        todo = "a real sensor has noise: is it a driver that repeats itself? the monitor calls it frozen after 0.5 s"
        yield warning(name, "the same to the last bit in every message", todo)
    elif robot is not None and (beyond := _beyond(messages[-1].name, position[-1], robot)):
        todo = "zero of the encoders, sign, degrees for radians? compare with: humanoid_rl robot check"
        yield warning(name, f"beyond their limits: {_listed(beyond)}", todo)
    else:
        fastest = int(np.argmax(np.max(np.abs(velocity), axis=0)))
        text = f"fastest '{messages[-1].name[fastest]}' with {np.max(np.abs(velocity)):.2f} rad/s"
        yield ok(name, f"finite; {text}")


def _beyond(names: Sequence[str], position: FloatArray, robot: RobotSpec) -> list[str]:
    limits = {joint.name: (joint.lower, joint.upper) for joint in robot.joints}
    return [
        f"{name} at {value:.2f} rad"
        for name, value in zip(names, position, strict=True)
        if name in limits and not limits[name][0] - BEYOND_RAD <= value <= limits[name][1] + BEYOND_RAD
    ]


def judge_imu(heard: Sequence[Heard]) -> list[Finding]:
    """Orientation, rates and acceleration, and whether they tell the same story.

    Args:
        heard: IMU messages in the order of arrival.
    """
    label = "graph.imu.data"
    messages: list[RawImu] = []
    for one in heard:
        try:
            message = read_imu(one.raw)
            length = float(np.linalg.norm(message.numbers[WXYZ]))
            if np.isfinite(length) and abs(length - 1.0) > UNIT_ERROR:
                todo = "a unit quaternion: 0 0 0 0 is what an IMU without orientation sends"
                return [error(f"{label}.orientation", f"a quaternion of length {length:.3f}", todo)]
            imu_sample(message)
        except (StateError, struct.error) as refusal:
            todo = "an IMU with orientation and rates, or a filter such as imu_filter_madgwick behind it"
            return [error(f"{label}.values", str(refusal), todo)]
        messages.append(message)
    if not messages:
        return []
    samples = [imu_sample(message) for message in messages]
    orientation = np.array([sample.orientation for sample in samples])
    rates = np.array([sample.angular_velocity for sample in samples])
    acceleration = np.array([sample.linear_acceleration for sample in samples])
    return [*_up(label, orientation[-1], np.median(acceleration, axis=0)), *_rates(label, orientation, rates)]


def _up(label: str, orientation: FloatArray, acceleration: FloatArray) -> Iterable[Finding]:
    """Orientation against accelerometer; without one, against the robot that stands, as most do."""
    name = f"{label}.orientation"
    tilt = float(rotations.tilt(orientation))
    text = f"tilted by {np.degrees(tilt):.0f}°"
    # The fields x y z w as they are, taken for w x y z: what a driver meant that fills them in the other order.
    other = orientation[[1, 2, 3, 0]]
    length = float(np.linalg.norm(acceleration))
    if abs(length - GRAVITY) < STILL_SHARE * GRAVITY:
        apart, other_apart = (_angle(-rotations.projected_gravity(q), acceleration) for q in (orientation, other))
        if apart < APART_RAD:
            yield ok(name, f"{text}, and so says the accelerometer")
        elif other_apart < APART_RAD:
            yield _order(name, f"{text}, {np.degrees(apart):.0f}° from what the accelerometer says")
        elif np.pi - apart < APART_RAD:
            todo = "at rest an accelerometer shows +9.81 upwards (REP-145): turn the sign of linear_acceleration"
            yield error(name, f"{text}, and the accelerometer says the opposite", todo)
        else:
            todo = "is the IMU mounted as its frame says? both must be of the frame that the robot file names"
            yield error(name, f"{text}, {np.degrees(apart):.0f}° from what the accelerometer says", todo)
    elif tilt > TIPPED_RAD and float(rotations.tilt(other)) < UPRIGHT_RAD:
        yield _order(name, f"{text}; as w x y z it would be upright")
    elif tilt > TIPPED_RAD:
        yield note(name, text, "does the robot lie? else look at the mounting of the IMU")
    else:
        yield ok(name, text + (", by an IMU without accelerometer" if length == 0.0 else ""))


def _order(name: str, found: str) -> Finding:
    return error(name, found, "the quaternion looks like w x y z in the fields x y z w: fill them by name")


def _angle(one: FloatArray, other: FloatArray) -> float:
    cosine = float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))
    return float(np.arccos(np.clip(cosine, -1.0, 1.0)))


def _rates(label: str, orientation: FloatArray, rates: FloatArray) -> Iterable[Finding]:
    name, fastest = f"{label}.rates", float(np.max(np.linalg.norm(rates, axis=1)))
    if len(rates) > 1 and not np.any(np.diff(orientation, axis=0)) and not np.any(np.diff(rates, axis=0)):
        todo = "a real sensor has noise: is it a driver that repeats itself? the monitor calls it frozen after 0.5 s"
        yield warning(name, "the same to the last bit in every message", todo)
    elif fastest > FASTEST_RAD_S:
        yield warning(name, f"up to {fastest:.1f} rad/s", "degrees per second? they must be radians")
    else:
        yield ok(name, f"up to {fastest:.2f} rad/s")
