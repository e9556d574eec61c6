"""The policies that come with the package do what the package says of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mujoco")

from demo_runs import demo_result, run_command
from recorded_demo import record_demo

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.envs.evaluation import EvaluationSpec, evaluate
from humanoid_rl_ros.envs.humanoid_batch import HumanoidBatch
from humanoid_rl_ros.envs.tasks import task_for
from humanoid_rl_ros.policies.contract import require_contract
from humanoid_rl_ros.policies.onnx_policy import OnnxPolicy
from humanoid_rl_ros.resources import default_policy, find_policy, find_robot, policy_names

COMMANDS = ((0.5, 0.0, 0.0), (0.0, 0.2, 0.0), (0.0, 0.0, 0.5), (-0.3, 0.0, 0.0), (0.0, 0.0, 0.0))
PUSH = 0.4  # m/s


@dataclass(frozen=True)
class Shipped:
    """A policy, the robot it is for, and the task it was trained on."""

    policy: str
    robot: str
    task: str
    commands: tuple[tuple[float, float, float], ...] = COMMANDS


DEFAULTS = [Shipped("walk", "reference", "walk"), Shipped("walk_g1", "g1", "walk")]
ADAPTIVE = Shipped("walk_adaptive", "reference", "walk_adaptive")
WALKERS = [*DEFAULTS, ADAPTIVE]
TRAINED = [*WALKERS, Shipped("stand_sac", "reference", "stand", commands=COMMANDS[4:])]
REACHING = Shipped("reach", "reference", "reach", commands=COMMANDS[4:])


def _robot(shipped: Shipped) -> Any:
    robot = find_robot(shipped.robot)
    try:
        assert robot.model is not None
        robot.model.locate()
    except ConfigError as missing:
        pytest.skip(str(missing))
    return robot


def _survivors(shipped: Shipped, spec: EvaluationSpec) -> list[Any]:
    bundle = find_policy(shipped.policy)
    network = bundle.load_network()
    assert isinstance(network, OnnxPolicy)
    return evaluate(_robot(shipped), shipped.task, network.infer_batch, spec, contract=bundle)


def test_all_are_named_here() -> None:
    assert set(policy_names()) == {
        "stand",
        "get_up",
        "get_up_g1",
        *(shipped.policy for shipped in [*TRAINED, REACHING]),
    }


@pytest.mark.parametrize("shipped", [*TRAINED, REACHING], ids=lambda s: s.policy)
def test_they_fit_their_robots_and_need_only_sensors(shipped: Shipped) -> None:
    bundle = find_policy(shipped.policy)
    assert bundle.weights.sha256
    assert not bundle.needs_base_linear_velocity
    require_contract(bundle, find_robot(shipped.robot))


@pytest.mark.parametrize("shipped", DEFAULTS, ids=lambda s: s.policy)
def test_a_robot_walks_when_nobody_names_a_policy(shipped: Shipped) -> None:
    assert default_policy(find_robot(shipped.robot)) == shipped.policy


@pytest.mark.parametrize("shipped", WALKERS, ids=lambda s: s.policy)
def test_they_walk_as_commanded(shipped: Shipped) -> None:
    results = _survivors(shipped, EvaluationSpec(COMMANDS, repeats=1, seconds=8.0))
    assert all(result.survival == 1.0 for result in results)
    for result in results:
        assert abs(result.velocity[0] - result.command[0]) <= 0.1, result
        assert abs(result.velocity[1] - result.command[1]) <= 0.1, result
    turning = results[2]
    assert turning.velocity[2] == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize("shipped", TRAINED, ids=lambda s: s.policy)
def test_they_stand_pushes_noise_and_other_bodies(shipped: Shipped) -> None:
    spec = EvaluationSpec(
        shipped.commands,
        repeats=4,
        seconds=9.0,
        push_speed=PUSH,
        push_period=2.0,
        friction=(0.4, 1.2),
        mass=(0.9, 1.1),
        noise=1.0,
        seed=5,
    )
    assert [result.survival for result in _survivors(shipped, spec)] == [1.0] * len(shipped.commands)


def test_hands_get_where_they_are_asked_to_be() -> None:
    (result,) = _survivors(REACHING, EvaluationSpec(REACHING.commands, repeats=12, seconds=9.0))
    assert result.survival == 1.0
    assert result.velocity_error < 0.05
    assert result.hands is not None
    assert result.hands.median < 0.035
    assert result.hands.near > 0.8


def test_hands_that_are_asked_for_nothing_are_still() -> None:
    robot, bundle = find_robot(REACHING.robot), find_policy(REACHING.policy)
    task = task_for("reach", robot, {"hand_targets.neutral_share": 1.0, "randomisation.push_speed": 0.0})
    env = HumanoidBatch(robot, task, 4, contract=bundle, threads=1)
    act = bundle.load_network().infer_batch
    seen, actions = env.reset(0), []
    for _ in range(400):
        actions.append(act(seen.policy).copy())
        seen = env.step(actions[-1]).observation
    env.close()
    changes = np.square(np.diff(np.array(actions)[200:], axis=0)).sum(axis=2)
    assert changes.mean() < 0.5


def _demo(shipped: Shipped, folder: Path, command: tuple[float, float, float], seconds: float) -> dict[str, Any]:
    options = ["--robot", shipped.robot, "--policy", shipped.policy, "--seconds", seconds, "--command", *command]
    return demo_result(folder, *options, timeout=600)


def _assert_walked(result: dict[str, Any], command: tuple[float, float, float]) -> None:
    assert not result["fell"]
    assert result["safety_state"] == "ACTIVE"
    assert result["faults"] == 0
    if command[0] != 0.0:
        assert result["mean_speed"] == pytest.approx(command[0], abs=0.1)


@pytest.mark.slow
@pytest.mark.ros
def test_the_default_walks_through_the_graph(tmp_path: Path) -> None:
    _assert_walked(_demo(WALKERS[0], tmp_path, COMMANDS[0], 10.0), COMMANDS[0])


@pytest.mark.ros
@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS, ids=str)
@pytest.mark.parametrize("shipped", WALKERS, ids=lambda s: s.policy)
def test_a_minute_through_the_graph(shipped: Shipped, command: tuple[float, float, float], tmp_path: Path) -> None:
    _robot(shipped)
    _assert_walked(_demo(shipped, tmp_path, command, 60.0), command)


@pytest.mark.ros
@pytest.mark.slow
def test_a_policy_with_a_history_is_recorded_and_replayed_to_the_bit(tmp_path: Path) -> None:
    """What it sees of the last steps is made again from the recorded states alone; hills and load are not recorded."""
    assert find_policy("walk_adaptive").observation.blocks[0].history is not None
    hardship = ["--terrain", 0.05, "--payload", 0.1]
    bag = record_demo(tmp_path, "--policy", "walk_adaptive", "--seconds", 6, *hardship)
    result = tmp_path / "replay.json"
    done = run_command("bag", "replay", bag, "--json", result, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(result.read_text())
    assert found["identical"]
    topics = {name: count for node in found["nodes"].values() for name, count in node["topics"].items()}
    assert topics["policy/observation"]["identical"] == topics["policy/observation"]["recorded"] > 200


@pytest.mark.slow
@pytest.mark.parametrize("shipped", TRAINED, ids=lambda s: s.policy)
def test_a_minute_of_everything_at_once(shipped: Shipped) -> None:
    for push, seed in ((0.0, 1), (PUSH, 2)):
        spec = EvaluationSpec(
            shipped.commands,
            repeats=16,
            seconds=60.0,
            push_speed=push,
            friction=(0.4, 1.2),
            mass=(0.9, 1.1),
            noise=1.0,
            seed=seed,
        )
        assert [result.survival for result in _survivors(shipped, spec)] == [1.0] * len(shipped.commands)


@pytest.mark.ros
@pytest.mark.slow
def test_hands_get_there_through_the_graph(tmp_path: Path) -> None:
    result = _demo(REACHING, tmp_path, (0.0, 0.0, 0.0), 20.0)
    _assert_walked(result, (0.0, 0.0, 0.0))
    assert result["hands"]["median"] < 0.05
    assert result["hands"]["near"] > 0.5
