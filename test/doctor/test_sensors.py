"""What joint states and IMU messages say of a robot."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.doctor.graph_facts import Heard
from humanoid_rl_ros.doctor.sensors import judge_imu, judge_joint_states
from humanoid_rl_ros.interfaces.cdr import ImuWriter, JointStateWriter

NAMES = ("hip", "knee", "ankle", "arm")
SIDEWAYS = math.sqrt(0.5)


def states(*positions: Sequence[float], names: Sequence[str] = NAMES) -> list[Heard]:
    writer = JointStateWriter(names, ("position", "velocity"))
    return [
        Heard(i, i, None, writer.write(i, "", np.array(position), np.full(len(names), 0.1 * i)))
        for i, position in enumerate(positions)
    ]


def judged(messages: Sequence[Heard], robot: RobotSpec | None) -> dict[str, tuple[str, str]]:
    found = judge_joint_states(messages, robot)
    return {f.name.removeprefix("graph.joint_states."): (f.level, f"{f.found} | {f.todo}") for f in found}


def test_the_robots_joints_in_any_order_are_right(robot: RobotSpec) -> None:
    messages = states([0.0, 0.5, -0.1, 0.2], [0.0, 0.5, -0.1, 0.3], names=("arm", "knee", "ankle", "hip"))
    assert judged(messages, robot) == {
        "joints": ("ok", "all 4 of robot 'biped' | "),
        "values": ("ok", "finite; fastest 'arm' with 0.10 rad/s | "),
    }
    assert judged(messages, None)["joints"][0] == "note"


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("hip", "knee", "ankle", "left_arm"), ("missing: arm", "left_arm")),
        (("hip", "knee", "ankle", "arm", "head"), ("not of robot 'biped': head", "ignored_joints")),
        (("hip", "knee", "ankle", "ankle"), ("'ankle' is listed twice",)),
    ],
)
def test_other_joints_are_named(robot: RobotSpec, names: tuple[str, ...], words: tuple[str, ...]) -> None:
    level, text = judged(states([0.1] * len(names), [0.2] * len(names), names=names), robot)["joints"]
    assert level == "error"
    assert all(word in text for word in words), text


def test_two_kinds_of_joint_states_are_two_publishers(robot: RobotSpec) -> None:
    mixed = states([0.1] * 4) + states([0.1] * 2, names=("hip", "knee"))
    assert judged(mixed, robot)["joints"][1].startswith("messages list 2 different sets of joints")


@pytest.mark.parametrize(
    ("positions", "level", "words"),
    [
        ([[0.0, 0.5, math.nan, 0.2]] * 2, "error", "position of 'ankle' is nan"),
        ([[0.0, 0.5, 0.0, 0.2], [0.0, 57.0, 0.0, 0.2]], "warning", "knee at 57.00 rad"),
    ],
)
def test_impossible_positions_are_named(robot: RobotSpec, positions: list[list[float]], level: str, words: str) -> None:
    found = judged(states(*positions), robot)["values"]
    assert found[0] == level
    assert words in found[1]


def test_a_frozen_sensor_is_said(robot: RobotSpec) -> None:
    (same,) = states([0.1] * 4)
    assert judged([same, same, same], robot)["values"][1].startswith("the same to the last bit")


def imu(
    xyzw: tuple[float, float, float, float],
    acceleration: tuple[float, float, float] = (0.0, 0.0, 0.0),
    rates: tuple[float, float, float] = (0.0, 0.0, 0.1),
) -> dict[str, tuple[str, str]]:
    writer = ImuWriter("imu")
    messages = [
        Heard(i, i, None, writer.write(i, np.array(xyzw), np.array(rates) * (1.0 + i), np.array(acceleration)))
        for i in range(2)
    ]
    return {f.name.removeprefix("graph.imu.data."): (f.level, f"{f.found} | {f.todo}") for f in judge_imu(messages)}


G = 9.81


@pytest.mark.parametrize(
    ("xyzw", "acceleration", "level", "words"),
    [
        ((0.0, 0.0, 0.0, 1.0), (0.0, 0.0, G), "ok", "tilted by 0°, and so says the accelerometer"),
        # On its face: after a turn by 90° about y, its x points down.
        ((0.0, SIDEWAYS, 0.0, SIDEWAYS), (-G, 0.0, 0.0), "ok", "tilted by 90°, and so says the accelerometer"),
        ((0.0, 0.0, 0.0, 1.0), (0.0, 0.0, -G), "error", "turn the sign"),
        ((0.0, 0.0, 0.0, 1.0), (G, 0.0, 0.0), "error", "90° from what the accelerometer says"),
        # Upright as w x y z, in the fields x y z w; then turned by 90° about z as well.
        ((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, G), "error", "looks like w x y z"),
        ((SIDEWAYS, 0.0, 0.0, SIDEWAYS), (0.0, 0.0, G), "error", "looks like w x y z"),
        ((1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0), "error", "looks like w x y z"),
        ((0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0), "ok", "without accelerometer"),
        # It lies, and has nothing else to say so.
        ((0.0, SIDEWAYS, 0.0, SIDEWAYS), (0.0, 0.0, 0.0), "note", "does the robot lie"),
        ((0.0, 0.0, 0.0, 0.0), (0.0, 0.0, G), "error", "a quaternion of length 0.000"),
        ((0.0, 0.0, 0.0, 0.9), (0.0, 0.0, G), "error", "a quaternion of length 0.900"),
    ],
)  # fmt: skip
def test_up_is_where_the_accelerometer_has_it(
    xyzw: tuple[float, float, float, float], acceleration: tuple[float, float, float], level: str, words: str
) -> None:
    found = imu(xyzw, acceleration)["orientation"]
    assert found[0] == level, found
    assert words in found[1]


def test_rates_in_degrees_are_suspected() -> None:
    assert imu((0.0, 0.0, 0.0, 1.0), rates=(0.0, 0.0, 90.0))["rates"][0] == "warning"
    assert imu((0.0, 0.0, 0.0, 1.0))["rates"] == ("ok", "up to 0.20 rad/s | ")
