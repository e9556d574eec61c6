"""A simulated robot under policy and monitor, in one process: it walks, falls, gets up and walks on."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip("mujoco")
pytest.importorskip("onnxruntime")

from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.cli.bench_falls import FallOptions, run_falls
from humanoid_rl_ros.cli.drill import Cast, Drill
from humanoid_rl_ros.core.errors import HumanoidError
from humanoid_rl_ros.core.state import VelocityCommand
from humanoid_rl_ros.resources import find_policy, find_robot
from humanoid_rl_ros.safety.limits import SafetyLimits
from humanoid_rl_ros.safety.status import SafetyState


def cast(**limits: float) -> Cast:
    return Cast(find_robot("reference"), find_policy("walk"), find_policy("get_up"), SafetyLimits(**limits))


def shoved(drill: Drill) -> Drill:
    """Over."""
    drill.arm()
    drill.command = VelocityCommand(0.5)
    drill.run(2.0)
    drill.push([2.5, 0.0, 0.0])
    assert drill.run(1.5, until=SafetyState.FALLING)
    return drill


def test_pushed_over_while_walking_it_gets_up_and_walks_on() -> None:
    drill = shoved(Drill(cast()))
    assert not drill.lies()  # known before it is over
    began = drill.time
    for _ in range(20):
        before = drill.state.joint_velocity
        drill.step()
        assert (drill.backend.data.ctrl * before <= 0.0).all()  # limp: no joint is driven, whatever the policy wants
    assert drill.run(20.0, until=SafetyState.ACTIVE)
    assert drill.time - began < 20.0
    before = drill.backend.ground_truth().base_position
    drill.run(6.0)
    after = drill.backend.ground_truth().base_position
    assert math.dist(before[:2], after[:2]) > 2.0  # 0.5 m/s, and some time to get going
    assert drill.safety is SafetyState.ACTIVE
    status = drill.monitor.status
    assert (status.counters.falls, status.counters.recoveries) == (1, 1)


def test_what_cannot_get_up_ends_in_the_emergency_stop_damped() -> None:
    # Efforts of a hundredth lift nothing.
    drill = shoved(Drill(cast(recovery_effort_scale=0.01, recovery_time=0.5)))
    assert drill.run(20.0, until=SafetyState.ESTOP)
    assert drill.monitor.status.reason == "recovery_failed"
    drill.run(1.0)
    assert drill.lies()
    assert abs(drill.state.joint_velocity).max() < 0.5


def test_two_drills_are_the_same_to_the_bit() -> None:
    one, other = (shoved(Drill(cast())) for _ in range(2))
    for drill in (one, other):
        drill.run(4.0)
    assert one.state.joint_position.tobytes() == other.state.joint_position.tobytes()
    assert one.monitor.status == other.monitor.status


def test_a_robot_that_cannot_be_armed_says_why(refuses) -> None:  # type: ignore[no-untyped-def]
    drill = Drill(cast())
    drill.monitor.emergency_stop(0)
    with refuses(HumanoidError, "reference_humanoid", "cannot be armed", "emergency stop"):
        drill.arm()


@pytest.mark.slow
@pytest.mark.parametrize("robot", ["reference", "g1"])
def test_of_a_hundred_falls_at_least_ninety_five_are_recovered(robot: str) -> None:
    from rich.console import Console

    assert run_falls(FallOptions(robot, count=100, seed=7), json_file=None, console=Console(quiet=True)) >= 0.95


@pytest.mark.parametrize("blend", [0.1, 0.5])
def test_a_robot_walks_on_through_a_change_of_policy(blend: float) -> None:
    robot = find_robot("reference")
    policies = {name: find_policy(name) for name in ("walk", "stand_sac")}
    drill = Drill(Cast(robot, policies["walk"], None, SafetyLimits()))
    walk = drill.conductor.policy
    stand = PolicyBehaviour(policies["stand_sac"], robot, policies["stand_sac"].load_network())
    drill.arm()
    drill.command = VelocityCommand(0.4, 0.0, 0.0)
    drill.run(3.0)
    start = drill.backend.ground_truth().base_position
    drill.command = VelocityCommand()
    drill.run(1.5)
    drill.conductor.switch(stand, blend=blend)
    drill.run(2.0)
    drill.conductor.switch(walk, blend=blend)
    drill.command = VelocityCommand(0.4, 0.0, 0.0)
    drill.run(3.0)
    assert drill.safety is SafetyState.ACTIVE
    assert drill.monitor.status.counters.faults == 0
    assert np.linalg.norm(drill.backend.ground_truth().base_position - start) > 0.8
