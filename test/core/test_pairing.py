"""Joint states and IMU messages put together, on a robot's two clocks and in lock-step."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import numpy as np
import pytest

from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.core.pairing import ImuSample, JointSample, StatePairing, VelocitySample

Refuses = Callable[..., AbstractContextManager[None]]


def joints(stamp_ns: int, value: float = 0.0) -> JointSample:
    return JointSample(stamp_ns, np.full(2, value), np.full(2, 10.0 + value))


def imu(stamp_ns: int, value: float = 0.0) -> ImuSample:
    return ImuSample(stamp_ns, np.array([1.0, 0, 0, 0]), np.full(3, value), np.full(3, 20.0 + value))


def robot() -> StatePairing:
    return StatePairing(exact=False, clock_may_reset=False)


def lockstep() -> StatePairing:
    return StatePairing(exact=True, clock_may_reset=True)


def test_a_state_carries_every_quantity_and_the_stamp_of_the_joints() -> None:
    pairing = robot()
    pairing.add_velocity(VelocitySample(3, np.array([1.0, 2.0, 3.0])))
    pairing.add_imu(imu(5, 7.0))
    state = pairing.add_joints(joints(9, 1.0))
    assert state is not None
    assert state.stamp_ns == 9
    assert state.joint_position.tolist() == [1.0, 1.0]
    assert state.joint_velocity.tolist() == [11.0, 11.0]
    assert state.orientation.tolist() == [1.0, 0.0, 0.0, 0.0]
    assert state.angular_velocity.tolist() == [7.0] * 3
    assert state.linear_acceleration.tolist() == [27.0] * 3
    assert state.base_linear_velocity is not None
    assert state.base_linear_velocity.tolist() == [1.0, 2.0, 3.0]


def test_on_a_robot_every_joint_sample_is_a_state_with_the_latest_imu() -> None:
    pairing = robot()
    assert pairing.add_joints(joints(1)) is None  # no IMU yet
    assert pairing.add_imu(imu(2, 1.0)) is None
    first, second = pairing.add_joints(joints(3)), pairing.add_joints(joints(4))
    assert first is not None
    assert second is not None
    assert pairing.add_imu(imu(5, 2.0)) is None
    third = pairing.add_joints(joints(6))
    assert third is not None
    assert [s.stamp_ns for s in (first, second, third)] == [3, 4, 6]
    assert [s.angular_velocity[0] for s in (first, second, third)] == [1.0, 1.0, 2.0]
    assert third.base_linear_velocity is None


@pytest.mark.parametrize("imu_first", [True, False])
def test_in_lockstep_a_state_needs_both_of_one_stamp_in_either_order(imu_first: bool) -> None:
    pairing = lockstep()
    for stamp in (0, 2, 4):
        steps = [lambda p=pairing, s=stamp: p.add_imu(imu(s)), lambda p=pairing, s=stamp: p.add_joints(joints(s))]
        first, second = steps if imu_first else steps[::-1]
        assert first() is None
        state = second()
        assert state is not None
        assert state.stamp_ns == stamp


def test_in_lockstep_a_lost_half_makes_no_state() -> None:
    pairing = lockstep()
    pairing.add_imu(imu(0))
    assert pairing.add_joints(joints(2)) is None
    assert pairing.add_imu(imu(4)) is None
    assert pairing.add_joints(joints(4)) is not None


def test_in_lockstep_a_state_that_is_sent_again_is_given_again() -> None:
    pairing = lockstep()
    for _ in range(2):
        pairing.add_imu(imu(2))
        again = pairing.add_joints(joints(2))
        assert again is not None
        assert again.stamp_ns == 2


def test_a_joint_stamp_that_goes_back_is_refused_and_the_next_is_taken(refuses: Refuses) -> None:
    pairing = robot()
    pairing.add_imu(imu(0))
    pairing.add_joints(joints(1_000_000_000))
    with refuses(StateError, "joint state", "went back from 1.000000 to 0.500000 s"):
        pairing.add_joints(joints(500_000_000))
    state = pairing.add_joints(joints(1_100_000_000))
    assert state is not None
    assert state.stamp_ns == 1_100_000_000


def test_an_imu_stamp_that_goes_back_is_refused_and_its_values_are_not_used(refuses: Refuses) -> None:
    pairing = robot()
    pairing.add_imu(imu(1_000_000_000, 1.0))
    with refuses(StateError, "IMU", "went back from 1.000000 to 0.900000 s"):
        pairing.add_imu(imu(900_000_000, 2.0))
    state = pairing.add_joints(joints(1))
    assert state is not None
    assert state.angular_velocity[0] == 1.0


def test_equal_stamps_are_no_step_back() -> None:
    pairing = robot()
    pairing.add_imu(imu(1))
    pairing.add_imu(imu(1))
    assert pairing.add_joints(joints(1)) is not None
    assert pairing.add_joints(joints(1)) is not None


@pytest.mark.parametrize("exact", [True, False])
def test_under_simulated_time_a_step_back_is_a_reset(exact: bool) -> None:
    pairing = StatePairing(exact=exact, clock_may_reset=True)
    for stamp in (1_000, 0, 2):
        pairing.add_imu(imu(stamp))
        state = pairing.add_joints(joints(stamp))
        assert state is not None
        assert state.stamp_ns == stamp


def test_reset_forgets_both_halves_and_the_last_stamp() -> None:
    pairing = robot()
    pairing.add_imu(imu(1_000))
    pairing.add_joints(joints(1_000))
    pairing.reset()
    assert pairing.add_joints(joints(0)) is None
    pairing.add_imu(imu(0))
    assert pairing.add_joints(joints(1)) is not None
