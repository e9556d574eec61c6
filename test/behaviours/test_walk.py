"""The policy as a controller: by hand, in any joint order, on jittery clocks, and with what it must refuse."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.core.action import plain_action
from humanoid_rl_ros.core.arrays import Float32Array
from humanoid_rl_ros.core.command import CommandSpec
from humanoid_rl_ros.core.errors import ContractError, HumanoidError, PolicyError, StateError
from humanoid_rl_ros.core.gait import GaitSpec
from humanoid_rl_ros.core.observation_spec import BlockSpec, HistorySpec, ObservationSpec, TermSpec
from humanoid_rl_ros.core.robot import JointSpec, RobotSpec
from humanoid_rl_ros.core.state import RobotState, VelocityCommand
from humanoid_rl_ros.policies.bundle import DrivenJoint, HeldJoint, PolicyBundle, WeightsSpec

Refuses = Callable[..., AbstractContextManager[None]]
MS = 1_000_000


class Fixed:
    """A network that always says the same, and counts."""

    def __init__(self, *action: float) -> None:
        self.action = np.array(action, dtype=np.float32)
        self.seen: list[Float32Array] = []
        self.resets = 0

    def infer(self, observation: Float32Array) -> Float32Array:
        self.seen.append(observation)
        return self.action

    def reset(self) -> None:
        self.resets += 1


class Mixing(Fixed):
    """A network whose every output depends on every input and on what it saw before."""

    def __init__(self, width: int) -> None:
        super().__init__(0.0, 0.0)
        self._weights = np.random.default_rng(3).normal(size=(2, width)).astype(np.float32)
        self._memory = np.float32(0.0)

    def infer(self, observation: Float32Array) -> Float32Array:
        self._memory = np.tanh(self._memory + observation.sum() * np.float32(0.1))
        return np.asarray(np.tanh(self._weights @ observation) + self._memory, dtype=np.float32)

    def reset(self) -> None:
        self._memory = np.float32(0.0)


def _bundle(**changes: Any) -> PolicyBundle:
    """Drives knee and hip (in this order), holds ankle and arm, observes ankle, hip and knee."""
    terms = tuple(
        TermSpec(name) for name in ("base_ang_vel", "projected_gravity", "velocity_commands", "joint_pos_rel")
    )
    observation = ObservationSpec(
        ("ankle", "hip", "knee"), (-0.2, -0.1, 0.3), (BlockSpec((*terms, TermSpec("last_action"))),)
    )
    bundle = PolicyBundle(
        name="small",
        robot="biped",
        weights=WeightsSpec(Path("policy.onnx")),
        joints={"knee": DrivenJoint(0.3, 20.0, 1.0, 30.0), "hip": DrivenJoint(-0.1, 40.0, 2.0, 50.0)},
        held={"ankle": HeldJoint(-0.25, 10.0, 0.5), "arm": HeldJoint(0.1, 5.0, 0.25, 4.0)},
        observation=observation,
        action=plain_action(("knee", "hip"), (0.3, -0.1), 0.5),
        control_period=0.02,
        pd_rate=500.0,
    )
    return dataclasses.replace(bundle, **changes)


def _state(
    stamp_ns: int = 0, position: object = (-0.1, 0.3, -0.2, 0.0), velocity: object = (0, 0, 0, 0), **other: Any
) -> RobotState:
    values = {"orientation": (1.0, 0.0, 0.0, 0.0), "angular_velocity": (0.0, 0.0, 0.0)} | other
    return RobotState(stamp_ns, position, velocity, **values)  # type: ignore[arg-type]  # lists are copied in


def _entered(robot: RobotSpec, network: Fixed, bundle: PolicyBundle | None = None, **options: Any) -> PolicyBehaviour:
    behaviour = PolicyBehaviour(bundle or _bundle(), robot, network, **options)
    behaviour.enter(_state())
    return behaviour


def test_one_step_by_hand(robot: RobotSpec) -> None:
    network = Fixed(0.4, -0.2)
    behaviour = _entered(robot, network)
    state = _state(0, (0.0, 0.5, -0.1, 0.0), (1.0, 0.0, -2.0, 0.0), angular_velocity=(0.1, 0.2, 0.3))
    answer = behaviour.update(state, VelocityCommand(0.5, 0.0, -0.3))
    np.testing.assert_allclose(
        network.seen[0], [0.1, 0.2, 0.3, 0, 0, -1, 0.5, 0, -0.3, -0.1 + 0.2, 0.0 + 0.1, 0.5 - 0.3, 0, 0], atol=1e-7
    )
    step = behaviour.last_step
    assert step is not None
    # Robot order hip, knee, ankle, arm; knee 0.3 + 0.5·0.4, hip −0.1 − 0.5·0.2; the rest held.
    np.testing.assert_allclose(step.target.position, [-0.2, 0.5, -0.25, 0.1], atol=1e-7)
    # hip 40·(−0.2) − 2·1; knee 0; ankle 10·(−0.15) − 0.5·(−2); arm 5·0.1.
    np.testing.assert_allclose(answer.effort, [-10.0, 0.0, -0.5, 0.5], atol=1e-6)
    assert (answer.stamp_ns, step.stamp_ns, step.action.tolist()) == (0, 0, network.action.tolist())
    assert behaviour.start_position.tolist() == [-0.1, 0.3, -0.25, 0.1]
    assert len(behaviour.observation_labels) == 14


def test_the_next_step_sees_the_last_action(robot: RobotSpec) -> None:
    network = Fixed(0.4, -0.2)
    behaviour = _entered(robot, network)
    for k in range(2):
        behaviour.update(_state(20 * k * MS), VelocityCommand())
    np.testing.assert_allclose(network.seen[1][-2:], [0.4, -0.2], rtol=1e-6)


def test_effort_stays_within_the_smaller_limit_of_robot_and_policy(robot: RobotSpec) -> None:
    bundle = _bundle(soft_effort_limit=0.5)
    effort = _entered(robot, Fixed(100.0, -100.0), bundle).update(_state(), VelocityCommand()).effort
    np.testing.assert_allclose(effort[:2], [-25.0, 15.0])  # hip 50 of the policy, knee 30 of the policy, halved
    away = _entered(robot, Fixed(0.0, 0.0)).update(_state(position=(-0.1, 0.3, -90.0, 90.0)), VelocityCommand()).effort
    np.testing.assert_allclose(away[2:], [15.0, -4.0])  # ankle 15 of the robot, arm 4 of the policy
    strong = _bundle(joints={"knee": DrivenJoint(0.3, 20.0, 1.0, 1e3), "hip": DrivenJoint(-0.1, 40.0, 2.0)})
    most = _entered(robot, Fixed(100.0, -100.0), strong).update(_state(), VelocityCommand()).effort
    np.testing.assert_allclose(most[:2], [-60.0, 40.0])  # both of the robot


@given(st.lists(st.floats(-1e6, 1e6), min_size=10, max_size=10))
def test_no_effort_exceeds_the_robots_limit_whatever_is_measured_or_said(numbers: list[float]) -> None:
    robot = _permuted_robot((0, 1, 2, 3))
    behaviour = _entered(robot, Fixed(*numbers[8:]))
    effort = behaviour.update(_state(0, numbers[:4], numbers[4:8]), VelocityCommand()).effort
    assert (np.abs(effort) <= robot.effort_limit).all()


def test_a_soft_limit_above_one_does_not_exceed_the_robot(robot: RobotSpec) -> None:
    with pytest.raises(HumanoidError):
        _entered(robot, Fixed(1e6, 1e6), _bundle(soft_effort_limit=1.5))


def _permuted_robot(order: tuple[int, ...]) -> RobotSpec:
    joints = (
        JointSpec("hip", -1.5, 1.5, 60.0, 20.0, -0.1, 40.0, 2.0),
        JointSpec("knee", -0.1, 2.0, 40.0, 20.0, 0.3, 20.0, 1.0),
        JointSpec("ankle", -0.8, 0.8, 15.0, 20.0, -0.2, 10.0, 0.5),
        JointSpec("arm", -2.0, 2.0, 8.0, 20.0, 0.0, 5.0, 0.25),
    )
    return RobotSpec("biped", tuple(joints[i] for i in order))


FULL = _bundle(
    observation=ObservationSpec(
        ("ankle", "hip", "knee"),
        (-0.2, -0.1, 0.3),
        (
            BlockSpec((TermSpec("gait_phase_sin"), TermSpec("gait_phase_cos"))),
            BlockSpec(
                (TermSpec("joint_pos_rel"), TermSpec("joint_vel_rel", (0.05,)), TermSpec("last_action")), HistorySpec(3)
            ),
            BlockSpec((TermSpec("base_ang_vel"), TermSpec("projected_gravity"), TermSpec("velocity_commands"))),
        ),
    ),
    held={"ankle": HeldJoint(-0.25, 10.0, 0.5)},  # the arm is the robot's own
    hold_remaining=True,
    gait=GaitSpec(1.3, phases=(0.0, math.pi)),
    action=dataclasses.replace(
        plain_action(("knee", "hip"), (0.3, -0.1), 0.5), last_action="after_effort_clip", low_pass=0.7, delay=1
    ),
    command=CommandSpec(slew_rate=(1.0, 1.0, 1.0)),
    effort_low_pass=0.6,
    clamp_target_to_joint_limits=True,
    entry_blend=0.05,
)


@settings(max_examples=100)
@given(st.permutations(range(4)).map(tuple), st.integers(0, 2**32 - 1))
def test_the_order_of_the_robots_joints_changes_no_bit(order: tuple[int, ...], seed: int) -> None:
    rng = np.random.default_rng(seed)
    width = FULL.observation_size()
    straight = PolicyBehaviour(FULL, _permuted_robot((0, 1, 2, 3)), Mixing(width))
    permuted = PolicyBehaviour(FULL, _permuted_robot(order), Mixing(width))
    index = list(order)
    for k in range(30):  # 6 inferences
        q, v, gyro = rng.normal(size=4), 5.0 * rng.normal(size=4), rng.normal(size=3)
        a = _state(4 * k * MS, q, v, angular_velocity=gyro)
        b = _state(4 * k * MS, q[index], v[index], angular_velocity=gyro)
        if k == 0:
            straight.enter(a)
            permuted.enter(b)
        command = VelocityCommand(*rng.normal(size=3))
        here, there = straight.update(a, command).effort, permuted.update(b, command).effort
        assert here[index].tobytes() == there.tobytes()
    assert straight.last_step is not None
    assert permuted.last_step is not None
    assert straight.last_step.observation.tobytes() == permuted.last_step.observation.tobytes()
    assert straight.steps == 6


def test_the_pd_law_runs_at_every_state_and_the_network_at_its_period(robot: RobotSpec) -> None:
    network = Fixed(0.0, 0.0)
    behaviour = _entered(robot, network)
    for k in range(100):  # 2 ms states, 20 ms policy
        hip = 0.001 * k
        effort = behaviour.update(_state(2 * k * MS, (hip, 0.3, -0.25, 0.1)), VelocityCommand()).effort
        assert effort[0] == pytest.approx(40.0 * (-0.1 - hip))
    assert behaviour.steps == len(network.seen) == 10
    assert behaviour.late_steps == 0


def test_jitter_neither_adds_nor_drops_steps(robot: RobotSpec) -> None:
    rng = np.random.default_rng(5)
    behaviour = _entered(robot, Fixed(0.0, 0.0))
    for k in range(1000):
        jitter = 0 if k == 0 else int(rng.integers(-900_000, 900_000))
        behaviour.update(_state(2 * k * MS + jitter), VelocityCommand())
    assert behaviour.steps == 100
    assert behaviour.late_steps == 0


def test_states_as_slow_as_the_policy_make_a_step_each(robot: RobotSpec) -> None:
    rng = np.random.default_rng(6)
    behaviour = _entered(robot, Fixed(0.0, 0.0))
    for k in range(200):
        jitter = 0 if k == 0 else int(rng.integers(-4 * MS, 4 * MS))
        behaviour.update(_state(20 * k * MS + jitter), VelocityCommand())
    assert behaviour.steps == 200


def test_a_gap_is_one_late_step_and_nothing_is_caught_up(robot: RobotSpec) -> None:
    behaviour = _entered(robot, Fixed(0.0, 0.0))
    stamps = [*range(0, 100, 2), *range(300, 400, 2)]
    for stamp in stamps:
        behaviour.update(_state(stamp * MS), VelocityCommand())
    assert behaviour.late_steps == 1
    assert behaviour.steps == 5 + 5


def test_enter_forgets_everything(robot: RobotSpec) -> None:
    width = FULL.observation_size()
    network = Mixing(width)
    behaviour = PolicyBehaviour(FULL, robot, network)

    def run(first_ns: int) -> list[bytes]:
        rng = np.random.default_rng(9)
        out = []
        for k in range(40):
            state = _state(first_ns + 4 * k * MS, rng.normal(size=4), rng.normal(size=4))
            if k == 0:
                behaviour.enter(state)
            out.append(behaviour.update(state, VelocityCommand(*rng.normal(size=3))).effort.tobytes())
        return out

    assert run(0) == run(77 * MS)


def test_the_entry_blend_starts_at_the_measured_pose_and_ends_at_the_target(robot: RobotSpec) -> None:
    behaviour = _entered(robot, Fixed(0.4, -0.2), entry_blend=0.1)
    start = behaviour.update(_state(0), VelocityCommand()).effort
    np.testing.assert_allclose(start, 0.0, atol=1e-9)  # at rest in the pose it entered in
    middle = behaviour.update(_state(50 * MS), VelocityCommand()).effort
    end = behaviour.update(_state(100 * MS), VelocityCommand()).effort
    np.testing.assert_allclose(end, [40 * -0.1, 20 * 0.2, 10 * -0.05, 5 * 0.1], atol=1e-5)
    np.testing.assert_allclose(middle, end / 2, atol=1e-5)


def test_the_bundles_own_blend_is_the_default(robot: RobotSpec) -> None:
    behaviour = _entered(robot, Fixed(0.4, -0.2), _bundle(entry_blend=0.1))
    np.testing.assert_allclose(behaviour.update(_state(0), VelocityCommand()).effort, 0.0, atol=1e-9)
    at_once = _entered(robot, Fixed(0.4, -0.2), _bundle(entry_blend=0.1), entry_blend=0.0)
    assert at_once.update(_state(0), VelocityCommand()).effort[0] == pytest.approx(-4.0)


def test_efforts_of_the_network_go_to_the_joints_with_damping_alone(robot: RobotSpec) -> None:
    bundle = _bundle(action=dataclasses.replace(plain_action(("knee", "hip"), (0.3, -0.1), 10.0), kind="effort"))
    effort = _entered(robot, Fixed(1.0, -2.0), bundle).update(
        _state(0, (1.0, 1.0, -0.25, 0.1), (3.0, 4.0, 0, 0)), VelocityCommand()
    )
    np.testing.assert_allclose(effort.effort, [-20.0 - 2.0 * 3.0, 10.0 - 1.0 * 4.0, 0.0, 0.0])


def test_targets_are_clamped_to_the_robots_joint_limits(robot: RobotSpec) -> None:
    behaviour = _entered(robot, Fixed(100.0, -100.0), _bundle(clamp_target_to_joint_limits=True))
    behaviour.update(_state(), VelocityCommand())
    assert behaviour.last_step is not None
    assert behaviour.last_step.target.position[:2].tolist() == [-1.5, 2.0]


def test_the_last_action_after_the_effort_clip_gives_the_limit(robot: RobotSpec) -> None:
    action = dataclasses.replace(plain_action(("knee", "hip"), (0.3, -0.1), 0.5), last_action="after_effort_clip")
    network = Fixed(1000.0, 0.0)
    behaviour = _entered(robot, network, _bundle(action=action, soft_effort_limit=0.9))
    for k in range(2):
        effort = behaviour.update(_state(20 * k * MS), VelocityCommand()).effort
    assert effort[1] == pytest.approx(27.0)
    # 20·(0.3 + 0.5·a − 0.3) = 27 at rest in the default pose: a = 2.7.
    assert network.seen[1][-2] == pytest.approx(2.7)


def test_the_command_is_brought_into_the_policys_ranges(robot: RobotSpec) -> None:
    network = Fixed(0.0, 0.0)
    behaviour = _entered(robot, network, _bundle(command=CommandSpec(linear_x=(-0.5, 0.8))))
    behaviour.update(_state(), VelocityCommand(9.0, math.nan, 0.2))
    np.testing.assert_allclose(network.seen[0][6:9], [0.8, 0.0, 0.2], rtol=1e-6)


def test_the_clock_starts_at_its_phases_and_advances_once_a_step(robot: RobotSpec) -> None:
    terms = (TermSpec("gait_phase_sin"), TermSpec("gait_phase_cos"))
    observation = ObservationSpec(("hip",), (0.0,), (BlockSpec(terms),))
    network = Fixed(0.0, 0.0)
    behaviour = _entered(robot, network, _bundle(observation=observation, gait=GaitSpec(12.5, phases=(0.0, math.pi))))
    for k in range(30):  # 12.5 Hz at 20 ms: a quarter turn a step
        behaviour.update(_state(2 * k * MS), VelocityCommand(0.5))
    np.testing.assert_allclose(network.seen, [[0, 0, 1, -1], [1, -1, 0, 0], [0, 0, -1, 1]], atol=1e-6)


def test_enter_resets_the_network(robot: RobotSpec) -> None:
    network = Fixed(0.0, 0.0)
    behaviour = _entered(robot, network)
    behaviour.update(_state(), VelocityCommand())
    behaviour.enter(_state())
    assert network.resets == 2
    assert behaviour.last_step is None


@pytest.mark.parametrize("after_leave", [False, True])
def test_update_needs_enter(after_leave: bool, robot: RobotSpec, refuses: Refuses) -> None:
    behaviour = PolicyBehaviour(_bundle(), robot, Fixed(0.0, 0.0))
    if after_leave:
        behaviour.enter(_state())
        behaviour.leave()
    with refuses(StateError, "enter"):
        behaviour.update(_state(), VelocityCommand())


@pytest.mark.parametrize("stamp", [2 * MS, 1 * MS, -1])
def test_a_state_that_is_not_newer_is_refused(stamp: int, robot: RobotSpec, refuses: Refuses) -> None:
    behaviour = _entered(robot, Fixed(0.0, 0.0))
    behaviour.update(_state(0), VelocityCommand())
    behaviour.update(_state(2 * MS), VelocityCommand())
    with refuses(StateError, "stamp", str(stamp)):
        behaviour.update(_state(stamp), VelocityCommand())


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        ({"position": (math.nan, 0, 0, 0)}, "joint_pos_rel"),
        ({"position": (0, math.inf, 0, 0)}, "joint_pos_rel"),
        ({"angular_velocity": (0, 0, math.nan)}, "base_ang_vel"),
        ({"orientation": (math.nan, 0, 0, 0)}, "projected_gravity"),
    ],
)
def test_an_observed_quantity_that_is_not_finite_is_refused(
    bad: dict[str, Any], word: str, robot: RobotSpec, refuses: Refuses
) -> None:
    with refuses(StateError, f"'{word}'", "not finite"):
        _entered(robot, Fixed(0.0, 0.0)).update(_state(**bad), VelocityCommand())


@pytest.mark.parametrize("bad", [{"position": (0, 0, 0, math.nan)}, {"velocity": (0, math.nan, 0, 0)}])
@pytest.mark.parametrize("stamp", [0, 2 * MS], ids=["at an inference", "between inferences"])
def test_no_effort_follows_from_a_state_that_is_not_finite(bad: dict[str, Any], stamp: int, robot: RobotSpec) -> None:
    behaviour = _entered(robot, Fixed(0.0, 0.0))
    if stamp:
        behaviour.update(_state(0), VelocityCommand())
    with pytest.raises(StateError):
        behaviour.update(_state(stamp, **bad), VelocityCommand())


@pytest.mark.parametrize(
    ("action", "words"), [((math.nan, 0.0), ["'knee'", "not finite"]), ((0.0, math.inf), ["'hip'"])]
)
def test_an_action_that_is_not_finite_is_refused(
    action: tuple[float, ...], words: list[str], robot: RobotSpec, refuses: Refuses
) -> None:
    with refuses(PolicyError, *words):
        _entered(robot, Fixed(*action)).update(_state(), VelocityCommand())


def test_an_action_of_the_wrong_width_is_refused(robot: RobotSpec, refuses: Refuses) -> None:
    with refuses(PolicyError, "(3,)", "expected (2,)"):
        _entered(robot, Fixed(0.0, 0.0, 0.0)).update(_state(), VelocityCommand())


@pytest.mark.parametrize(("group", "what"), [("joints", "driven joint"), ("observation", "observed joint")])
def test_a_robot_that_lacks_a_joint_is_refused(group: str, what: str, refuses: Refuses) -> None:
    keep = {"joints": (0, 2, 3), "observation": (0, 1, 3)}[group]
    bundle = (
        _bundle()
        if group == "observation"
        else _bundle(observation=ObservationSpec(("hip",), (0.0,), (BlockSpec((TermSpec("joint_pos"),)),)))
    )
    with refuses(ContractError, what):
        PolicyBehaviour(bundle, _permuted_robot(keep), Fixed(0.0, 0.0))
