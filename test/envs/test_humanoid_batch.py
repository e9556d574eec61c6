"""Many humanoids at a task: physics, sensors, mirror, randomness, ends and exact states, each against its own law."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rocking_policy import rocking_law

pytest.importorskip("mujoco")

from humanoid_rl_ros.core.arrays import Float32Array, FloatArray
from humanoid_rl_ros.core.errors import ConfigError, ModelError, PolicyError
from humanoid_rl_ros.core.observation import ObservationBuilder
from humanoid_rl_ros.core.robot import ImuSpec, RobotSpec
from humanoid_rl_ros.core.rotations import projected_gravity
from humanoid_rl_ros.envs.batch_env import BatchEnv, BatchStep
from humanoid_rl_ros.envs.humanoid_batch import HumanoidBatch
from humanoid_rl_ros.envs.task_contract import observation_spec, task_contract
from humanoid_rl_ros.envs.tasks import task_for
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.batch_simulation import BatchSimulation
from humanoid_rl_ros.simulation.symmetry import robot_mirror

Refuses = Callable[..., AbstractContextManager[None]]
Make = Callable[..., HumanoidBatch]
PLAIN: Mapping[str, Any] = {"randomisation": None, "curriculum": None, "episode.random_first": False}
ROBOT = find_robot("reference")
LOADS = {"payload": [0.0, 0.3], "payload_place": 0.1, "payload_on": "*torso*", "weak_joint": [0.1, 0.9]}
HISTORY = {"length": 3, "layout": "term_major", "order": "newest_first", "first_fill": "first_frame"}


@pytest.fixture
def make() -> Iterator[Make]:
    """A batch of the reference humanoid with nothing random but what is asked for."""
    made: list[HumanoidBatch] = []

    def batch(
        n: int = 1,
        overrides: Mapping[str, Any] | None = None,
        *,
        task: str = "walk",
        robot: RobotSpec = ROBOT,
        **more: Any,
    ) -> HumanoidBatch:
        wanted: dict[str, Any] = dict(PLAIN)
        for key, value in (overrides or {}).items():
            # In the place of the task's own, not laid over them.
            nested = value.items() if key in ("randomisation", "curriculum") else ()
            wanted |= {f"{key}.{name}": number for name, number in nested} or {key: value}
        spec = task_for(task, robot, wanted)
        made.append(HumanoidBatch(robot, spec, n, **{"auto_reset": False, "threads": 1, **more}))
        return made[-1]

    yield batch
    for one in made:
        one.close()


def actions(batch: HumanoidBatch, steps: int, seed: int = 0, size: float = 1.0) -> Float32Array:
    """Actions that wander [Shape (steps, n, a)]."""
    walk = np.cumsum(np.random.default_rng(seed).normal(size=(steps, batch.n_envs, len(batch.action_low))), axis=0)
    return (size * np.tanh(0.5 * walk)).astype(np.float32)


def same(one: BatchStep, other: BatchStep) -> None:
    np.testing.assert_array_equal(one.observation.policy, other.observation.policy)
    np.testing.assert_array_equal(one.observation.critic, other.observation.critic)
    np.testing.assert_array_equal(one.final.policy, other.final.policy)
    np.testing.assert_array_equal(one.reward, other.reward)
    np.testing.assert_array_equal(one.terminated, other.terminated)
    np.testing.assert_array_equal(one.truncated, other.truncated)


def still(batch: HumanoidBatch) -> Float32Array:
    """The start pose is asked for."""
    return np.zeros((batch.n_envs, len(batch.action_low)), dtype=np.float32)


def labels_of(batch: HumanoidBatch) -> list[str]:
    return batch.contract.observation_builder(batch.robot.joint_names).labels()


def columns(batch: HumanoidBatch, term: str) -> list[int]:
    """Where a term stands in what the actor sees."""
    return [k for k, label in enumerate(labels_of(batch)) if label.startswith(f"{term}[")]


def critic_columns(batch: HumanoidBatch, term: str) -> list[int]:
    """Where a term stands in what the critic sees."""
    spec = observation_spec(batch.task, batch.robot, tuple(batch.contract.joints), critic=True)
    sizes = {"n_actions": len(batch.contract.joints), "n_phases": 2}
    labels = ObservationBuilder(spec, batch.robot.joint_names, **sizes).labels()
    return [k for k, label in enumerate(labels) if label.startswith(f"{term}[")]


def told(batch: HumanoidBatch, critic: Float32Array) -> dict[str, FloatArray]:
    """What the critic is told besides its observation, as the page on tasks lists it."""
    names = ("height", "friction", "mass", "centre_x", "centre_y", "centre_z", "delay", "mean_x", "mean_y", "mean_yaw")
    feet = 2 * len(batch.simulation.foot_names)
    extra = critic[:, -len(names) - feet : -feet].astype(np.float64)
    return dict(zip(names, extra.T, strict=True))


# What is seen.


def test_is_a_batch_env(make: Make) -> None:
    batch = make(3)
    env: BatchEnv = batch
    seen = env.reset(0)
    assert seen.policy.shape == (3, env.observation_size) == (3, len(labels_of(batch)))
    assert seen.critic.shape == (3, env.critic_size)
    assert seen.policy.dtype == seen.critic.dtype == np.float32
    step = env.step(still(batch))
    assert step.observation is step.final  # nobody's episode ended
    assert step.reward.shape == (3,)
    np.testing.assert_allclose(step.reward, batch.last_terms.sum(axis=1))
    np.testing.assert_array_equal(env.action_low, -env.action_high)


def test_standing_in_the_start_pose_looks_as_it_should(make: Make) -> None:
    batch = make(2)
    batch.hold_command(np.array([[0.5, -0.2, 0.3], [0.0, 0.0, 0.0]]))
    seen = dict(zip(labels_of(batch), batch.reset(0).policy.T, strict=True))
    for label, value in seen.items():
        expected = {
            "projected_gravity[2]": (-1.0, -1.0),
            "gait_phase_cos[0]": (1.0, 0.0),
            "gait_phase_cos[1]": (-1.0, 0.0),
        }
        expected |= {f"velocity_commands[{i}]": (v, 0.0) for i, v in enumerate((0.5, -0.2, 0.3))}
        np.testing.assert_allclose(value, expected.get(label, (0.0, 0.0)), atol=1e-6, err_msg=label)


def test_velocity_is_along_the_heading_and_height_above_the_start(make: Make) -> None:
    """A robot that looks to the left, leans forward and flies: forward is where its x axis points on the floor."""
    batch = make(2)
    batch.hold_command(np.zeros(3))
    batch.reset(0)
    simulation, yaw, pitch = batch.simulation, 0.5 * math.pi, 0.3
    qpos, qvel = np.tile(simulation.initial_qpos, (2, 1)), np.zeros((2, simulation.model.nv))
    qpos[:, 2] += 1.0
    half = np.array([math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)])
    lean = np.array([math.cos(pitch / 2), 0.0, math.sin(pitch / 2), 0.0])
    w, z, c, s = half[0], half[3], lean[0], lean[2]
    qpos[1, 3:7] = [w * c, -z * s, w * s, z * c]  # turn ⊗ lean
    qvel[:, :3] = [0.4, 1.0, 0.0]
    simulation.place(np.arange(2), qpos, qvel)
    batch.step(still(batch))
    step = batch.last_step
    assert step is not None
    np.testing.assert_allclose(step.linear_velocity[0], [0.4, 1.0, -9.81 * 0.02], atol=0.01)
    np.testing.assert_allclose(step.linear_velocity[1], [1.0, -0.4, -9.81 * 0.02], atol=0.01)
    np.testing.assert_allclose(step.height - step.nominal_height, 1.0, atol=0.005)
    np.testing.assert_allclose(step.gravity[1], [math.sin(pitch), 0.0, -math.cos(pitch)], atol=1e-3)
    np.testing.assert_allclose(step.foot_distance, 0.17, atol=0.01)
    np.testing.assert_array_equal(step.foot_force, 0.0)


def test_the_critic_sees_the_truth_that_the_actor_does_not(make: Make) -> None:
    noise = {
        "gyro_noise": 0.2,
        "tilt_noise": 0.05,
        "position_noise": 0.01,
        "velocity_noise": 1.0,
        "encoder_offset": 0.05,
    }
    noisy, clear = make(2, {"randomisation": noise}), make(2)
    for batch in (noisy, clear):
        batch.hold_command(np.array([0.3, 0.0, 0.0]))
    seen, true = noisy.reset(0), clear.reset(0)
    np.testing.assert_array_equal(seen.critic, true.critic)
    gyro, command, joints = (columns(noisy, t) for t in ("base_ang_vel", "velocity_commands", "joint_pos_rel"))
    assert (seen.policy[:, gyro] != true.policy[:, gyro]).all()
    np.testing.assert_array_equal(seen.policy[:, command], true.policy[:, command])
    assert 0.04 < np.abs(seen.policy[:, joints] - true.policy[:, joints]).max() <= 0.06


# Physics.


def test_one_robot_moves_as_it_does_in_company(make: Make) -> None:
    many, one = make(5, threads=3), make(1)
    for batch in (many, one):
        batch.hold_command(np.array([0.3, 0.0, 0.0]))
    together = actions(many, 60)
    np.testing.assert_array_equal(many.reset(0).policy[3], one.reset(7).policy[0])
    for action in together:
        a, b = many.step(action), one.step(action[3:4])
        np.testing.assert_array_equal(a.final.policy[3], b.final.policy[0])
        np.testing.assert_array_equal(a.final.critic[3], b.final.critic[0])
        # A matrix product rounds as its size has it.
        assert a.reward[3] == pytest.approx(b.reward[0], rel=1e-9)


def test_an_action_is_a_target_around_the_start_pose(make: Make) -> None:
    """Against the simulation itself, told the targets by hand; what is beyond the clip counts as the clip."""
    batch = make(1)
    batch.reset(0)
    contract, plain = batch.contract, make(1).simulation
    driven = [ROBOT.joint_names.index(name) for name in contract.joints]
    bounds = batch.action_low, batch.action_high
    for action in actions(batch, 20, size=1.2 * float(batch.action_high[0])):
        target = ROBOT.default_position.copy()
        target[driven] += np.array(contract.action.scale) * np.clip(action[0].astype(np.float64), *bounds)
        batch.step(action)
        plain.step(target[None])
        np.testing.assert_allclose(batch.simulation.qpos, plain.qpos, atol=1e-12)


def test_welded_arms_change_the_robot_little(make: Make) -> None:
    whole, welded = make(1), make(1, {"control.held_joints": "welded"})
    assert welded.robot.joint_names == tuple(name for name in ROBOT.joint_names if name in whole.contract.joints)
    for batch in (whole, welded):
        batch.hold_command(np.array([0.3, 0.0, 0.0]))
    weight, bias = rocking_law(ROBOT, whole.contract, 0.1)
    a, b = whole.reset(0), welded.reset(0)
    np.testing.assert_allclose(b.policy, a.policy, atol=1e-6)
    for _ in range(100):
        for batch in (whole, welded):
            seen = batch.step((a.policy if batch is whole else b.policy) @ weight.T + bias).final
            a, b = (seen, b) if batch is whole else (a, seen)
    # Both rock alike: the arms swing by little.
    gravity = columns(whole, "projected_gravity")
    np.testing.assert_allclose(b.policy[:, gravity], a.policy[:, gravity], atol=0.02)
    assert np.abs(a.policy[:, columns(whole, "joint_pos_rel")]).max() > 0.05


# The mirror.


def _mirrored(batch: HumanoidBatch, qpos: FloatArray, qvel: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What a mirror on the x-z plane makes of places, rotations and velocities [Shape (nq,)], [Shape (nv,)]."""
    place, joints = batch.simulation.layout, robot_mirror(batch.simulation.model, batch.robot)
    position, velocity = qpos.copy(), qvel.copy()
    position[:7] = qpos[:7] * [1, -1, 1, 1, -1, 1, -1]
    velocity[:6] = qvel[:6] * [1, -1, 1, -1, 1, -1]
    position[place.qpos], velocity[place.dof] = joints.apply(qpos[place.qpos]), joints.apply(qvel[place.dof])
    return position, velocity


@pytest.mark.parametrize("task", ["walk", "stand", "get_up"])
def test_a_mirrored_robot_sees_and_earns_the_same_in_the_mirror(make: Make, task: str) -> None:
    """Two robots, one the mirror image of the other, given mirrored actions; nothing random."""
    history = {"observation.history": HISTORY} if task == "stand" else {}
    batch = make(2, history, task=task)
    mirror = batch.mirror
    assert mirror is not None
    command = np.array([0.4, 0.2, -0.3]) if task == "walk" else np.zeros(3)
    batch.hold_command(np.stack([command, command * [1.0, -1.0, -1.0]]))
    batch.reset(0)
    rng, simulation, place = np.random.default_rng(0), batch.simulation, batch.simulation.layout
    qpos, qvel = simulation.initial_qpos.copy(), rng.normal(0.0, 0.2, simulation.model.nv)
    qpos[place.qpos] += rng.uniform(-0.1, 0.1, ROBOT.n_joints)
    qpos[:3] += [0.3, 0.1, 0.01]
    qpos[3:7] = [math.cos(0.2), 0.0, 0.05, math.sin(0.2)]
    qpos[3:7] /= np.linalg.norm(qpos[3:7])
    there = _mirrored(batch, qpos, qvel)
    simulation.place(np.arange(2), np.stack([qpos, there[0]]), np.stack([qvel, there[1]]))
    if batch.contract.gait is not None:
        # Left and right change places in the clock too.
        state = batch.state_dict()
        state["phase"][1] = state["phase"][0, ::-1]
        batch.load_state_dict(state)
    lifted = False
    for action in actions(batch, 50, size=0.6):
        action[1] = mirror.action.apply(action[0])
        step = batch.step(action)
        np.testing.assert_allclose(step.final.policy[1], mirror.policy.apply(step.final.policy[0]), atol=1e-4)
        np.testing.assert_allclose(step.final.critic[1], mirror.critic.apply(step.final.critic[0]), atol=1e-4)
        np.testing.assert_allclose(batch.last_terms[1], batch.last_terms[0], atol=1e-5)
        assert step.terminated[0] == step.terminated[1]
        force = simulation.sensors.foot_force[0]
        lifted |= bool((force == 0.0).any()) and bool((force > 0.0).any())
    assert lifted
    assert np.abs(step.final.policy[1] - step.final.policy[0]).max() > 0.1


def test_a_task_that_is_not_symmetric_has_no_mirror(make: Make) -> None:
    assert make(1, {"symmetric": False}).mirror is None


# What is random.


def test_an_encoder_that_is_off_moves_what_the_law_reaches_for(make: Make) -> None:
    """True positions are the target's, the encoder reads e more: the first effort is −kp e, and the actor sees e."""
    overrides = {"randomisation": {"encoder_offset": 0.02}, "control.pd_rate": 50}
    batch = make(3, overrides)
    seen = batch.reset(1)
    offset = seen.policy[:, columns(batch, "joint_pos_rel")].astype(np.float64)
    assert 0.01 < np.abs(offset).max() < 0.02
    np.testing.assert_array_equal(seen.critic[:, critic_columns(batch, "joint_pos_rel")], 0.0)
    batch.step(still(batch))
    kp = np.array([joint.kp for joint in batch.contract.joints.values()])
    driven = [batch.robot.joint_names.index(name) for name in batch.contract.joints]
    np.testing.assert_allclose(batch.simulation.sensors.effort[:, driven], -kp * offset, rtol=1e-4, atol=1e-6)


def test_targets_are_late_by_what_the_critic_is_told(make: Make) -> None:
    batch = make(20, {"randomisation": {"delay": 0.02}})
    batch.reset(1)
    batch.step(actions(batch, 1)[0])  # what was asked before a reset is forgotten
    delay = np.round(4.0 * told(batch, batch.reset(2).critic)["delay"]).astype(int)  # in periods of four physics steps
    assert set(delay.tolist()) <= {0, 1, 2, 3, 4}
    assert len(set(delay.tolist())) > 2
    contract = batch.contract
    plain = make(20, {"control.period": 0.005}).simulation
    assert plain.substeps == 1
    driven = [ROBOT.joint_names.index(name) for name in contract.joints]
    before = np.tile(ROBOT.default_position, (20, 1))
    for action in actions(batch, 15):
        target = np.tile(ROBOT.default_position, (20, 1))
        target[:, driven] += np.array(contract.action.scale) * action.astype(np.float64)
        batch.step(action)
        for k in range(4):
            plain.step(np.where((k < delay)[:, None], before, target))
        before = target
        np.testing.assert_allclose(batch.simulation.qpos, plain.qpos, atol=1e-9)


def test_bodies_are_drawn_for_each_episode_and_told_to_the_critic(make: Make) -> None:
    overrides = {"randomisation": {"friction": [0.3, 0.9], "mass": [0.8, 1.2], "centre_of_mass": 0.05}}
    batch = make(4, overrides, auto_reset=True)
    first = told(batch, batch.reset(3).critic)
    friction, mass = first["friction"], first["mass"]
    assert ((friction >= 0.3) & (friction <= 0.9)).all()
    assert len(set(friction.tolist())) == len(set(mass.tolist())) == 4
    assert 0.0 < np.abs(first["centre_y"]).max() <= 0.5
    # A robot's weight rests on its feet after the first contact; heavier ones press more.
    for _ in range(25):
        batch.step(still(batch))
    weight = batch.simulation.model.body_mass.sum() * 9.81
    np.testing.assert_allclose(batch.simulation.sensors.foot_force.sum(axis=1), (1.0 + mass) * weight, rtol=0.25)
    batch.simulation.qpos[1, 2] = 0.0  # the second robot falls
    step = batch.step(still(batch))
    assert step.terminated.tolist() == [False, True, False, False]
    np.testing.assert_array_equal(told(batch, step.final.critic)["friction"], friction)
    again = told(batch, step.observation.critic)["friction"]
    np.testing.assert_array_equal(again[[0, 2, 3]], friction[[0, 2, 3]])
    assert again[1] != friction[1]


def loads_of(batch: HumanoidBatch, critic: Float32Array) -> dict[str, FloatArray]:
    """What the critic of `walk_adaptive` is told last: hills, load and its place, and what each joint lacks."""
    told_last = critic[:, -(5 + ROBOT.n_joints) :].astype(np.float64)
    return {"hills": told_last[:, 0] / 10, "load": told_last[:, 1] / 5, "place": told_last[:, 2:5] / 10} | {
        "lack": told_last[:, 5:]
    }


def test_loads_weak_joints_and_hills_are_drawn_for_each_episode_and_told_to_the_critic(make: Make) -> None:
    ranges = {"payload": [0.1, 0.2], "payload_place": 0.05, "weak_joint": [0.3, 0.5], "weak_joints": ["*knee*"]}
    hills = {"terrain.height": [0.04, 0.08], "terrain.flat_share": 0.0}
    batch = make(4, {"randomisation": ranges, **hills}, task="walk_adaptive", auto_reset=True)
    first = loads_of(batch, batch.reset(3).critic)
    assert ((first["hills"] >= 0.04) & (first["hills"] <= 0.08)).all()
    assert ((first["load"] >= 0.1) & (first["load"] <= 0.2)).all()
    assert 0.0 < np.abs(first["place"]).max() <= 0.05 + 1e-6
    weak = first["lack"] > 0.0
    assert {ROBOT.joint_names[i] for i in np.flatnonzero(weak.any(axis=0))} <= {"left_knee_joint", "right_knee_joint"}
    assert (weak.sum(axis=1) == 1).all()
    assert ((first["lack"][weak] >= 0.5) & (first["lack"][weak] <= 0.7)).all()
    for _ in range(25):
        batch.step(still(batch))
    weight = batch.simulation.model.body_mass.sum() * 9.81
    carried = batch.simulation.sensors.foot_force.sum(axis=1)
    np.testing.assert_allclose(carried, (1.0 + first["load"]) * weight, rtol=0.25)
    batch.simulation.qpos[1, 2] = 0.0  # the second robot falls
    step = batch.step(still(batch))
    assert step.terminated.tolist() == [False, True, False, False]
    again = loads_of(batch, step.observation.critic)
    for name in ("hills", "load"):
        np.testing.assert_array_equal(again[name][[0, 2, 3]], first[name][[0, 2, 3]])
        assert again[name][1] != first[name][1]


def test_who_stands_on_a_hill_is_as_high_as_on_the_floor(make: Make) -> None:
    """Heights are from the ground: nobody falls, or lifts a foot, by standing elsewhere."""
    hills = {"terrain.height": [0.2, 0.2], "terrain.flat_share": 0.0, "terrain.wavelength": 3.0, "terrain.size": 12.0}
    batch = make(8, {"randomisation": {"friction": [1.0, 1.0]}, **hills}, task="walk_adaptive")
    batch.hold_command(np.zeros(3))
    batch.reset(0)
    for _ in range(15):
        batch.step(still(batch))
    step, z = batch.last_step, batch.simulation.base_position[:, 2]
    assert step is not None
    assert np.ptp(z) > 0.08
    np.testing.assert_allclose(step.height, step.nominal_height, atol=0.04)
    assert np.abs(step.foot_height).max() < 0.04
    assert len(np.unique(np.round(batch.simulation.base_position[:, :2], 2), axis=0)) == 8


def test_who_lies_anew_lies_on_the_even_floor_first_whatever_was_there_before(make: Make) -> None:
    """Where robots come to lie is found without hills and loads; so a seed is a whole run here too."""
    hard = {"randomisation": LOADS, "terrain": {"height": [0.1, 0.2]}}
    batch = make(4, hard, task="get_up")
    first = batch.reset(3)
    batch.step(still(batch))
    again = batch.reset(3)
    np.testing.assert_array_equal(again.policy, first.policy)
    np.testing.assert_array_equal(again.critic, first.critic)
    assert batch.simulation.terrain is not None
    assert (batch.simulation.terrain.height >= 0.1).all()


def test_a_load_and_a_weak_joint_look_as_they_do_in_the_mirror(make: Make) -> None:
    """One robot is the other's mirror image, with the load and the weak joint on the other side."""
    ranges = {"payload": [0.2, 0.2], "payload_place": 0.1, "payload_on": "*torso*", "weak_joint": [0.2, 0.2]}
    batch = make(2, {"randomisation": ranges, "terrain": None}, task="walk_adaptive")
    batch.hold_command(np.zeros(3))
    batch.reset(0)
    joints = robot_mirror(batch.simulation.model, ROBOT)
    state = batch.state_dict()
    state["draws"]["payload_place"][1] = state["draws"]["payload_place"][0] * [1.0, -1.0, 1.0]
    state["draws"]["strength"][1] = state["draws"]["strength"][0, joints.partner]
    state["phase"][1] = state["phase"][0, ::-1]
    batch.load_state_dict(state)
    mirror = batch.mirror
    assert mirror is not None
    for action in actions(batch, 25, size=0.6):
        action[1] = mirror.action.apply(action[0])
        step = batch.step(action)
        np.testing.assert_allclose(step.final.policy[1], mirror.policy.apply(step.final.policy[0]), atol=1e-4)
        np.testing.assert_allclose(step.final.critic[1], mirror.critic.apply(step.final.critic[0]), atol=1e-4)
    assert np.abs(step.final.critic[1] - step.final.critic[0]).max() > 0.1


def test_a_push_adds_a_horizontal_velocity_within_its_bound(make: Make) -> None:
    """In the air nothing else changes the velocity sideways; every 0.1 s a push, and none before."""
    overrides = {"randomisation": {"push_speed": 0.5, "push_period": [0.1, 0.1]}}
    batch = make(200, overrides)
    batch.reset(0)
    simulation = batch.simulation
    raised = np.tile(simulation.initial_qpos, (200, 1))
    raised[:, 2] += 3.0
    simulation.place(np.arange(200), raised, np.zeros((200, simulation.model.nv)))
    for k in range(1, 6):
        before = simulation.base_linear_velocity.copy()
        batch.step(still(batch))
        change = np.hypot(*(simulation.base_linear_velocity - before)[:, :2].T)
        if k < 5:
            assert change.max() < 1e-6
    assert 0.45 < change.max() < 0.5 + 1e-6
    # Even over the disc: half of the pushes are beyond 0.5/√2.
    assert np.median(change) == pytest.approx(0.5 / math.sqrt(2.0), abs=0.06)


def test_starts_differ_within_their_bounds(make: Make) -> None:
    batch = make(50, {"randomisation": {"start_position": 0.1, "start_velocity": 0.3}}, task="stand")
    batch.reset(0)
    simulation = batch.simulation
    off = simulation.joint_position - ROBOT.default_position
    assert 0.09 < np.abs(off).max() <= 0.1 + 1e-12
    assert (simulation.joint_position >= ROBOT.lower).all()
    assert (simulation.joint_position <= ROBOT.upper).all()
    assert 0.25 < np.abs(simulation.qvel[:, :6]).max() <= 0.3
    np.testing.assert_array_equal(simulation.joint_velocity, 0.0)
    assert simulation.lowest_point(simulation.qpos).min() > -1e-9  # no foot starts inside the floor
    assert simulation.lowest_point(simulation.qpos).max() < 0.06


def test_a_seed_is_a_whole_run_and_another_seed_another(make: Make) -> None:
    batch = make(4, {"randomisation": {"gyro_noise": 0.1, "mass": [0.9, 1.1]}}, auto_reset=True)
    runs = []
    for seed in (5, 5, 6):
        batch.reset(seed)
        runs.append([batch.step(action) for action in actions(batch, 15)])
    for one, other in zip(runs[0], runs[1], strict=True):
        same(one, other)
    assert (runs[0][-1].final.policy != runs[2][-1].final.policy).any()


def test_batches_that_learn_together_differ_by_their_stream(make: Make) -> None:
    overrides = {"randomisation": {"mass": [0.9, 1.1]}}
    masses = []
    for stream in (0, 0, 1):
        batch = make(2, overrides, stream=stream)
        masses.append(told(batch, batch.reset(5).critic)["mass"])
    np.testing.assert_array_equal(masses[0], masses[1])
    assert (masses[0] != masses[2]).all()


# How episodes end.


def test_a_fall_ends_an_episode_and_the_next_begins_in_the_same_step(make: Make) -> None:
    batch = make(3, {"episode.tilt_limit": 1.0, "rewards.alive": 1.0}, auto_reset=True)
    batch.hold_command(np.zeros(3))
    first = batch.reset(0).policy
    fallen = batch.simulation.initial_qpos.copy()
    fallen[3:7] = [math.cos(0.55), 0.0, math.sin(0.55), 0.0]
    fallen[2] += 1.0
    batch.simulation.place(np.array([1]), fallen[None], np.zeros((1, batch.simulation.model.nv)))
    step = batch.step(still(batch))
    np.testing.assert_array_equal(step.terminated, [False, True, False])
    assert not step.truncated.any()
    np.testing.assert_array_equal(step.observation.policy[1], first[1])
    assert step.final.policy[1, columns(batch, "projected_gravity")[2]] == pytest.approx(-math.cos(1.1), abs=0.02)
    np.testing.assert_array_equal(step.observation.policy[[0, 2]], step.final.policy[[0, 2]])
    names = batch.reward_names
    assert batch.last_terms[1, names.index("alive")] == 0.0
    assert batch.last_terms[0, names.index("alive")] == pytest.approx(0.02)
    found = batch.statistics()
    assert (found["episode/count"], found["end/fall"], found["end/time"]) == (1.0, 1.0, 0.0)


@pytest.mark.parametrize(("height", "fallen"), [(0.65, False), (0.55, True)])
def test_a_base_too_low_is_a_fall(make: Make, height: float, fallen: bool) -> None:
    batch = make(1, {"episode.height_limit": 0.6})
    batch.reset(0)
    simulation = batch.simulation
    low = simulation.initial_qpos.copy()
    low[2] = height * simulation.initial_qpos[2] + 0.002  # what it falls in a step
    bent = [
        ROBOT.joint_names.index(f"{side}_{part}_joint") for side in ("left", "right") for part in ("hip_pitch", "knee")
    ]
    low[simulation.layout.qpos[bent]] = [-2.0, 2.5, -2.0, 2.5]
    simulation.place(np.array([0]), low[None], np.zeros((1, simulation.model.nv)))
    assert batch.step(still(batch)).terminated[0] == fallen


def test_time_runs_out_without_a_fall(make: Make) -> None:
    histories = {"observation.history": HISTORY, "critic_observation.history": HISTORY}
    batch = make(2, {"episode.length": 0.1, "rewards.alive": 1.0, **histories}, auto_reset=True)
    batch.hold_command(np.array([0.3, 0.0, 0.0]))
    first = batch.reset(0)
    for k, action in enumerate(actions(batch, 10, size=0.2), start=1):
        step = batch.step(action)
        np.testing.assert_array_equal(step.truncated, k % 5 == 0)
        assert not step.terminated.any()
        if k % 5 == 0:
            np.testing.assert_array_equal(step.observation.policy, first.policy)
            np.testing.assert_array_equal(step.observation.critic, first.critic)
            assert (step.final.policy != first.policy).any()
    found = batch.statistics()
    assert (found["episode/count"], found["episode/length"], found["end/time"]) == (4.0, 5.0, 1.0)
    assert found["reward/alive"] == pytest.approx(1.0)
    assert found["episode/return"] == pytest.approx(sum(v for k, v in found.items() if k.startswith("reward/")) * 0.1)
    assert found["task/velocity_error"] == pytest.approx(0.3, abs=0.05)
    assert "episode/count" not in batch.statistics()


def test_first_episodes_are_cut_so_that_robots_do_not_end_together(make: Make) -> None:
    batch = make(40, {"episode.length": 0.4, "episode.random_first": True}, auto_reset=True)
    batch.reset(0)
    ended = [batch.step(still(batch)).truncated for _ in range(20)]
    when = np.argmax(ended, axis=0)
    assert np.sum(ended, axis=0).tolist() == [1] * 40
    assert len(set(when.tolist())) > 10


@pytest.mark.parametrize("auto_reset", [True, False])
def test_a_robot_whose_physics_breaks_ends_its_episode_alone(make: Make, auto_reset: bool) -> None:
    batch, sound = make(3, auto_reset=auto_reset), make(3, auto_reset=auto_reset)
    for one in (batch, sound):
        one.hold_command(np.array([0.3, 0.0, 0.0]))
        one.reset(0)
    for k, action in enumerate(actions(batch, 12, size=0.3)):
        if k == 6:
            batch.simulation.qvel[1, 10] = np.nan
        step, expected = batch.step(action), sound.step(action)
        np.testing.assert_array_equal(step.terminated, [False, k == 6, False])
        for seen in (step.observation, step.final):
            assert np.isfinite(seen.policy).all()
            assert np.isfinite(seen.critic).all()
        assert np.isfinite(step.reward).all()
        if k == 6:
            assert step.reward[1] == 0.0
        np.testing.assert_array_equal(step.final.policy[[0, 2]], expected.final.policy[[0, 2]])
        np.testing.assert_array_equal(step.reward[[0, 2]], expected.reward[[0, 2]])
    assert batch.statistics()["end/diverged"] == 1.0


# Commands.


def test_a_held_command_stays_and_others_come_and_go(make: Make) -> None:
    quick = {"commands": {"period": [0.1, 0.1], "standing_share": 0.0}, "episode.length": 0.2}
    batch = make(2, quick, auto_reset=True)
    asked = columns(batch, "velocity_commands")
    seen = [batch.reset(0).policy[:, asked]]
    seen += [batch.step(still(batch)).observation.policy[:, asked] for _ in range(20)]
    assert len({row.tobytes() for row in seen}) >= 3
    held = np.array([[0.1, 0.2, 0.3], [0.0, 0.0, 0.0]])
    batch.hold_command(held)
    for _ in range(20):
        observed = batch.step(still(batch)).observation.policy[:, asked]
        np.testing.assert_allclose(observed, held, atol=1e-7)
    np.testing.assert_allclose(batch.reset(1).policy[:, asked], held, atol=1e-7)


def test_a_reward_is_for_the_command_that_was_followed(make: Make) -> None:
    """The command that is drawn at the end of a step is the next step's."""
    batch = make(1, {"commands.period": [0.02, 0.02], "commands.standing_share": 0.0}, auto_reset=True)
    asked = columns(batch, "velocity_commands")
    before = batch.reset(0).policy[0, asked]
    for _ in range(5):
        after = batch.step(still(batch)).observation.policy[0, asked]
        assert batch.last_step is not None
        np.testing.assert_allclose(batch.last_step.command[0], before, atol=1e-7)
        assert (after != before).any()
        before = after


def test_the_mean_velocity_follows_with_its_time_constant(make: Make) -> None:
    """Of a robot that flies at 1 m/s along its heading: v (1 − exp(−t/τ))."""
    batch = make(2, {"commands.averaging": 0.1}, auto_reset=True)
    batch.hold_command(np.zeros(3))
    batch.reset(0)
    simulation = batch.simulation
    raised, moving = np.tile(simulation.initial_qpos, (2, 1)), np.zeros((2, simulation.model.nv))
    raised[:, 2] += 5.0
    moving[:, 0] = 1.0
    simulation.place(np.arange(2), raised, moving)
    for k in range(1, 8):
        seen = told(batch, batch.step(still(batch)).final.critic)
        expected = 1.0 - math.exp(-0.2 * k)
        np.testing.assert_allclose(seen["mean_x"], expected, atol=0.01)
        np.testing.assert_allclose(seen["mean_y"], 0.0, atol=0.01)
        assert batch.last_step is not None
        np.testing.assert_allclose(batch.last_step.mean_velocity[:, 0], expected, atol=0.01)
    simulation.qvel[1] = np.nan
    fresh = told(batch, batch.step(still(batch)).observation.critic)["mean_x"]
    assert fresh[0] > 0.7
    assert fresh[1] == 0.0  # the next episode begins from rest
    instant = make(1, {"commands.averaging": 0.0})
    instant.reset(0)
    instant.step(actions(instant, 1)[0])
    assert instant.last_step is not None
    np.testing.assert_array_equal(instant.last_step.mean_velocity[:, :2], instant.last_step.linear_velocity[:, :2])
    np.testing.assert_array_equal(instant.last_step.mean_velocity[:, 2], instant.last_step.angular_velocity[:, 2])


# Going on.


EVENTFUL = {
    "randomisation": {
        "friction": [0.3, 1.3],
        "mass": [0.8, 1.2],
        "centre_of_mass": 0.03,
        "kp": [0.9, 1.1],
        "kd": [0.9, 1.1],
        "delay": 0.02,
        "encoder_offset": 0.02,
        "imu_tilt": 0.02,
        "push_speed": 0.5,
        "push_period": [0.1, 0.3],
        "start_position": 0.1,
        "start_velocity": 0.2,
        "gyro_noise": 0.1,
        "tilt_noise": 0.02,
        "position_noise": 0.01,
        "velocity_noise": 0.5,
    },
    "curriculum": {"penalties": {"start": 0.1, "ramp": 30, "length_above": 0.1, "length_below": 0.0}},
    "episode.random_first": True,
    "episode.length": 0.4,
}


def _plain_kinds(value: Any) -> bool:
    """Whether it is made of arrays, numbers, text, lists and dicts alone."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _plain_kinds(inner) for key, inner in value.items())
    if isinstance(value, list):
        return all(_plain_kinds(inner) for inner in value)
    return isinstance(value, np.ndarray | int | float | str | bool)


@pytest.mark.parametrize(
    ("task", "more"),
    [
        (
            "walk",
            {"commands.period": [0.1, 0.2], "observation.history": HISTORY, "critic_observation.history": HISTORY},
        ),
        ("get_up", {}),
        ("walk_adaptive", {"randomisation": {**EVENTFUL["randomisation"], **LOADS}}),
    ],
)
def test_a_run_goes_on_to_the_bit_in_a_fresh_batch(make: Make, task: str, more: dict[str, Any]) -> None:
    first, second = (make(4, {**EVENTFUL, **more}, task=task, auto_reset=True) for _ in range(2))
    first.reset(11)
    todo = actions(first, 60)
    for action in todo[:30]:
        first.step(action)
    first.statistics()
    state = first.state_dict()
    assert _plain_kinds(state)
    expected = [first.step(action) for action in todo[30:]]
    second.reset(99)
    second.load_state_dict(state)
    for action, step in zip(todo[30:], expected, strict=True):
        same(second.step(action), step)
    assert second.statistics() == first.statistics()
    # Enough happened to go wrong.
    assert sum(int((step.truncated | step.terminated).sum()) for step in expected) >= 4


def test_a_held_command_is_part_of_the_state(make: Make) -> None:
    first, second = make(2), make(2)
    first.hold_command(np.array([0.2, 0.1, 0.0]))
    first.reset(0)
    second.reset(0)
    second.load_state_dict(first.state_dict())
    second.reset(5)
    np.testing.assert_array_equal(second.command, [[0.2, 0.1, 0.0]] * 2)


def test_a_state_of_another_batch_is_refused(make: Make, refuses: Refuses) -> None:
    batch = make(2)
    for other in (make(3), make(2, task="stand"), make(2, {"control.held_joints": "welded"})):
        with refuses(ConfigError, "saved for", "reference_humanoid"):
            batch.load_state_dict(other.state_dict())
    with refuses(ConfigError, "saved for None", "2 x reference_humanoid at walk"):
        batch.load_state_dict({})


# Refusals.


def test_what_cannot_be_played_is_refused(make: Make, refuses: Refuses) -> None:
    with refuses(ModelError, "no physics model"):
        make(1, robot=replace(ROBOT, model=None))
    with refuses(ConfigError, "number of robots", "found 0"):
        make(0)
    contract = task_contract(task_for("walk", ROBOT), ROBOT)
    effort = replace(contract, action=replace(contract.action, kind="effort"))
    with refuses(ConfigError, "reference_humanoid_walk", "kind of action"):
        make(1, contract=effort)
    with refuses(ConfigError, "reference_humanoid_walk", "no whole multiple"):
        make(1, contract=replace(contract, pd_rate=130.0))
    with refuses(ModelError, "no site or body 'hat'"):
        make(1, contract=replace(contract, imu="hat"))
    with refuses(ConfigError, "'weak_joints' pattern '*kne'", "left_knee_joint"):
        make(1, {"randomisation": {"weak_joint": [0.5, 1.0], "weak_joints": ["*kne"]}})
    with refuses(ConfigError, "'payload_on'", "no body", "'*hat*'"):
        make(1, {"randomisation": {"payload": [0.0, 0.1], "payload_on": "*hat*"}})
    batch = make(2)
    with refuses(ConfigError, "3 finite numbers", "shape (2,)"):
        batch.hold_command(np.zeros(2))
    with refuses(ConfigError, "3 finite numbers", "NaN or Inf"):
        batch.hold_command(np.array([0.0, np.nan, 0.0]))
    batch.reset(0)
    with refuses(PolicyError, "shape (1, ", "expected (2, "):
        batch.step(still(batch)[:1])
    broken = still(batch)
    broken[1, 3] = np.nan
    with refuses(PolicyError, "left_knee_joint", "not finite"):
        batch.step(broken)


def test_a_policy_with_its_imu_elsewhere_sees_with_it(make: Make) -> None:
    contract = replace(task_contract(task_for("walk", ROBOT), ROBOT), imu="torso_link")
    batch = make(1, {"symmetric": False}, contract=contract)
    assert batch.robot.imu == ImuSpec(ROBOT.imu.frame, "torso_link")
    batch.reset(0)
    turn = still(batch)
    turn[0, list(contract.joints).index("waist_yaw_joint")] = 2.0
    for _ in range(5):
        seen = batch.step(turn).final.policy
    waist = ROBOT.joint_names.index("waist_yaw_joint")
    relative = batch.simulation.joint_velocity[0, waist]
    base = batch.simulation.base_angular_velocity[0, 2]
    assert abs(relative) > 0.5
    assert seen[0, columns(batch, "base_ang_vel")[2]] / 0.25 == pytest.approx(
        base + relative, abs=0.02
    )  # the gyro turns with the waist


def test_the_package_without_gymnasium_has_batches(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = "import sys, humanoid_rl_ros.envs.humanoid_batch; print({'gymnasium', 'torch', 'rclpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"


def test_gravity_of_lying_starts(make: Make) -> None:
    """See `test_start_poses`; here: episodes begin with them, and nothing else is put upright."""
    batch = make(8, task="get_up", overrides={"episode.start": "lying"})
    batch.reset(0)
    gravity = projected_gravity(batch.simulation.base_orientation)
    assert (np.abs(gravity[:, 2]) < 0.5).all()
    simulation: BatchSimulation = batch.simulation
    assert (simulation.base_height < 0.5 * simulation.initial_qpos[2]).all()
    assert not batch.step(still(batch)).terminated.any()
