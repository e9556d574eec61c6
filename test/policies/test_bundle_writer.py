"""`dump_bundle`: what `load_bundle` reads back is the same bundle, and a person can read it too."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zoo
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.core.action import KINDS, LAST_ACTIONS, ActionSpec
from humanoid_rl_ros.core.command import CommandSpec
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.gait import WHEN_STANDING, GaitSpec
from humanoid_rl_ros.core.observation import ObservationBuilder
from humanoid_rl_ros.core.observation_spec import (
    FIRST_FILLS,
    LAYOUTS,
    ORDERS,
    BlockSpec,
    HistorySpec,
    ObservationSpec,
    TermSpec,
)
from humanoid_rl_ros.policies.bundle import DrivenJoint, HeldJoint, PolicyBundle, WeightsSpec
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.policies.bundle_writer import dump_bundle
from humanoid_rl_ros.policies.normaliser import NormaliserSpec

Refuses = Callable[..., AbstractContextManager[None]]
WriteYaml = Callable[[object], Path]
Draw = st.DrawFn
STAND = Path(__file__).parents[2] / "config" / "policies" / "stand"
INF = math.inf

SMALL = """\
format: 1
name: small
robot: biped
weights:
  file: policy.onnx
control_period: 0.02
pd_rate: 500.0
joints:
  knee: {default: 0.3, kp: 20.0, kd: 1.0, effort: 30.0}
  hip: {default: -0.1, kp: 40.0, kd: 2.0, effort: 50.0}
held:
  ankle: {position: -0.2, kp: 10.0, kd: 0.5}
  arm: {position: 0.0, kp: 5.0, kd: 0.25, effort: 4.0}
observation:
  joints: [ankle, hip, knee]
  default: {ankle: -0.2}
  terms:
    - {term: base_ang_vel, scale: 0.25}
    - {term: projected_gravity}
    - {term: velocity_commands}
    - {term: joint_pos_rel}
    - {term: joint_vel_rel, scale: 0.05}
    - {term: last_action}
action:
  kind: position_offset
  scale: 0.5
"""


@pytest.fixture
def small(bundle_data: dict[str, Any], write_bundle: WriteYaml) -> PolicyBundle:
    return load_bundle(write_bundle(bundle_data))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bundle")


def _moved(bundle: PolicyBundle, folder: Path) -> PolicyBundle:
    weights = bundle.weights
    data = tuple(folder / path.relative_to(bundle.folder) for path in weights.external_data)
    path = folder / weights.path.relative_to(bundle.folder)
    return replace(bundle, folder=folder, weights=replace(weights, path=path, external_data=data))


def _read(text: str, folder: Path) -> PolicyBundle:
    (folder / "policy.yaml").write_text(text, encoding="utf-8")
    return load_bundle(folder)


def _read_back(bundle: PolicyBundle) -> PolicyBundle:
    return _read(dump_bundle(bundle), bundle.folder)


finite = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(min_value=0.0, exclude_min=True, allow_infinity=False)
not_negative = st.floats(min_value=0.0, allow_infinity=False)
share = st.floats(min_value=0.0, max_value=1.0, exclude_min=True)
limit = st.one_of(st.just(INF), positive)
# What YAML would read as something else, and any text at all.
names = st.one_of(
    st.sampled_from(["hip", "knee", "on", "null", "1.5", "1e3", "<<", "a: b", "x, y}", "# z", "'", "\x85", "é", "="]),
    st.text(min_size=1, max_size=6),
)
pairs = (
    st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False))
    .map(lambda pair: (min(pair), max(pair)))
    .filter(lambda pair: pair[0] < pair[1])
)
bounds = st.one_of(st.none(), st.just((-INF, INF)), pairs, positive.map(lambda size: (-size, size)))


def many(numbers: st.SearchStrategy[Any], count: int) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.one_of(
        numbers.map(lambda number: (number,) * count), st.lists(numbers, min_size=count, max_size=count).map(tuple)
    )


def some(items: tuple[str, ...]) -> st.SearchStrategy[tuple[str, ...]]:
    return st.permutations(items).flatmap(lambda order: st.integers(0, len(order)).map(lambda n: tuple(order[:n])))


@st.composite
def terms(draw: Draw, widths: dict[str, int], observed: tuple[str, ...]) -> TermSpec:
    name = draw(st.sampled_from(sorted(widths)))
    value = draw(st.lists(finite, min_size=1, max_size=3).map(tuple)) if name == "constant" else ()
    width = len(value) or widths[name]
    elements = draw(st.lists(st.integers(0, width - 1), max_size=4).map(tuple))
    masked = draw(some(observed)) if name.startswith("joint_") and not elements else ()
    return TermSpec(
        name,
        draw(st.one_of(st.just((1.0,)), many(finite, 1), many(finite, len(elements) or width))),
        draw(bounds),
        draw(bounds),
        masked,
        draw(st.booleans()),
        value,
        elements,
    )


histories = st.builds(
    HistorySpec,
    st.integers(1, 5),
    st.sampled_from(LAYOUTS),
    st.sampled_from(ORDERS),
    st.sampled_from(FIRST_FILLS),
    st.booleans(),
)
gaits = st.builds(
    GaitSpec,
    positive,
    finite,
    st.lists(finite, min_size=1, max_size=3).map(tuple),
    st.sampled_from(WHEN_STANDING),
    finite,
    not_negative,
)
commands = st.builds(CommandSpec, pairs, pairs, pairs, not_negative, st.tuples(limit, limit, limit))
texts = st.dictionaries(names, names, max_size=2)


@st.composite
def weights(draw: Draw, size: int) -> WeightsSpec:
    parts = draw(st.lists(names, unique=True, max_size=min(size, 3)))
    numbers = many(finite, size), many(positive, size)
    return WeightsSpec(
        path=draw(st.sampled_from(["policy.onnx", "nets/of: day 1.pt", "null"]).map(Path)),
        sha256=draw(st.text("0123456789abcdef", max_size=8)),
        external_data=draw(st.lists(st.sampled_from(["a.data", "1", "b, c"]).map(Path), unique=True).map(tuple)),
        input_name="" if parts else draw(st.text(max_size=4)),
        output_name=draw(st.text(max_size=4)),
        inputs=dict.fromkeys(parts[1:], 1) | {name: size - len(parts) + 1 for name in parts[:1]},
        recurrent=draw(texts),
        normaliser=draw(st.one_of(st.none(), st.builds(NormaliserSpec, *numbers, limit))) if size else None,
    )


@st.composite
def observations(draw: Draw, poses: dict[str, float], pool: list[str], gait: GaitSpec | None) -> ObservationSpec:
    joints = draw(st.one_of(st.just(tuple(poses)), some(tuple(pool)).filter(bool)))
    widths = {"base_ang_vel": 3, "moving": 1, "constant": 0, "last_action": len(poses)}
    widths |= {"joint_pos_rel": len(joints), "joint_vel_rel": len(joints)}
    widths |= {"gait_phase_sin": len(gait.phases)} if gait else {}
    block = st.lists(terms(widths, joints), min_size=1, max_size=3).map(tuple)
    plain, stacked = st.builds(BlockSpec, block), st.builds(BlockSpec, block, histories)
    blocks: list[BlockSpec] = []
    for _ in range(draw(st.integers(1, 4))):
        # Two plain ones after each other are one.
        blocks.append(draw(stacked if blocks and blocks[-1].history is None else st.one_of(plain, stacked)))
    default = tuple(poses[name] if name in poses and draw(st.booleans()) else draw(finite) for name in joints)
    threshold = st.one_of(st.just(0.01), not_negative)
    return ObservationSpec(joints, default, tuple(blocks), draw(bounds), draw(threshold))


@st.composite
def actions(draw: Draw, poses: dict[str, float], clamped: bool) -> ActionSpec:
    n = len(poses)
    free = st.just(((-INF, INF),) * n)
    limits = st.one_of(free, many(pairs, n), positive.map(lambda size: ((-size, size),) * n))
    clip, target = draw(limits), draw(free if clamped else limits)
    return ActionSpec(
        tuple(poses),
        draw(st.sampled_from(KINDS[:2] if clamped else KINDS)),
        draw(st.one_of(st.just((1.0,) * n), many(finite, n))),
        draw(st.one_of(st.just(tuple(poses.values())), many(finite, n))),
        tuple(low for low, _ in clip),
        tuple(high for _, high in clip),
        tuple(low for low, _ in target),
        tuple(high for _, high in target),
        draw(st.sampled_from(LAST_ACTIONS)),
        draw(share),
        draw(st.integers(0, 3)),
    )


@st.composite
def bundles(draw: Draw) -> PolicyBundle:
    pool = draw(st.lists(names, min_size=2, max_size=6, unique=True))
    n_driven, n_held = draw(st.integers(1, len(pool) - 1)), draw(st.integers(0, 2))
    driven = {name: draw(st.builds(DrivenJoint, finite, not_negative, not_negative, limit)) for name in pool[:n_driven]}
    still = pool[n_driven : n_driven + n_held]
    poses = {name: joint.default_position for name, joint in driven.items()}
    gait, clamped = draw(st.one_of(st.none(), gaits)), draw(st.booleans())
    period = draw(st.floats(1e-3, 1.0))
    observation = draw(observations(poses, pool, gait))
    n_phases = len(gait.phases) if gait else 0
    size = ObservationBuilder(observation, observation.joints, n_actions=len(driven), n_phases=n_phases).size
    return PolicyBundle(
        name=draw(st.text()),
        robot=draw(st.text()),
        weights=draw(weights(size)),
        joints=driven,
        observation=observation,
        action=draw(actions(poses, clamped)),
        control_period=period,
        pd_rate=draw(st.floats(1.0, 1e6)) / period,
        held={name: draw(st.builds(HeldJoint, finite, not_negative, not_negative, limit)) for name in still},
        hold_remaining=draw(st.booleans()),
        target_low_pass=draw(share),
        effort_low_pass=draw(share),
        soft_effort_limit=draw(share),
        clamp_target_to_joint_limits=clamped,
        imu=draw(st.text()),
        command=draw(st.one_of(st.just(CommandSpec()), commands)),
        gait=gait,
        entry_blend=draw(not_negative),
        origin=draw(st.text()),
        licence=draw(st.text()),
        inferred=draw(texts),
    )


@given(bundle=bundles(), comment=st.text())
def test_a_bundle_is_read_back_as_it_was(bundle: PolicyBundle, comment: str, folder: Path) -> None:
    assert _read(dump_bundle(bundle, comment=comment), folder) == _moved(bundle, folder)


def test_the_small_bundle_reads_like_this(small: PolicyBundle) -> None:
    assert dump_bundle(small) == SMALL
    assert _read_back(small) == small


def test_the_shipped_policy_is_written_as_it_stands(tmp_path: Path) -> None:
    bundle = load_bundle(STAND)
    file = [line for line in (STAND / "policy.yaml").read_text(encoding="utf-8").splitlines() if line[0] != "#"]
    written = dump_bundle(bundle)
    assert written.splitlines() == [line.replace("pd_rate: 500", "pd_rate: 500.0") for line in file]
    assert _read(written, tmp_path) == _moved(bundle, tmp_path)


@zoo.needs_zoo
@pytest.mark.parametrize("name", zoo.NAMES)
def test_published_policies_are_read_back_as_they_were(name: str, tmp_path: Path) -> None:
    bundle = load_bundle(zoo.write_bundle(name, tmp_path))
    assert _read_back(bundle) == bundle


def test_numbers_are_written_in_full(small: PolicyBundle) -> None:
    text = dump_bundle(replace(small, control_period=0.1 + 0.2, entry_blend=1e-7, pd_rate=1e16))
    assert "control_period: 0.30000000000000004\n" in text
    assert "entry_blend: 1.0e-07\n" in text  # YAML reads 1e-07 as text
    assert "pd_rate: 1.0e+16\n" in text


def test_numbers_of_numpy_are_numbers(small: PolicyBundle) -> None:
    action = replace(small.action, scale=(np.float32(0.25), np.float64(0.1)), delay=np.int64(2))
    text = dump_bundle(replace(small, action=action, entry_blend=np.float64(0.5), hold_remaining=np.True_))
    assert "  scale: {knee: 0.25, hip: 0.1}\n  delay: 2\n" in text
    assert "entry_blend: 0.5\n" in text
    assert "hold_remaining: true\n" in text


def test_values_of_a_joint_stand_by_its_name(small: PolicyBundle) -> None:
    pose = TermSpec("joint_pos_rel", (1.0, 2.0, 3.0), masked_joints=("hip",))
    block = BlockSpec((pose, TermSpec("last_action", (4.0, 5.0))), HistorySpec(3, "time_major", "newest_first"))
    observation = replace(small.observation, blocks=(BlockSpec((TermSpec("moving"),)), block))
    action = replace(small.action, clip_upper=(1.0, INF), target_lower=(-2.0, -2.0), target_upper=(2.0, 2.0))
    assert dump_bundle(replace(small, observation=observation, action=action)).endswith(
        """\
  terms:
    - {term: moving}
    - history: {length: 3, layout: time_major, order: newest_first}
      terms:
        - {term: joint_pos_rel, scale: {ankle: 1.0, hip: 2.0, knee: 3.0}, masked_joints: [hip]}
        - {term: last_action, scale: {knee: 4.0, hip: 5.0}}
action:
  kind: position_offset
  scale: 0.5
  clip:
    lower: {knee: -.inf, hip: -.inf}
    upper: {knee: 1.0, hip: .inf}
  target_limits: 2.0
"""
    )


def test_a_scale_of_chosen_elements_is_in_their_order(small: PolicyBundle) -> None:
    chosen = TermSpec("joint_pos_rel", (1.0, 2.0, 3.0), elements=(2, 0, 1))
    text = dump_bundle(replace(small, observation=replace(small.observation, blocks=(BlockSpec((chosen,)),))))
    assert "    - {term: joint_pos_rel, scale: [1.0, 2.0, 3.0], elements: [2, 0, 1]}\n" in text


def test_a_constant_of_no_number_is_read_back(small: PolicyBundle) -> None:
    blocks = (BlockSpec((TermSpec("constant"), TermSpec("moving"))),)
    bundle = replace(small, observation=replace(small.observation, blocks=blocks))
    assert _read_back(bundle) == bundle


def test_a_value_that_stands_twice_is_written_twice(small: PolicyBundle) -> None:
    pair = (-0.5, 1.0)
    text = dump_bundle(replace(small, command=CommandSpec(linear_x=pair, linear_y=pair)))
    assert "command: {linear_x: [-0.5, 1.0], linear_y: [-0.5, 1.0]}\n" in text


def test_the_comment_stands_above(small: PolicyBundle) -> None:
    text = dump_bundle(small, comment="Walks.\n\nMade by:\x85 me\x00")
    assert text == f"# Walks.\n#\n# Made by:\n#  me\n{SMALL}"


def test_neighbouring_plain_blocks_come_back_as_one(small: PolicyBundle) -> None:
    moving, rate = TermSpec("moving"), TermSpec("base_ang_vel")
    split = replace(small.observation, blocks=(BlockSpec((moving,)), BlockSpec((rate,))))
    read = _read_back(replace(small, observation=split))
    assert read.observation.blocks == (BlockSpec((moving, rate)),)
    joints = small.observation.joints
    assert (
        read.observation_builder(joints).labels()
        == replace(small, observation=split).observation_builder(joints).labels()
    )


def test_weights_elsewhere_need_a_full_path(small: PolicyBundle, refuses: Refuses) -> None:
    elsewhere = replace(small, weights=WeightsSpec(Path("/nets/a.onnx")))
    assert _read_back(elsewhere) == elsewhere
    with refuses(ConfigError, "nets/a.onnx", str(small.folder)):
        dump_bundle(replace(small, weights=WeightsSpec(Path("nets/a.onnx"))))


def test_limits_beside_the_joint_limits_are_refused(small: PolicyBundle, refuses: Refuses) -> None:
    action = replace(small.action, target_upper=(1.0, 2.0))
    with refuses(ConfigError, "'small'", "limits"):
        dump_bundle(replace(small, action=action, clamp_target_to_joint_limits=True))
