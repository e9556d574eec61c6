"""The one place that assembles an observation: order, scale, clip, mask, history, batches."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ConfigError, ContractError, HumanoidError, StateError
from humanoid_rl_ros.core.observation import ObservationBuilder
from humanoid_rl_ros.core.observation_spec import BlockSpec, HistorySpec, ObservationSpec, TermSpec
from humanoid_rl_ros.core.observation_terms import ObservationInput
from humanoid_rl_ros.core.state import RobotState

Refuses = Callable[..., AbstractContextManager[None]]
ROBOT = ("hip", "knee", "ankle")
UPRIGHT = (1.0, 0.0, 0.0, 0.0)


def _inputs(
    command: object = (0.5, 0.0, 0.0),
    action: object = (),
    *,
    batch: tuple[int, ...] = (),
    phases: int = 0,
    **state: object,
) -> ObservationInput:
    values: dict[str, Any] = {
        "joint_position": np.zeros((*batch, 3)),
        "joint_velocity": np.zeros((*batch, 3)),
        "orientation": np.broadcast_to(UPRIGHT, (*batch, 4)),
        "angular_velocity": np.zeros((*batch, 3)),
    } | state
    zero = np.zeros((*batch, phases))
    return ObservationInput(RobotState(0, **values), np.asarray(command), np.asarray(action), zero, zero)


def _spec(*blocks: BlockSpec | TermSpec, **changes: Any) -> ObservationSpec:
    wrapped = tuple(b if isinstance(b, BlockSpec) else BlockSpec((b,)) for b in blocks)
    return dataclasses.replace(ObservationSpec(("ankle", "hip"), (0.1, -0.2), wrapped), **changes)


def _build(spec: ObservationSpec, inputs: ObservationInput) -> list[float]:
    return ObservationBuilder(spec, ROBOT, n_actions=inputs.last_action.shape[-1]).build(inputs).tolist()


def test_terms_stand_in_the_order_written_and_joints_in_the_networks() -> None:
    spec = _spec(
        TermSpec("joint_pos_rel"),
        TermSpec("velocity_commands"),
        TermSpec("joint_vel_rel"),
        TermSpec("projected_gravity"),
    )
    inputs = _inputs((0.5, -0.5, 1.0), joint_position=[1.0, 2.0, 3.0], joint_velocity=[4.0, 5.0, 6.0])
    expected = [3.0 - 0.1, 1.0 + 0.2, 0.5, -0.5, 1.0, 6.0, 4.0, 0.0, 0.0, -1.0]
    np.testing.assert_allclose(_build(spec, inputs), expected, rtol=1e-6)


def test_a_term_is_clipped_scaled_clipped_masked_in_this_order() -> None:
    # 6 → clip 2 → scale 2·(2, 10) = (4, 20) → clip 5; the ankle is masked; −6 → −2 → −20 → −5.
    term = TermSpec("joint_vel_rel", (2.0, 10.0), clip=(-2.0, 2.0), clip_scaled=(-5.0, 5.0))
    inputs = _inputs(joint_velocity=[-6.0, 0.0, 6.0])
    assert _build(_spec(term), inputs) == [4.0, -5.0]
    assert _build(_spec(dataclasses.replace(term, masked_joints=("ankle",))), inputs) == [0.0, -5.0]


def test_a_mask_comes_after_a_clip_that_excludes_zero() -> None:
    assert _build(_spec(TermSpec("joint_pos", clip_scaled=(1.0, 2.0), masked_joints=("hip",))), _inputs()) == [1.0, 0.0]


@pytest.mark.parametrize(
    ("command", "seen"), [((0.0, 0.0, 0.0), 0.0), ((0.04, 0.0, 0.04), 0.0), ((0.0, 0.0, 0.05), 3.0)]
)
def test_a_term_can_be_zero_when_standing(command: tuple[float, ...], seen: float) -> None:
    term = TermSpec("constant", value=(3.0,), zero_when_standing=True)
    assert _build(_spec(term, stand_threshold=0.05), _inputs(command)) == [seen]


def test_the_whole_vector_is_clipped_last() -> None:
    spec = _spec(TermSpec("velocity_commands", (10.0,)), clip=(-2.0, 3.0))
    assert _build(spec, _inputs((1.0, -1.0, 0.1))) == [3.0, -2.0, 1.0]


def test_the_vector_is_float32_and_sized_as_announced() -> None:
    spec = _spec(
        TermSpec("base_ang_vel"), BlockSpec((TermSpec("last_action"), TermSpec("gait_phase_sin")), HistorySpec(4))
    )
    builder = ObservationBuilder(spec, ROBOT, n_actions=5, n_phases=2)
    vector = builder.build(_inputs(action=np.zeros(5), phases=2))
    assert vector.dtype == np.float32
    assert vector.shape == (builder.size,) == (3 + 4 * (5 + 2),)
    assert len(builder.labels()) == builder.size


def _history(**changes: Any) -> list[list[float]]:
    """Three steps of a block of a pair (10, 11), (20, 21), … and a single (−1), (−2), …, length 2."""
    history = HistorySpec(2, **changes)
    block = BlockSpec((TermSpec("last_action"), TermSpec("velocity_commands_angular")), history)
    builder = ObservationBuilder(_spec(block), ROBOT, n_actions=2)
    return [builder.build(_inputs((0, 0, -k), (10 * k, 10 * k + 1))).tolist() for k in (1, 2, 3)]


@pytest.mark.parametrize(
    ("changes", "third"),
    [
        ({"layout": "term_major", "order": "oldest_first"}, [20, 21, 30, 31, -2, -3]),
        ({"layout": "term_major", "order": "newest_first"}, [30, 31, 20, 21, -3, -2]),
        ({"layout": "time_major", "order": "oldest_first"}, [20, 21, -2, 30, 31, -3]),
        ({"layout": "time_major", "order": "newest_first"}, [30, 31, -3, 20, 21, -2]),
        ({"layout": "time_major", "order": "newest_first", "include_current": False}, [20, 21, -2, 10, 11, -1]),
    ],
)
def test_the_layouts_of_a_history(changes: dict[str, Any], third: list[float]) -> None:
    assert _history(**changes)[2] == third


@pytest.mark.parametrize(
    ("changes", "first", "second"),
    [
        ({"first_fill": "first_frame"}, [10, 11, 10, 11, -1, -1], [10, 11, 20, 21, -1, -2]),
        ({"first_fill": "zeros"}, [0, 0, 10, 11, 0, -1], [10, 11, 20, 21, -1, -2]),
        ({"first_fill": "first_frame", "include_current": False}, [10, 11, 10, 11, -1, -1], [10, 11, 10, 11, -1, -1]),
        ({"first_fill": "zeros", "include_current": False}, [0, 0, 0, 0, 0, 0], [0, 0, 10, 11, 0, -1]),
    ],
)
def test_what_fills_a_history_at_first(changes: dict[str, Any], first: list[float], second: list[float]) -> None:
    assert _history(**changes)[:2] == [first, second]


histories = st.none() | st.builds(
    HistorySpec,
    st.integers(1, 6),
    st.sampled_from(["term_major", "time_major"]),
    st.sampled_from(["oldest_first", "newest_first"]),
    st.sampled_from(["first_frame", "zeros"]),
    st.booleans(),
)
STACKED = {"last_action": 2, "velocity_commands_linear": 2, "velocity_commands_angular": 1, "joint_pos": 2}
blocks = st.lists(
    st.builds(
        BlockSpec,
        st.lists(st.sampled_from(list(STACKED)).map(TermSpec), min_size=1, max_size=4, unique=True).map(tuple),
        histories,
    ),
    min_size=1,
    max_size=3,
)


def _labelled(step: int) -> tuple[ObservationInput, dict[str, list[float]]]:
    """Inputs whose every number tells its step and its place, and what each term makes of them."""
    inputs = _inputs(
        (100 * step + 1, 100 * step + 2, 100 * step + 3),
        (100 * step + 4, 100 * step + 5),
        joint_position=[
            100 * step + 6,
            100 * step + 7,
            100 * step + 8,
        ],
    )
    base = 100.0 * step
    return inputs, {
        "velocity_commands_linear": [base + 1, base + 2],
        "velocity_commands_angular": [base + 3],
        "last_action": [base + 4, base + 5],
        "joint_pos": [base + 8, base + 6],  # ankle, hip
    }


def _frame_of_age(frames: list[dict[str, list[float]]], age: int, fill: str) -> dict[str, list[float]]:
    """The frame `age` steps before the last of `frames`, or what stands for a step before the first."""
    if age < len(frames):
        return frames[-1 - age]
    return frames[0] if fill == "first_frame" else {name: [0.0] * len(v) for name, v in frames[0].items()}


def _expected(blocks: list[BlockSpec], frames: list[dict[str, list[float]]]) -> list[float]:
    out: list[float] = []
    for block in blocks:
        names = [term.term for term in block.terms]
        if block.history is None:
            out += [v for name in names for v in frames[-1][name]]
            continue
        h = block.history
        ages = list(range(h.length)) if h.include_current else list(range(1, h.length + 1))
        if h.order == "oldest_first":
            ages = ages[::-1]
        if h.layout == "time_major":
            places = [(age, name) for age in ages for name in names]
        else:
            places = [(age, name) for name in names for age in ages]
        for age, name in places:
            out += _frame_of_age(frames, age, h.first_fill)[name]
    return out


@given(blocks, st.integers(1, 9))
def test_every_history_is_the_labelled_frames_in_their_places(blocks: list[BlockSpec], steps: int) -> None:
    builder = ObservationBuilder(_spec(*blocks), ROBOT, n_actions=2)
    frames: list[dict[str, list[float]]] = []
    for step in range(1, steps + 1):
        inputs, frame = _labelled(step)
        frames.append(frame)
        assert builder.build(inputs).tolist() == _expected(blocks, frames)


@given(blocks)
def test_labels_say_what_stands_where(blocks: list[BlockSpec]) -> None:
    builder = ObservationBuilder(_spec(*blocks), ROBOT, n_actions=2)
    frames = []
    for step in range(1, 9):  # more steps than any history is long
        inputs, frame = _labelled(step)
        frames.append(frame)
        vector = builder.build(inputs)
    for label, value in zip(builder.labels(), vector, strict=True):
        found = re.fullmatch(r"(\w+)\[(\d)\](?:@-(\d))?", label)
        assert found is not None
        assert frames[-1 - int(found[3] or 0)][found[1]][int(found[2])] == value


def test_reset_forgets_the_history() -> None:
    builder = ObservationBuilder(_spec(BlockSpec((TermSpec("last_action"),), HistorySpec(3))), ROBOT, n_actions=1)
    for k in range(5):
        builder.build(_inputs(action=[float(k)]))
    builder.reset()
    assert builder.build(_inputs(action=[7.0])).tolist() == [7.0, 7.0, 7.0]


ALL_TERMS = (
    TermSpec("base_ang_vel", (0.25,)),
    TermSpec("projected_gravity"),
    TermSpec("base_roll_pitch_yaw"),
    TermSpec("velocity_commands", (2.0, 2.0, 0.25), zero_when_standing=True),
    TermSpec("joint_pos_rel", masked_joints=("ankle",)),
    TermSpec("joint_vel_rel", (0.05,), clip=(-1.0, 1.0)),
    TermSpec("last_action"),
    TermSpec("constant", value=(0.7, -0.7)),
    TermSpec("moving"),
)


def _random_inputs(rng: np.random.Generator, batch: tuple[int, ...]) -> ObservationInput:
    orientation = rng.normal(size=(*batch, 4))
    return _inputs(
        rng.choice([0.0, 0.5, -1.0], size=(*batch, 3)),
        rng.normal(size=(*batch, 2)),
        batch=batch,
        joint_position=rng.normal(size=(*batch, 3)),
        joint_velocity=rng.normal(size=(*batch, 3)),
        orientation=orientation / np.linalg.norm(orientation, axis=-1, keepdims=True),
        angular_velocity=rng.normal(size=(*batch, 3)),
    )


def _row(inputs: ObservationInput, i: int) -> ObservationInput:
    state = inputs.state
    single = RobotState(
        0, state.joint_position[i], state.joint_velocity[i], state.orientation[i], state.angular_velocity[i]
    )
    return ObservationInput(
        single, inputs.command[i], inputs.last_action[i], inputs.phase_sine[i], inputs.phase_cosine[i]
    )


@given(
    histories,
    st.integers(0, 2**32 - 1),
    st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=7),
)
def test_a_batch_equals_single_robots_under_masked_resets(
    history: HistorySpec | None, seed: int, resets: list[list[bool]]
) -> None:
    rng = np.random.default_rng(seed)
    spec = _spec(BlockSpec(ALL_TERMS[:3]), BlockSpec(ALL_TERMS, history))
    together = ObservationBuilder(spec, ROBOT, n_actions=2, batch_shape=(3,))
    alone = [ObservationBuilder(spec, ROBOT, n_actions=2) for _ in range(3)]
    for mask in resets:
        together.reset(np.array(mask))
        for builder, reset in zip(alone, mask, strict=True):
            if reset:
                builder.reset()
        inputs = _random_inputs(rng, (3,))
        rows = [builder.build(_row(inputs, i)) for i, builder in enumerate(alone)]
        np.testing.assert_array_equal(together.build(inputs), rows)


@settings(max_examples=100)
@given(st.permutations(range(3)), st.integers(0, 2**32 - 1))
def test_the_order_of_the_robots_joints_changes_no_bit(order: list[int], seed: int) -> None:
    spec = _spec(BlockSpec(ALL_TERMS, HistorySpec(3)))
    straight = ObservationBuilder(spec, ROBOT, n_actions=2)
    permuted = ObservationBuilder(spec, [ROBOT[i] for i in order], n_actions=2)
    rng = np.random.default_rng(seed)
    for _ in range(4):
        inputs = _random_inputs(rng, ())
        state = dataclasses.replace(
            inputs.state,
            joint_position=inputs.state.joint_position[order],
            joint_velocity=inputs.state.joint_velocity[order],
        )
        same = permuted.build(dataclasses.replace(inputs, state=state))
        assert straight.build(inputs).tobytes() == same.tobytes()


def test_a_robot_may_have_joints_that_are_not_observed() -> None:
    builder = ObservationBuilder(_spec(TermSpec("joint_pos")), ("arm", *ROBOT, "head"), n_actions=0)
    assert builder.build(_inputs(joint_position=[9.0, 1.0, 2.0, 3.0, 9.0])).tolist() == [3.0, 1.0]


@pytest.mark.parametrize(
    ("term", "state"),
    [
        ("joint_vel_rel", {"joint_velocity": [math.nan, 0.0, 0.0]}),
        ("joint_pos_rel", {"joint_position": [0.0, 0.0, math.inf]}),
        ("base_ang_vel", {"angular_velocity": [0.0, -math.inf, 0.0]}),
        ("projected_gravity", {"orientation": [math.nan, 0.0, 0.0, 0.0]}),
    ],
)
@pytest.mark.parametrize("clip", [None, (-100.0, 100.0)])
def test_a_measurement_that_is_not_finite_names_the_term(
    term: str, state: dict[str, object], clip: tuple[float, float] | None, refuses: Refuses
) -> None:
    spec = _spec(TermSpec("velocity_commands"), TermSpec(term), clip=clip)
    with refuses(StateError, f"'{term}'", "not finite"):
        _build(spec, _inputs(**state))


def test_a_clip_does_not_hide_infinity(refuses: Refuses) -> None:
    spec = _spec(TermSpec("base_ang_vel", clip=(-10.0, 10.0)))
    with refuses(StateError, "'base_ang_vel'", "not finite"):
        _build(spec, _inputs(angular_velocity=[math.inf, 0.0, 0.0]))


@pytest.mark.filterwarnings("ignore:overflow")
def test_a_number_too_large_for_float32_is_refused(refuses: Refuses) -> None:
    with refuses(StateError, "'joint_vel_rel'", "too large", "float32"):
        _build(_spec(TermSpec("joint_vel_rel")), _inputs(joint_velocity=[1e39, 0.0, 0.0]))


def test_a_refused_measurement_does_not_stay_in_the_history() -> None:
    builder = ObservationBuilder(_spec(BlockSpec((TermSpec("joint_vel_rel"),), HistorySpec(3))), ROBOT, n_actions=0)
    builder.build(_inputs())
    with pytest.raises(StateError):
        builder.build(_inputs(joint_velocity=[math.nan, 0.0, 0.0]))
    assert np.isfinite(builder.build(_inputs())).all()


def test_base_velocity_without_a_source_is_refused(refuses: Refuses) -> None:
    with refuses(StateError, "base_lin_vel"):
        _build(_spec(TermSpec("base_lin_vel")), _inputs())


def test_a_last_action_of_the_wrong_width_is_refused(refuses: Refuses) -> None:
    builder = ObservationBuilder(_spec(TermSpec("last_action")), ROBOT, n_actions=2)
    with refuses(StateError, "'last_action'", "3 numbers", "expected 2"):
        builder.build(_inputs(action=[1.0, 2.0, 3.0]))


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        (_spec(TermSpec("joint_pos_relative")), ConfigError, ["'joint_pos_relative'", "did you mean 'joint_pos_rel'?"]),
        (_spec(TermSpec("base_ang_vel", (1.0, 2.0))), ConfigError, ["'base_ang_vel'", "3 elements", "scale has 2"]),
        (_spec(TermSpec("base_ang_vel", masked_joints=("hip",))), ConfigError, ["'base_ang_vel'", "masked_joints"]),
        (_spec(TermSpec("joint_pos", masked_joints=("knee",))), ContractError, ["'joint_pos'", "'knee'"]),
        (_spec(TermSpec("joint_pos"), joints=("hip", "toe")), ContractError, ["observed joint 'toe'", "robot"]),
        (_spec(), ConfigError, ["no term"]),
        (_spec(TermSpec("constant")), ConfigError, ["no term"]),
    ],
)
def test_what_does_not_fit_is_refused(
    spec: ObservationSpec, error: type[HumanoidError], words: list[str], refuses: Refuses
) -> None:
    with refuses(error, *words):
        ObservationBuilder(spec, ROBOT, n_actions=2)


def test_a_mask_is_for_terms_of_the_observed_joints_alone(refuses: Refuses) -> None:
    # Two joints observed and two driven: the width alone does not tell that the order is another.
    with refuses(ConfigError, "'last_action'", "masked_joints"):
        ObservationBuilder(_spec(TermSpec("last_action", masked_joints=("hip",))), ROBOT, n_actions=2)


def test_an_empty_history_block_is_refused(refuses: Refuses) -> None:
    with refuses(ConfigError, "no term"):
        ObservationBuilder(_spec(TermSpec("joint_pos"), BlockSpec((), HistorySpec(2))), ROBOT, n_actions=2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"length": 0}, ["length", "found 0"]),
        ({"layout": "frames"}, ["layout", "term_major", "'frames'"]),
        ({"order": "newest"}, ["order", "newest_first", "'newest'"]),
        ({"first_fill": "ones"}, ["first_fill", "zeros", "'ones'"]),
    ],
)
def test_a_wrong_history_is_refused(changes: dict[str, Any], words: list[str], refuses: Refuses) -> None:
    with refuses(ConfigError, "history", *words):
        HistorySpec(**({"length": 2} | changes))


def test_a_wrong_spec_is_refused(refuses: Refuses) -> None:
    with refuses(ConfigError, "'hip' is listed twice"):
        _spec(joints=("hip", "hip"))
    with refuses(ConfigError, "2 joints", "1 default positions"):
        _spec(default_position=(0.0,))


def test_term_names_repeat_what_is_repeated() -> None:
    spec = _spec(TermSpec("moving"), BlockSpec((TermSpec("joint_pos"), TermSpec("moving"))))
    assert spec.term_names() == ("moving", "joint_pos", "moving")


def test_some_robots_of_a_batch_take_a_step_alone() -> None:
    """Frames 1, 2, 3, the second for robots 0 and 2 alone: robot 1 never saw it, and its first frame waits for it."""
    history = HistorySpec(length=2, layout="time_major", order="oldest_first", first_fill="first_frame")
    builder = ObservationBuilder(
        _spec(BlockSpec((TermSpec("velocity_commands_angular"),), history)), ROBOT, n_actions=0, batch_shape=(3,)
    )

    def build(turn: float, rows: list[int] | None = None) -> list[list[float]]:
        n = 3 if rows is None else len(rows)
        inputs = _inputs(np.tile([0.0, 0.0, turn], (n, 1)), np.zeros((n, 0)), batch=(n,))
        return builder.build(inputs, None if rows is None else np.array(rows)).tolist()

    assert build(1.0) == [[1.0, 1.0]] * 3
    assert build(2.0, [0, 2]) == [[1.0, 2.0]] * 2
    assert build(3.0) == [[2.0, 3.0], [1.0, 3.0], [2.0, 3.0]]
    builder.reset(np.array([False, True, False]))
    assert build(4.0, [0]) == [[3.0, 4.0]]
    assert build(5.0) == [[4.0, 5.0], [5.0, 5.0], [3.0, 5.0]]


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_a_builder_goes_on_from_the_history_of_another(steps: int) -> None:
    rng = np.random.default_rng(steps)
    blocks = (
        TermSpec("base_ang_vel"),
        BlockSpec((TermSpec("joint_vel_rel"),), HistorySpec(length=3, first_fill="first_frame")),
        BlockSpec((TermSpec("projected_gravity"),), HistorySpec(length=2, include_current=False)),
    )
    first, second = (ObservationBuilder(_spec(*blocks), ROBOT, n_actions=2, batch_shape=(2,)) for _ in range(2))
    for _ in range(steps):
        first.build(_random_inputs(rng, (2,)))
    second.build(_random_inputs(rng, (2,)))  # what it remembers must go
    saved = first.state_dict()
    second.load_state_dict(saved)
    for values in saved.values():
        for array in values:
            array[...] = np.nan  # nobody looks at it any more
    for _ in range(4):
        inputs = _random_inputs(rng, (2,))
        np.testing.assert_array_equal(second.build(inputs), first.build(inputs))


def test_the_vector_does_not_change_after_the_next_step() -> None:
    builder = ObservationBuilder(
        _spec(BlockSpec((TermSpec("last_action"),), HistorySpec(2, "time_major"))), ROBOT, n_actions=1
    )
    first: FloatArray = builder.build(_inputs(action=[1.0]))
    builder.build(_inputs(action=[2.0]))
    assert first.tolist() == [1.0, 1.0]


def test_elements_of_a_term_are_picked_by_index(refuses: Refuses) -> None:
    inputs = _inputs(joint_velocity=[1.0, 2.0, 3.0])  # of hip, knee, ankle; observed are ankle and hip
    assert _build(_spec(TermSpec("joint_vel_rel", elements=(1, 0), scale=(10.0, 100.0))), inputs) == [10.0, 300.0]
    builder = ObservationBuilder(_spec(TermSpec("joint_vel_rel", elements=(1, 0))), ROBOT, n_actions=0)
    assert builder.labels() == ["joint_vel_rel[1]", "joint_vel_rel[0]"]
    with refuses(ConfigError, "'joint_vel_rel'", "elements 0 to 1", "[2]"):
        _build(_spec(TermSpec("joint_vel_rel", elements=(2,))), inputs)
