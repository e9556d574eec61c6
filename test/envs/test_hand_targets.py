"""Hand targets of the reaching task: what is drawn, where hands are measured, what the network is shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("mujoco")

import humanoid_rl_ros.envs.registration  # noqa: F401
from humanoid_rl_ros.core.errors import ConfigError, ContractError, ModelError
from humanoid_rl_ros.core.hand_targets import HandTargetBounds
from humanoid_rl_ros.envs.hand_score import HandResult, hand_result
from humanoid_rl_ros.envs.hand_targets import HandTargets
from humanoid_rl_ros.envs.humanoid_batch import HumanoidBatch
from humanoid_rl_ros.envs.task_spec import TaskSpec
from humanoid_rl_ros.envs.tasks import make_batch, task_for
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.hands import hand_positions

Refuses = Callable[..., AbstractContextManager[None]]
ROBOT = find_robot("reference")
PLAIN = {"randomisation": None, "curriculum": None, "episode.random_first": False}
TARGETS = np.array([[0.3, 0.1, 0.2], [0.2, -0.3, 0.4]])


def task() -> TaskSpec:
    return task_for("reach", ROBOT, PLAIN)


@pytest.fixture(scope="module")
def batch() -> Iterator[HumanoidBatch]:
    made = make_batch("reach", "reference", 3, overrides=PLAIN, threads=1)
    yield made
    made.close()


def test_targets_are_drawn_from_all_that_the_arms_reach_and_from_nothing_else() -> None:
    sampling = task().hand_targets
    assert sampling is not None
    drawn = HandTargets(sampling, 1, 0.02).drawn(4000, np.random.default_rng(0))
    assert HandTargetBounds(sampling.full).contain(drawn).all()
    low, high = sampling.full.bounds()
    # Near every side of both boxes; the corners are out of reach.
    assert (drawn.min(axis=0) < low + 0.02).all()
    assert (drawn.max(axis=0) > high - 0.02).all()


def test_the_curriculum_leads_from_the_neutral_targets_to_all_of_them() -> None:
    sampling = task().hand_targets
    assert sampling is not None
    sampling = replace(sampling, neutral_share=0.0)
    neutral, hands = sampling.full.neutral, HandTargets(sampling, 2, 0.02)
    goals = []
    for level in (0.0, 0.5, 1.0):
        hands.draw(np.arange(2), level, np.random.default_rng(3))
        goals.append(hands.goal.copy())
    np.testing.assert_allclose(goals[0], [neutral, neutral])
    np.testing.assert_allclose(goals[1], 0.5 * (goals[2] + neutral))
    assert (hands.steps_left >= 100).all()
    assert (hands.steps_left <= 250).all()
    hands.hold(TARGETS)
    hands.draw(np.arange(2), 1.0, np.random.default_rng(4))
    np.testing.assert_array_equal(hands.goal, [TARGETS, TARGETS])
    with pytest.raises(ConfigError, match="3 finite numbers for each of 2 hands"):
        hands.hold(np.full((2, 3), np.nan))


def test_a_share_is_asked_for_nothing_and_is_left_where_hands_hang() -> None:
    sampling = task().hand_targets
    assert sampling is not None
    hands = HandTargets(replace(sampling, neutral_share=0.25), 4000, 0.02)
    hands.draw(np.arange(4000), 1.0, np.random.default_rng(0))
    hands.start(np.arange(4000))
    idle = (hands.goal == sampling.full.neutral).all(axis=(1, 2))
    assert idle.mean() == pytest.approx(0.25, abs=0.03)
    np.testing.assert_array_equal(hands.asked[idle], hands.goal[idle])  # outside the box, and not moved into it
    np.testing.assert_array_equal(hands.current[idle], hands.goal[idle])


def test_hands_are_where_the_model_file_says() -> None:
    """Straight down: the shoulder's place less upper arm and forearm; then forearms to the front, by the elbow."""
    straight, bent = np.zeros(ROBOT.n_joints), np.zeros(ROBOT.n_joints)
    bent[[i for i, name in enumerate(ROBOT.joint_names) if "elbow" in name]] = -0.5 * math.pi
    down, front = hand_positions(ROBOT, np.array([straight, bent]))
    np.testing.assert_allclose(down, [[0.0045, 0.185, -0.1044], [0.0045, -0.185, -0.1044]], atol=1e-9)
    np.testing.assert_allclose(front, [[0.237, 0.185, 0.1371], [0.237, -0.185, 0.1371]], atol=1e-9)
    np.testing.assert_allclose(  # the task's neutral targets are those of the start pose, to a millimetre
        hand_positions(ROBOT, ROBOT.default_position[None])[0], task().hand_targets.full.neutral, atol=1e-3
    )


def test_the_batch_measures_hands_in_the_root_however_it_lies(batch: HumanoidBatch) -> None:
    batch.reset(0)
    simulation, rng = batch.simulation, np.random.default_rng(1)
    qpos = np.tile(simulation.initial_qpos, (3, 1))
    qpos[:, simulation.layout.root_qpos : simulation.layout.root_qpos + 7] = rng.normal(size=(3, 7))
    root = qpos[:, simulation.layout.root_qpos + 3 : simulation.layout.root_qpos + 7]
    root /= np.linalg.norm(root, axis=1, keepdims=True)
    qpos[:, simulation.layout.qpos] = rng.uniform(-0.5, 0.5, (3, ROBOT.n_joints))
    simulation.place(np.arange(3), qpos, np.zeros_like(simulation.qvel))
    expected = hand_positions(ROBOT, qpos[:, simulation.layout.qpos])
    np.testing.assert_allclose(simulation.sensors.hand_position, expected, atol=1e-9)


def test_the_network_is_shown_targets_on_their_way_and_rewards_are_of_the_same(batch: HumanoidBatch) -> None:
    assert batch.hands is not None
    batch.hands.hold(TARGETS)
    labels = batch._builder.labels()
    columns = [labels.index(f"hand_targets[{i}]") for i in range(6)]
    seen = batch.reset(0).policy
    neutral = task().hand_targets.full.neutral
    step = (TARGETS - neutral) / np.linalg.norm(TARGETS - neutral, axis=1, keepdims=True) * 0.6 * 0.02
    for k in range(1, 4):
        np.testing.assert_allclose(seen[:, columns], np.tile(3.0 * (neutral + k * step).ravel(), (3, 1)), rtol=1e-5)
        seen = batch.step(np.zeros((3, len(batch.action_low)), dtype=np.float32)).observation.policy
        assert batch.last_step is not None
        np.testing.assert_allclose(batch.last_step.hand_target, np.tile(neutral + k * step, (3, 1, 1)))
    away = np.linalg.norm(batch.last_step.hand_position - batch.last_step.hand_target, axis=2).mean(axis=1)
    column = batch.reward_names.index("hand_distance")
    np.testing.assert_allclose(batch.last_terms[:, column], -4.0 * 0.02 * away)
    batch.statistics()
    batch.step(np.zeros((3, len(batch.action_low)), dtype=np.float32))
    away = np.linalg.norm(batch.last_step.hand_position - batch.last_step.hand_target, axis=2)
    assert batch.statistics()["task/hand_error"] == pytest.approx(away.mean())
    assert "task/hand_error" not in batch.statistics()


def test_a_batch_goes_on_from_a_checkpoint_to_the_bit() -> None:
    def roll(batch: HumanoidBatch, steps: int) -> np.ndarray:
        return np.array([batch.step(np.zeros((2, 21), dtype=np.float32)).final.critic for _ in range(steps)])

    one, other = (make_batch("reach", "reference", 2, threads=1) for _ in range(2))
    one.reset(5)
    roll(one, 30)
    other.reset(6)
    other.load_state_dict(one.state_dict())
    np.testing.assert_array_equal(roll(one, 150), roll(other, 150))
    one.close()
    other.close()


def test_who_has_no_hands_cannot_reach(refuses: Refuses) -> None:
    with refuses(ConfigError, "reach.yaml", "robot 'reference_humanoid' names none", "give 'hands'"):
        HumanoidBatch(replace(ROBOT, hands=()), task(), 1)
    with refuses(ModelError, "no site or body 'left_paw'"):
        HumanoidBatch(replace(ROBOT, hands=("left_paw", "right_paw")), task(), 1)
    with refuses(ConfigError, "rewards for hands, and no 'hand_targets'"):
        lame = task_for("stand", ROBOT, PLAIN | {"rewards.hand_distance": -1.0})
        HumanoidBatch(ROBOT, lame, 1).step(np.zeros((1, 13), dtype=np.float32))


def test_ranges_that_are_no_mirror_images_need_a_task_that_says_so(refuses: Refuses) -> None:
    uneven = PLAIN | {"hand_targets.right.x": [0.2, 0.3]}
    with refuses(ContractError, "the ranges of the right hand are not the mirror image"):
        make_batch("reach", "reference", 1, overrides=uneven)
    assert make_batch("reach", "reference", 1, overrides=uneven | {"symmetric": False}).mirror is None


def test_a_score_counts_what_is_not_left_out() -> None:
    found = hand_result(np.array([[0.01, 0.04], [np.nan, 0.06], [0.09, np.nan]]))
    assert found == HandResult(pytest.approx(0.05), pytest.approx(0.05), 0.5)
    nothing = hand_result(np.full((2, 2), np.nan))
    assert math.isnan(nothing.mean)
    assert nothing.near == 0.0


def test_gymnasium_tells_and_holds_them(refuses: Refuses) -> None:
    gymnasium = pytest.importorskip("gymnasium")
    with closing(gymnasium.make("humanoid_rl_ros/Reach-v0", overrides=PLAIN)) as env:
        env.reset(seed=0, options={"hand_targets": TARGETS})
        for _ in range(60):
            *_, info = env.step(np.zeros(21, dtype=np.float32))
        np.testing.assert_allclose(info["hand_targets"], TARGETS)
        place = env.unwrapped.batch.last_step.hand_position[0]
        np.testing.assert_allclose(info["hand_error"], np.linalg.norm(place - TARGETS, axis=1))
    with (
        closing(gymnasium.make("humanoid_rl_ros/Stand-v0")) as env,
        refuses(ConfigError, "'stand' has no hand_targets"),
    ):
        env.reset(options={"hand_targets": TARGETS})
