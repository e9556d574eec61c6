"""The mirror of an observation is what the builder makes of the mirrored robot."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.core import observation_mirror, observation_terms
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ConfigError, ContractError
from humanoid_rl_ros.core.gait import GaitClock, GaitSpec
from humanoid_rl_ros.core.mirror import Mirroring, joint_mirror
from humanoid_rl_ros.core.observation import ObservationBuilder
from humanoid_rl_ros.core.observation_mirror import mirror_observation, register_mirror
from humanoid_rl_ros.core.observation_spec import FIRST_FILLS, LAYOUTS, ORDERS, BlockSpec, HistorySpec, ObservationSpec
from humanoid_rl_ros.core.observation_spec import TermSpec as Term
from humanoid_rl_ros.core.observation_terms import ObservationInput, register_term, term_names
from humanoid_rl_ros.core.rotations import from_axis_angle, multiply
from humanoid_rl_ros.core.state import RobotState

Refuses = Callable[..., AbstractContextManager[None]]
SIGNS = {"left_roll": -1.0, "left_knee": 1.0, "waist": -1.0, "neck": 1.0, "right_roll": -1.0, "right_knee": 1.0}
ROBOT = tuple(SIGNS)
MIRROR = joint_mirror(ROBOT, SIGNS)
OBSERVED = ("waist", "right_knee", "left_roll", "right_roll", "left_knee")
DEFAULT = (0.0, 0.4, 0.1, -0.1, 0.4)
DRIVEN = ("left_roll", "waist", "right_roll")
TWO, ONE = GaitSpec(1.3, phases=(0.0, math.pi)), GaitSpec(1.3)
X, Y, Z = np.eye(3)

POOL = (
    *(Term(name) for name in term_names() if name != "constant"),
    Term("constant", value=(3.0, -4.0)),
    Term("joint_vel_rel", scale=(0.3, 0.5, 0.7, 0.7, 0.5), clip=(-1.0, 1.0)),
    Term("joint_pos_rel", masked_joints=("left_knee", "right_knee"), clip_scaled=(-0.5, 0.5)),
    Term("joint_pos", scale=(-2.0,), zero_when_standing=True),
    Term("last_action", elements=(2, 0), scale=(0.5,)),
    Term("joint_vel_rel", elements=(3, 2, 0)),
    Term("base_ang_vel", elements=(2, 0), scale=(3.0, 2.0)),
    Term("projected_gravity", elements=(0, 2), clip=(-0.5, 0.9)),
)


def _spec(*terms: Term, history: HistorySpec | None = None, **changes: Any) -> ObservationSpec:
    return dataclasses.replace(ObservationSpec(OBSERVED, DEFAULT, (BlockSpec(terms, history),)), **changes)


def _swap(values: dict[str, float]) -> dict[str, float]:
    other = {"left": "right", "right": "left"}
    sided = {name: "_".join(other.get(part, part) for part in name.split("_")) for name in values}
    return {name: SIGNS[name] * values[sided[name]] for name in values}


def _orientation(roll: float, pitch: float, yaw: float) -> FloatArray:
    return multiply(multiply(from_axis_angle(Z, yaw), from_axis_angle(Y, pitch)), from_axis_angle(X, roll))


class _World:
    """The same robot twice, on both sides of the mirror, its numbers written from what the mirror does to the world."""

    def __init__(self, seed: int, gait: GaitSpec, still: bool) -> None:
        self.rng, self.still = np.random.default_rng(seed), still
        # In the mirror the other leg is at this point of its stride: the legs' phases change places, and what one
        # phase tells of one leg is told of the other half a stride later.
        turned = gait.phases[::-1] if len(gait.phases) == 2 else (gait.phases[0] + math.pi,)
        self.clocks = [GaitClock(g, 0.02) for g in (gait, dataclasses.replace(gait, phases=turned))]

    def step(self) -> tuple[ObservationInput, ObservationInput]:
        draw = self.rng.uniform
        position, velocity = (dict(zip(ROBOT, draw(-2, 2, 6), strict=True)) for _ in range(2))
        action = dict(zip(DRIVEN, draw(-2, 2, 3), strict=True))
        roll, pitch, yaw = draw(-1.4, 1.4, 3)
        rate, acceleration, speed = draw(-2, 2, (3, 3))
        command = draw(-1, 1, 3) * (0.0 if self.still and draw(-1, 1) < 0 else 1.0)
        hands = draw(-1, 1, (2, 3))
        here = (position, velocity, action, (roll, pitch, yaw), rate, acceleration, speed, command, hands)
        there = (
            *(_swap(joints) for joints in (position, velocity, action)),
            (-roll, pitch, -yaw),
            rate * [-1, 1, -1],
            acceleration * [1, -1, 1],
            speed * [1, -1, 1],
            command * [1, -1, -1],
            hands[::-1] * [1, -1, 1],
        )
        both = [self._inputs(clock, *side) for clock, side in zip(self.clocks, (here, there), strict=True)]
        return both[0], both[1]

    def _inputs(self, clock: GaitClock, *side: Any) -> ObservationInput:
        position, velocity, action, angles, rate, acceleration, speed, command, hands = side
        joints = [np.array([values[name] for name in ROBOT]) for values in (position, velocity)]
        state = RobotState(0, *joints, _orientation(*angles), rate, acceleration, speed)
        phases = clock.sine_cosine(command)
        clock.advance(command)
        return ObservationInput(state, command, np.array([action[name] for name in DRIVEN]), *phases, hands.reshape(6))


def _check(spec: ObservationSpec, gait: GaitSpec, seed: int, still: bool = False) -> None:
    mirroring = mirror_observation(spec, MIRROR, driven=DRIVEN, gait=gait)
    here, there = (ObservationBuilder(spec, ROBOT, n_actions=len(DRIVEN), n_phases=len(gait.phases)) for _ in range(2))
    world = _World(seed, gait, still)
    for _ in range(4):
        inputs, mirrored = world.step()
        vector = here.build(inputs)
        image = mirroring.apply(vector)
        np.testing.assert_allclose(image, there.build(mirrored), atol=3e-6)
        np.testing.assert_array_equal(mirroring.apply(image), vector)


@pytest.mark.parametrize("term", POOL, ids=lambda term: term.term)
@pytest.mark.parametrize("gait", [TWO, ONE, dataclasses.replace(TWO, when_standing="hold")])
def test_every_term(term: Term, gait: GaitSpec) -> None:
    _check(_spec(term, stand_threshold=0.05), gait, seed=3, still=True)


histories = st.none() | st.builds(
    HistorySpec,
    st.integers(1, 4),
    st.sampled_from(LAYOUTS),
    st.sampled_from(ORDERS),
    st.sampled_from(FIRST_FILLS),
    st.booleans(),
)
blocks = st.builds(BlockSpec, st.lists(st.sampled_from(POOL), min_size=1, max_size=5).map(tuple), histories)


@given(st.lists(blocks, min_size=1, max_size=3).map(tuple), st.integers(0, 99), st.none() | st.just((-0.7, 0.7)))
def test_any_vector(blocks: tuple[BlockSpec, ...], seed: int, clip: tuple[float, float] | None) -> None:
    _check(dataclasses.replace(_spec(Term("standing")), blocks=blocks, clip=clip), TWO, seed)


def test_elements_find_their_partners_in_other_terms() -> None:
    interleaved = [Term(f"gait_phase_{f}", elements=(i,)) for i in (0, 1) for f in ("sin", "cos")]
    mirroring = mirror_observation(_spec(*interleaved), MIRROR, driven=(), gait=TWO)
    assert mirroring.index.tolist() == [2, 3, 0, 1]
    assert mirroring.sign.tolist() == [1.0] * 4
    # Knees left and right, seen twice with different scales: each finds the one scaled as it is.
    knees = [Term("joint_pos", (scale,), elements=(i,)) for scale in (1.0, 0.1) for i in (1, 4)]
    assert mirror_observation(_spec(*knees), MIRROR, driven=()).index.tolist() == [1, 0, 3, 2]


def _refused(**changes: Any) -> Callable[[], Mirroring]:
    terms = changes.pop("terms", (Term("joint_pos_rel"),))
    known = {"driven": DRIVEN, "gait": TWO} | {key: changes.pop(key) for key in ("driven", "gait") if key in changes}
    return lambda: mirror_observation(_spec(*terms, **changes), MIRROR, **known)


SCALE = (0.3, 0.5, 0.7, 0.7, 0.6)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (_refused(terms=(Term("joint_pos", SCALE),)), ContractError, ["scale", "'right_knee'", "0.5", "0.6"]),
        (_refused(terms=(Term("last_action", (1, 1, 2)),)), ContractError, ["scale", "'left_roll'", "'right_roll'"]),
        (_refused(terms=(Term("joint_pos", masked_joints=("left_knee",)),)), ContractError, ["mask", "'left_knee'"]),
        (
            _refused(
                terms=(Term("joint_pos", elements=(1,)), Term("joint_pos", elements=(4,), zero_when_standing=True))
            ),
            ContractError,
            ["zero_when_standing", "'right_knee'", "'left_knee'"],
        ),
        (_refused(terms=(Term("joint_pos", elements=(1, 2, 3)),)), ContractError, ["'right_knee'", "'left_knee'"]),
        (_refused(terms=(Term("joint_pos", clip=(-1, 2)),)), ContractError, ["clip", "'waist'", "-1, 2", "-2, 1"]),
        (_refused(terms=(Term("base_ang_vel", clip_scaled=(-1, 2)),)), ContractError, ["clip_scaled", "element 0"]),
        (_refused(default_position=(0.0, 0.4, 0.1, 0.1, 0.4)), ContractError, ["default position", "'left_roll'"]),
        (_refused(default_position=(0.2, 0.4, 0.1, -0.1, 0.4)), ContractError, ["default position", "'waist'"]),
        (_refused(joints=OBSERVED[:4], default_position=DEFAULT[:4]), ContractError, ["'right_knee'", "'left_knee'"]),
        (_refused(driven=("left_roll",)), ContractError, ["'left_roll'", "'right_roll' is missing"]),
        (_refused(clip=(-1.0, 2.0)), ConfigError, ["clip [-1, 2]"]),
        (
            _refused(terms=(Term("gait_phase_sin"),), gait=GaitSpec(1.0, phases=(0.0, 1.0))),
            ConfigError,
            ["phases 0, 1 rad", "half a turn"],
        ),
        (
            _refused(terms=(Term("gait_phase_cos"),), gait=GaitSpec(1.0, phases=(0.0, 1.0, 2.0))),
            ConfigError,
            ["0, 1, 2"],
        ),
        (
            _refused(terms=(Term("gait_phase_sin"),), gait=GaitSpec(1.0, when_standing="hold")),
            ConfigError,
            ["one phase", "3.14159"],
        ),
        (_refused(terms=(Term("joint_pos", elements=(9,)),)), ConfigError, ["elements 0 to 4", "[9]"]),
    ],
)
def test_what_differs_from_side_to_side_is_refused(
    make: Callable[[], Mirroring], error: type[Exception], words: list[str], refuses: Refuses
) -> None:
    with refuses(error, *words):
        make()


def test_a_default_pose_that_is_not_seen_may_be_anything() -> None:
    mirror_observation(_spec(Term("joint_pos"), default_position=(1.0, 2.0, 3.0, 4.0, 5.0)), MIRROR, driven=())


def test_a_term_of_a_plugin_says_itself_how_it_mirrors(monkeypatch: pytest.MonkeyPatch, refuses: Refuses) -> None:
    for module in (observation_terms, observation_mirror):
        monkeypatch.setattr(module, "_REGISTRY", dict(module._REGISTRY))
    register_term("foot_force", 2)(lambda inputs, layout: np.zeros(2))
    spec = _spec(Term("standing"), Term("foot_force"))
    with refuses(ConfigError, "'foot_force'", "register_mirror"):
        mirror_observation(spec, MIRROR, driven=())
    register_mirror("foot_force", lambda layout: Mirroring(np.arange(layout.width)[::-1], np.ones(2, np.float32)))
    assert mirror_observation(spec, MIRROR, driven=()).index.tolist() == [0, 2, 1]
    with refuses(ConfigError, "'foot_force'", "already"):
        register_mirror("foot_force", (1.0, 1.0))
    register_term("wind", 3)(lambda inputs, layout: np.zeros(3))
    register_mirror("wind", (1.0, -1.0))
    with refuses(ConfigError, "'wind'", "2 elements", "expected 3"):
        mirror_observation(_spec(Term("wind")), MIRROR, driven=())
