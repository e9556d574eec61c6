"""The bundle that a task promises: joints, gains and scales by the formulas of the task's page."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.envs.task_contract import observation_spec, task_contract
from humanoid_rl_ros.envs.task_spec import TaskSpec, load_task
from humanoid_rl_ros.envs.tasks import task_for, task_names
from humanoid_rl_ros.policies.bundle import HeldJoint, PolicyBundle
from humanoid_rl_ros.policies.contract import require_contract
from humanoid_rl_ros.resources import find_robot, robot_names

Refuses = Callable[..., AbstractContextManager[None]]
Task = Callable[..., TaskSpec]


@pytest.fixture
def robot(robot: RobotSpec) -> RobotSpec:
    """Hip, knee, ankle, arm, with rotors of 0.01, 0.02, 0.03 and 0.04 kg·m²."""
    joints = tuple(replace(joint, armature=0.01 * (i + 1)) for i, joint in enumerate(robot.joints))
    return replace(robot, joints=joints)


@pytest.fixture
def task(tmp_path: Path) -> Task:
    def make(**changes: Any) -> TaskSpec:
        data = {
            "format": 1,
            "name": "lean",
            "control": {"period": 0.02, "pd_rate": 200, "driven": ["knee", "h*"], "clip": 3.0, "effort_share": 0.5},
            "observation": {"terms": [{"term": "joint_pos_rel"}, {"term": "last_action"}]},
            "critic_observation": {"terms": [{"term": "base_lin_vel"}]},
            "commands": {"ranges": {"linear_x": [-0.5, 1.0]}},
            "rewards": {"alive": 1.0},
        }
        file = tmp_path / "lean.yaml"
        file.write_text(yaml.safe_dump(data))
        return load_task(file, "biped", {key.replace("__", "."): value for key, value in changes.items()})

    return make


def test_gains_follow_from_the_rotors(task: Task, robot: RobotSpec) -> None:
    """Of 10 Hz and twice the critical damping: kp = I (20π)² = 3947.8 I, kd = 4 I 20π = 251.33 I."""
    contract = task_contract(task(), robot)
    assert list(contract.joints) == ["hip", "knee"]  # the robot's order, whatever the patterns'
    hip, knee = contract.joints["hip"], contract.joints["knee"]
    assert (hip.kp, hip.kd) == pytest.approx((39.478, 2.5133), rel=1e-4)
    assert (knee.kp, knee.kd) == pytest.approx((78.957, 5.0265), rel=1e-4)
    assert (hip.effort_limit, hip.default_position) == (60.0, -0.1)
    slower = task_contract(task(control__frequency=5.0, control__damping_ratio=1.0), robot).joints["hip"]
    assert (slower.kp, slower.kd) == pytest.approx((39.478 / 4.0, 2.5133 / 4.0), rel=1e-4)


def test_an_action_of_one_is_worth_a_share_of_the_effort_limit(task: Task, robot: RobotSpec) -> None:
    """Half of 60 N·m over 39.478 N·m/rad is 0.7599 rad, half of 40 over 78.957 is 0.2533 rad."""
    contract = task_contract(task(), robot)
    action = contract.action
    assert action.joints == ("hip", "knee")
    assert action.scale == pytest.approx((0.7599, 0.2533), rel=1e-3)
    assert action.offset == (-0.1, 0.3)
    assert (action.clip_lower, action.clip_upper) == ((-3.0, -3.0), (3.0, 3.0))
    assert (action.target_lower, action.target_upper) == ((-math.inf,) * 2, (math.inf,) * 2)
    for joint, scale in zip(contract.joints.values(), action.scale, strict=True):
        assert joint.kp * scale == pytest.approx(0.5 * joint.effort_limit)


def test_the_rest_is_held_with_the_robots_gains(task: Task, robot: RobotSpec) -> None:
    held = task_contract(task(), robot).held
    assert list(held) == ["ankle", "arm"]
    assert held["ankle"] == HeldJoint(-0.2, 10.0, 0.5, 15.0)
    everything = task_contract(task(control__driven=["*"]), robot)
    assert list(everything.joints) == ["hip", "knee", "ankle", "arm"]
    assert not everything.held


def test_the_robots_own_gains_may_be_taken(task: Task, robot: RobotSpec) -> None:
    hip = task_contract(task(control__gains="robot"), robot).joints["hip"]
    assert (hip.kp, hip.kd) == (40.0, 2.0)


def test_the_soft_effort_limit_is_the_bundles(task: Task, robot: RobotSpec) -> None:
    assert task_contract(task(), robot).soft_effort_limit == 1.0
    assert task_contract(task(control__soft_effort_limit=0.8), robot).soft_effort_limit == 0.8


def test_what_is_observed_is_what_the_task_says(task: Task, robot: RobotSpec) -> None:
    contract = task_contract(task(gait={"period": 0.5, "stand_threshold": 0.2}), robot)
    assert contract.observation.joints == ("hip", "knee")
    assert contract.observation.default_position == (-0.1, 0.3)
    assert contract.observation_builder(robot.joint_names).labels() == [
        *("joint_pos_rel[0]", "joint_pos_rel[1]"),
        *("last_action[0]", "last_action[1]"),
    ]
    assert (contract.control_period, contract.pd_rate) == (0.02, 200.0)
    assert contract.command.linear_x == (-0.5, 1.0)
    assert contract.gait is not None
    assert contract.observation.stand_threshold == 0.2
    critic = observation_spec(task(), robot, ("hip", "knee"), critic=True)
    assert [term.term for block in critic.blocks for term in block.terms] == ["base_lin_vel"]


@pytest.mark.parametrize("name", robot_names())
@pytest.mark.parametrize("task_name", task_names())
def test_every_shipped_task_makes_a_contract_for_every_shipped_robot(task_name: str, name: str) -> None:
    robot = find_robot(name)
    contract: PolicyBundle = task_contract(task_for(task_name, robot), robot)
    require_contract(contract, robot)
    assert set(contract.joints) | set(contract.held) == set(robot.joint_names)
    stiffness = np.array([joint.kp for joint in contract.joints.values()])
    assert (stiffness > 5.0).all()


def test_what_cannot_be_promised_is_refused(task: Task, robot: RobotSpec, refuses: Refuses) -> None:
    with refuses(ConfigError, "lean.yaml", "no joint of robot 'biped'", "'*elbow*'", "hip, knee, ankle, arm"):
        task_contract(task(control__driven=["hip", "*elbow*"]), robot)
    light = replace(robot, joints=(robot.joints[0], replace(robot.joints[1], armature=0.0), *robot.joints[2:]))
    with refuses(ConfigError, "robot 'biped'", "joint 'knee'", "no armature"):
        task_contract(task(), light)
    loose = replace(robot, joints=(replace(robot.joints[0], kp=0.0), *robot.joints[1:]))
    with refuses(ConfigError, "robot 'biped'", "joint 'hip'", "no kp"):
        task_contract(task(control__gains="robot"), loose)
    with refuses(ConfigError, "lean.yaml", "'observation' must be a mapping", "'all'"):
        task_contract(task(observation="all"), robot)
    with refuses(ConfigError, "lean.yaml", "observation", "joint_pos_rl", "did you mean 'joint_pos_rel'?"):
        task_contract(task(observation={"terms": [{"term": "joint_pos_rl"}]}), robot)
