"""Unitree's deploy.yaml: motors have numbers, policies an order of their own, and gains stand in either."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
import zoo
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.core.errors import ConfigError, HumanoidError
from humanoid_rl_ros.core.observation_terms import ObservationInput
from humanoid_rl_ros.core.robot import ImuSpec, JointSpec, RobotSpec
from humanoid_rl_ros.core.state import RobotState
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.policies.importers.answers import answer
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.finish import draft_data, write_bundle
from humanoid_rl_ros.policies.importers.onnx_facts import OnnxFacts
from humanoid_rl_ros.policies.importers.source import Config, Source, open_source
from humanoid_rl_ros.policies.importers.unitree_deploy import UnitreeDeployImporter

Refuses = Callable[..., AbstractContextManager[None]]

NAMES = "hip,knee,ankle"
DEPLOY: dict[str, Any] = {
    "joint_ids_map": [2, 0, 1],
    "step_dt": 0.02,
    "stiffness": [10.0, 20.0, 30.0],
    "damping": [1.0, 2.0, 3.0],
    "default_joint_pos": [-0.1, 0.3, 0.2],
    "commands": {"base_velocity": {"ranges": {
        "lin_vel_x": [-0.5, 1.0], "lin_vel_y": [-0.3, 0.3], "ang_vel_z": [-0.2, 0.2], "heading": None,
    }}},
    "actions": {"JointPositionAction": {
        "clip": None, "joint_names": [".*"], "scale": [0.25, 0.5, 0.75], "offset": [-0.1, 0.3, 0.2], "joint_ids": None,
    }},
    "observations": {
        "base_ang_vel": {"params": {}, "clip": None, "scale": [0.2, 0.2, 0.2], "history_length": 1},
        "projected_gravity": {"params": {}, "clip": None, "scale": [1.0, 1.0, 1.0], "history_length": 1},
        "velocity_commands": {
            "params": {"command_name": "base_velocity"}, "clip": None, "scale": [1.0, 1.0, 1.0], "history_length": 1,
        },
        "joint_pos_rel": {"params": {}, "clip": None, "scale": [1.0, 1.0, 1.0], "history_length": 1},
        "joint_vel_rel": {"params": {}, "clip": [-100.0, 100.0], "scale": [0.05, 0.06, 0.07], "history_length": 1},
        "last_action": {"params": {}, "clip": None, "scale": None, "history_length": 1},
    },
}  # fmt: skip
WIDTH = 3 + 3 + 3 + 3 + 3 + 3


def _deploy(**changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(DEPLOY), **changes}


def _observing(**terms: Any) -> dict[str, Any]:
    return _deploy(observations=terms)


def _acting(**changes: Any) -> dict[str, Any]:
    return _deploy(actions={"JointPositionAction": DEPLOY["actions"]["JointPositionAction"] | changes})


def _source(
    data: Any,
    width: int | Mapping[str, int] = WIDTH,
    outputs: int = 3,
    *,
    names: str | None = NAMES,
    robot: RobotSpec | None = None,
    **metadata: str,
) -> Source:
    inputs = {"obs": width} if isinstance(width, int) else width
    said = ({} if names is None else {"joint_names": names}) | metadata
    shapes = {name: (1, number) for name, number in inputs.items()}
    facts = OnnxFacts(shapes, {"actions": (1, outputs)}, said, (), 18)
    return Source(Path("policy.onnx"), (Config(Path("deploy.yaml"), data),), facts, robot)


def _read(data: Any, *args: Any, **kwargs: Any) -> Draft:
    return UnitreeDeployImporter().read(_source(data, *args, **kwargs))


def _terms(draft: Draft) -> list[Any]:
    return list(draft.keys["observation"]["terms"])


def _robot(joints: tuple[str, ...], imu: str = "imu_in_pelvis") -> RobotSpec:
    return RobotSpec("some", tuple(JointSpec(name, -3.0, 3.0, 100.0) for name in joints), ImuSpec("imu", imu))


def _bundle(draft: Draft, folder: Path) -> PolicyBundle:
    """Through the text of a policy.yaml; the network is not there."""
    draft.weights = folder / "policy.onnx"
    draft.weights.write_bytes(b"net")
    (folder / "policy.yaml").write_text(yaml.safe_dump(draft_data(draft), sort_keys=False))
    return load_bundle(folder)


def test_a_deploy_yaml_is_known_by_its_keys() -> None:
    assert UnitreeDeployImporter().recognises(_source(DEPLOY))
    assert not UnitreeDeployImporter().recognises(_source({"joint_ids_map": [0], "observations": {}}))
    assert not UnitreeDeployImporter().recognises(Source(Path("policy.onnx")))


def test_gains_stand_in_the_order_of_the_motors_and_the_pose_in_the_networks(tmp_path: Path) -> None:
    draft = _read(DEPLOY)
    # Joint 0 of the network is behind motor 2, joint 1 behind motor 0, joint 2 behind motor 1.
    assert draft.joints == ("hip", "knee", "ankle")
    assert draft.columns == {"kp": (30.0, 10.0, 20.0), "kd": (3.0, 1.0, 2.0), "default": (-0.1, 0.3, 0.2)}
    assert draft.keys["action"] == {
        "kind": "position_offset",
        "scale": {"hip": 0.25, "knee": 0.5, "ankle": 0.75},
    }
    assert draft.keys["command"] == {"linear_x": [-0.5, 1.0], "linear_y": [-0.3, 0.3], "angular_z": [-0.2, 0.2]}
    assert draft.keys["control_period"] == 0.02
    assert draft.missing == {}
    assert {"pd_rate", "joints.effort", "imu"} <= set(draft.inferred)
    assert _bundle(draft, tmp_path).observation_size() == WIDTH


def test_terms_keep_order_scale_and_clip() -> None:
    assert _terms(_read(DEPLOY)) == [
        {"term": "base_ang_vel", "scale": 0.2},
        {"term": "projected_gravity"},
        {"term": "velocity_commands"},
        {"term": "joint_pos_rel"},
        {"term": "joint_vel_rel", "scale": [0.05, 0.06, 0.07], "clip": [-100.0, 100.0]},
        {"term": "last_action"},
    ]


def test_the_clip_comes_after_the_scale_where_the_file_says_so() -> None:
    clipped = {"clip": [-2.0, 3.0], "scale": 0.5}
    draft = _read(_observing(base_ang_vel=clipped, scale_first=True, projected_gravity=clipped), 6)
    assert _terms(draft) == [
        {"term": "base_ang_vel", "scale": 0.5, "clip": [-2.0, 3.0]},
        {"term": "projected_gravity", "scale": 0.5, "clip_scaled": [-2.0, 3.0]},
    ]


def test_a_term_may_show_some_joints_only() -> None:
    some = {"params": {"asset_cfg": {"name": "robot", "joint_ids": [2, 0], "body_ids": None}}, "scale": [2.0, 3.0]}
    everyone = {"params": {"asset_cfg": {"joint_ids": None}}}
    draft = _read(_observing(joint_pos_rel=some, joint_vel_rel=everyone), 5)
    assert _terms(draft) == [
        {"term": "joint_pos_rel", "elements": [2, 0], "scale": [2.0, 3.0]},
        {"term": "joint_vel_rel"},
    ]


def test_one_history_of_all_terms_is_stacked_term_by_term() -> None:
    draft = _read(_observing(base_ang_vel={"history_length": 5}, joint_pos_rel={"history_length": 5}), 30)
    assert draft.keys["observation"] == {
        "history": {"length": 5, "layout": "term_major", "order": "oldest_first"},
        "terms": [{"term": "base_ang_vel"}, {"term": "joint_pos_rel"}],
    }


def test_a_gait_phase_keeps_its_frames_together_where_all_terms_have_one_history() -> None:
    phase = {"params": {"period": 0.8}, "history_length": 3}
    draft = _read(_observing(base_ang_vel={"history_length": 3}, gait_phase=phase), 9 + 6)
    stack = {"length": 3, "order": "oldest_first"}
    assert draft.keys["observation"] == {
        "terms": [
            {"term": "base_ang_vel", "history": {**stack, "layout": "term_major"}},
            {
                "history": {**stack, "layout": "time_major"},
                "terms": [{"term": "gait_phase_sin"}, {"term": "gait_phase_cos"}],
            },
        ]
    }


def test_gym_history_is_stacked_frame_by_frame() -> None:
    # The flag may stand first, where the origin's own runner stumbles over it.
    terms = {"base_ang_vel": {"history_length": 2}, "joint_pos_rel": {"history_length": 2}}
    draft = _read(_observing(use_gym_history=True, **terms), 12)
    assert draft.keys["observation"]["history"]["layout"] == "time_major"
    assert _terms(draft) == [{"term": "base_ang_vel"}, {"term": "joint_pos_rel"}]


def test_histories_hold_the_frames_that_the_origins_runner_feeds(tmp_path: Path) -> None:
    draft = _read(
        _observing(
            base_ang_vel={"history_length": 2},
            gait_phase={"params": {"period": 0.6}, "scale": [1.0, 10.0], "history_length": 2},
            projected_gravity={},
        ),
        6 + 4 + 3,
    )
    bundle = _bundle(draft, tmp_path)
    builder = bundle.observation_builder(bundle.observation.joints)

    def see(rate: float, phase: float) -> list[float]:
        state = RobotState(0, np.zeros(3), np.zeros(3), np.array([1.0, 0, 0, 0]), np.array([rate, 0.0, 0.0]))
        sine, cosine = np.array([np.sin(phase)]), np.array([np.cos(phase)])
        return [
            round(float(x), 6) for x in builder.build(ObservationInput(state, np.zeros(3), np.zeros(3), sine, cosine))
        ]

    # Two copies of the first frame, then one frame after the other pushes the oldest out.
    assert see(1.0, 0.0) == [1, 0, 0, 1, 0, 0, 0, 10, 0, 10, 0, 0, -1]
    assert see(2.0, 0.5 * np.pi) == [1, 0, 0, 2, 0, 0, 0, 10, 1, 0, 0, 0, -1]
    assert see(3.0, 0.0) == [2, 0, 0, 3, 0, 0, 1, 0, 0, 10, 0, 0, -1]


def test_groups_are_inputs_of_the_network_in_its_order() -> None:
    data = _observing(
        critic={"height_scan": {}},
        history={"base_ang_vel": {"history_length": 2}, "last_action": {"history_length": 2}},
        policy={"projected_gravity": {"clip": None}},
    )
    draft = _read(data, {"policy": 3, "history": 12})
    assert draft.keys["weights"] == {"inputs": {"policy": 3, "history": 12}, "output": "actions"}
    assert _terms(draft) == [
        {"term": "projected_gravity"},
        {
            "history": {"length": 2, "layout": "term_major", "order": "oldest_first"},
            "terms": [{"term": "base_ang_vel"}, {"term": "last_action"}],
        },
    ]
    assert any("'critic'" in note for note in draft.notes)


def test_the_flag_of_one_group_holds_for_all() -> None:
    two = {"base_ang_vel": {"history_length": 2}, "joint_pos": {"history_length": 2}}
    draft = _read(_observing(a=two, b={"use_gym_history": True} | two), {"a": 12, "b": 12})
    assert [item["history"]["layout"] for item in _terms(draft)] == ["time_major", "time_major"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"scale": 0.25}, {"scale": 0.25}),
        ({"scale": None}, {"scale": 1.0}),
        ({"scale": 0.25, "offset": None}, {"scale": 0.25, "offset": 0.0}),
        (
            {"scale": 0.25, "offset": [0.0, 0.3, 0.2]},
            {"scale": 0.25, "offset": {"hip": 0.0, "knee": 0.3, "ankle": 0.2}},
        ),
        ({"scale": 0.25, "clip": [-1.0, 2.0]}, {"scale": 0.25, "target_limits": {"lower": -1.0, "upper": 2.0}}),
        (
            {"scale": 0.25, "clip": [[-1.0, 1.0], [-2.0, 1.0], [-3.0, 1.0]]},
            {"scale": 0.25, "target_limits": {"lower": {"hip": -1.0, "knee": -2.0, "ankle": -3.0}, "upper": 1.0}},
        ),
    ],
)
def test_actions(changes: dict[str, Any], expected: dict[str, Any], tmp_path: Path) -> None:
    draft = _read(_acting(**changes))
    assert draft.keys["action"] == {"kind": "position_offset", **expected}
    _bundle(draft, tmp_path)


def test_joints_without_an_action_are_held_and_still_observed(tmp_path: Path) -> None:
    draft = _read(_acting(joint_ids=[2, 0], scale=[0.5, 0.25], offset=[0.2, -0.1]), WIDTH - 1, 2)
    assert draft.joints == ("ankle", "hip")
    assert draft.columns["kp"] == (20.0, 30.0)
    assert draft.keys["action"]["scale"] == {"ankle": 0.5, "hip": 0.25}
    assert draft.keys["held"] == {"knee": {"position": 0.3, "kp": 10.0, "kd": 1.0}}
    bundle = _bundle(draft, tmp_path)
    assert bundle.observation.joints == ("hip", "knee", "ankle")
    assert bundle.observation.default_position == (-0.1, 0.3, 0.2)


def _g1(**changes: Any) -> dict[str, Any]:
    """29 joints in Isaac's order, for motors in the order of the SDK."""
    motors = [
        0, 6, 12, 1, 7, 13, 2, 8, 14, 3, 9, 15, 22, 4, 10, 16, 23, 5, 11, 17, 24, 18, 25, 19, 26, 20, 27, 21, 28,
    ]  # fmt: skip
    kp = [100.0] * 3 + [150.0] + [40.0] * 2 + [100.0] * 3 + [150.0] + [40.0] * 2 + [200.0] * 3 + [40.0] * 14
    action = {"clip": None, "scale": 0.25, "offset": [0.0] * 29, "joint_ids": None}
    return _deploy(
        joint_ids_map=motors,
        stiffness=kp,
        damping=[1.0] * 29,
        default_joint_pos=[0.0] * 29,
        actions={"JointPositionAction": action},
        observations={"base_ang_vel": {}},
        **changes,
    )


def test_the_motors_of_a_g1_have_names() -> None:
    draft = _read(_g1(), 3, 29, names=None)
    assert draft.joints is not None
    named = dict(zip(draft.joints, draft.columns["kp"], strict=True))
    assert list(named)[:4] == [
        "left_hip_pitch_joint", "right_hip_pitch_joint", "waist_yaw_joint", "left_hip_roll_joint",
    ]  # fmt: skip
    assert (draft.joints[9], draft.joints[11], draft.joints[28]) == (
        "left_knee_joint", "left_shoulder_pitch_joint", "right_wrist_yaw_joint",
    )  # fmt: skip
    assert (named["waist_yaw_joint"], named["left_knee_joint"], named["left_shoulder_pitch_joint"]) == (200, 150, 40)
    assert draft.keys["robot"] == "g1_29dof"
    assert draft.keys["imu"] == "imu_in_pelvis"
    assert {"joints", "robot", "imu"} <= set(draft.inferred)


def test_the_imu_is_left_to_a_robot_that_has_it_at_its_root() -> None:
    joints = _read(_g1(), 3, 29, names=None).joints
    assert joints is not None
    draft = _read(_g1(), 3, 29, names=None, robot=_robot(joints, imu=""))
    assert "imu" not in draft.keys
    # A robot that has it elsewhere is not followed: the check of the contract has to refuse it.
    assert _read(_g1(), 3, 29, names=None, robot=_robot(joints, imu="imu_in_torso")).keys["imu"] == "imu_in_pelvis"


MOTORS_23 = [0, 6, 12, 1, 7, 15, 22, 2, 8, 16, 23, 3, 9, 17, 24, 4, 10, 18, 25, 5, 11, 19, 26]


def _g1_23(kp: list[float], motors: list[int] | None = None, **changes: Any) -> dict[str, Any]:
    motors = MOTORS_23 if motors is None else motors
    n = len(motors)
    return _deploy(
        joint_ids_map=motors,
        stiffness=kp,
        damping=[1.0] * len(kp),
        default_joint_pos=[0.0] * n,
        actions={"JointPositionAction": {"scale": 0.25, "offset": [0.0] * n}},
        observations={"base_ang_vel": {}},
        **changes,
    )


def test_motors_without_a_joint_leave_gaps_in_the_gains() -> None:
    kp = [float(motor) if motor not in (13, 14, 20, 21) else 0.0 for motor in range(27)]
    kp[0] = 100.0
    draft = _read(_g1_23(kp), 3, 23, names=None)
    sides = [
        "hip_pitch", "", "hip_roll", "shoulder_pitch", "hip_yaw", "shoulder_roll", "knee", "shoulder_yaw",
        "ankle_pitch", "elbow", "ankle_roll", "wrist_roll",
    ]  # fmt: skip
    expected = [
        name
        for limb in sides
        for name in ((f"left_{limb}_joint", f"right_{limb}_joint") if limb else ("waist_yaw_joint",))
    ]
    assert draft.joints == tuple(expected)
    assert draft.columns["kp"] == (100.0, *(float(motor) for motor in MOTORS_23[1:]))
    assert draft.keys["robot"] == "g1_23dof"
    assert draft.notes == []


def test_gains_that_are_too_few_for_the_motors_are_in_the_networks_order() -> None:
    draft = _read(_g1_23([float(i) + 1.0 for i in range(23)]), 3, 23, names=None)
    assert draft.columns["kp"] == tuple(float(i) + 1.0 for i in range(23))
    assert any("in the order of the network" in note for note in draft.notes)


def test_a_motor_without_stiffness_is_noted() -> None:
    assert any("motors [0]" in note for note in _read(_deploy(stiffness=[0.0, 20.0, 30.0])).notes)


def test_names_are_asked_for_where_several_robots_have_such_motors() -> None:
    legs = list(range(12))
    draft = _read(_g1_23([40.0] * 27, legs), 3, 12, names=None)
    assert draft.joints is None
    assert "g1_23dof or r1 or h1_2" in draft.missing["joints"]
    # The H1-2 has its legs named in another order behind the same motors; these are the G1's and the R1's.
    robot = _robot(("left_hip_pitch_joint", "waist_roll_joint"))
    assert "'left_hip_roll_joint'" in _read(_g1_23([40.0] * 27, legs), 3, 12, names=None, robot=robot).missing["joints"]


def test_names_are_asked_for_where_no_robot_fits_and_numbers_wait_for_them() -> None:
    draft = _read(DEPLOY, names=None)
    assert "motors 2 0 1" in draft.missing["joints"]
    assert draft.missing["action.scale"].endswith("0.25 0.5 0.75")
    answer(draft, "joints", "a b c")
    answer(draft, "action.scale", "0.25 0.5 0.75")
    assert draft.missing == {}
    assert draft.columns["kp"] == (30.0, 10.0, 20.0)
    assert draft.keys["action"]["scale"] == {"a": 0.25, "b": 0.5, "c": 0.75}


def test_a_robot_that_lacks_the_joints_is_named() -> None:
    draft = _read(_g1(), 3, 29, names=None, robot=_robot(("hip", "knee")))
    assert "robot 'some' lacks 'left_hip_pitch_joint'" in draft.missing["joints"]


@pytest.mark.parametrize(
    ("term", "motors", "metadata", "expected"),
    [
        ("gait_phase", [2, 0, 1], {}, "run"),
        ("gait_phase", [0, 1, 2], {}, "run"),
        ("gait_phase", [0, 1, 2], {"observation_names": "base_ang_vel,command,phase,joint_pos"}, "zero"),
        ("gait_phase", [2, 0, 1], {"observation_names": "base_ang_vel,command,phase,joint_pos"}, "run"),
        ("gait_phase", [0, 1, 2], {"observation_names": "base_ang_vel,command,joint_pos"}, "run"),
        ("gait_phase_my", [2, 0, 1], {}, "zero"),
    ],
)
def test_whether_standing_hides_the_phase_is_inferred(
    term: str, motors: list[int], metadata: dict[str, str], expected: str
) -> None:
    data = _deploy(joint_ids_map=motors, observations={term: {"params": {"period": 0.6}}})
    draft = _read(data, 2, **metadata)
    threshold = {"stand_threshold": 0.1} if expected == "zero" else {}
    assert draft.keys["gait"] == {"period": 0.6, "when_standing": expected, **threshold}
    assert "gait.when_standing" in draft.inferred
    assert _terms(draft) == [{"term": "gait_phase_sin"}, {"term": "gait_phase_cos"}]


def test_metadata_that_contradicts_the_file_is_noted_and_the_file_followed() -> None:
    draft = _read(
        _acting(scale=[0.35, 0.44, 0.07]),
        action_scale="0.548,0.439,0.075",  # of which only the first is more than rounding
        joint_stiffness="30.12,9.87,20.0",
        joint_damping="3.0,1.0,7.5",
        default_joint_pos="-0.1,0.3,0.2",
    )
    assert draft.keys["action"]["scale"] == {"hip": 0.35, "knee": 0.44, "ankle": 0.07}
    scale, damping = sorted(draft.notes, key=lambda note: "kd" in note)
    assert "action scale of hip 0.35 and 0.548:" in scale
    assert "kd of ankle 2 and 7.5:" in damping


def test_names_in_metadata_of_other_joints_are_not_used() -> None:
    draft = _read(DEPLOY, names="hip,knee")
    assert draft.joints is None
    assert any("2, the file has 3" in note for note in draft.notes)


def test_without_ranges_the_command_is_not_limited() -> None:
    draft = _read(_deploy(commands={}))
    assert "command" not in draft.keys
    assert "command" in draft.inferred


def test_the_first_of_several_outputs_is_taken() -> None:
    source = _source(DEPLOY)
    assert source.onnx is not None
    facts = OnnxFacts(source.onnx.inputs, {"a": (1, 3), "b": (1, 7)}, source.metadata, (), 18)
    draft = UnitreeDeployImporter().read(Source(source.weights, source.configs, facts))
    assert draft.keys["weights"] == {"input": "obs", "output": "a"}
    assert "weights.output" in draft.inferred


_TERM = DEPLOY["observations"]
REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    (_deploy(joint_ids_map=[0, 1, 1]), ["joint_ids_map", "1 twice"]),
    (_deploy(joint_ids_map=[0, 1, -1]), ["joint_ids_map", "-1"]),
    (_deploy(joint_ids_map=[0, 1, 1.5]), ["joint_ids_map", "1.5"]),
    (_deploy(joint_ids_map=[]), ["joint_ids_map", "no motor"]),
    (_deploy(joint_ids_map=5), ["joint_ids_map", "5"]),
    (_deploy(step_dt=0.0), ["step_dt", "0"]),
    (_deploy(stiffness=[1.0, 2.0], damping=[1.0, 2.0]), ["stiffness", "2 values", "3 joints"]),
    (_deploy(stiffness=[1.0, 2.0, -3.0]), ["stiffness", "-3"]),
    (_deploy(damping=[1.0, 2.0]), ["damping", "3 numbers"]),
    (_deploy(default_joint_pos=[0.0, float("nan"), 0.0]), ["default_joint_pos[1]", "finite"]),
    (_deploy(external_control={}), ["external_control", "unknown key"]),
    (_deploy(commands={"base_velocity": {"ranges": {"lin_vel_x": [1.0, -1.0]}}}), ["lin_vel_x", "[1, -1]"]),
    (_deploy(actions={"JointVelocityAction": {}}), ["JointVelocityAction", "wheels"]),
    (_deploy(actions={"JointEffortAction": {}}), ["JointEffortAction", "JointPositionAction"]),
    (_deploy(actions={}), ["JointPositionAction", "missing"]),
    (_acting(scale=[0.25, 0.5]), ["scale", "3 numbers"]),
    (_acting(offset="no"), ["offset", "'no'"]),
    (_acting(clip=[[-1.0, 1.0]]), ["clip", "3 pairs", "1"]),
    (_acting(clip=[1.0, -1.0]), ["clip", "[1, -1]"]),
    (_acting(clip=[[0.0, 1.0], [0.0, 1.0], [0.0]]), ["clip[2]", "2 numbers"]),
    (_acting(joint_ids=[0, 3]), ["joint_ids", "3"]),
    (_acting(joint_ids=[]), ["joint_ids", "no joint"]),
    (_acting(use_relative=True), ["use_relative"]),
    (_observing(), ["observations", "no term"]),
    (_observing(use_gym_history=True), ["observations", "no term"]),
    (_observing(base_ang_vel={}, base_height={}), ["base_height", "not known"]),
    (_observing(base_ang_vel={}, motion_command={}), ["motion_command", "recorded motion"]),
    (_observing(base_ang_vel={"scale": [1.0, 2.0]}), ["base_ang_vel", "scale", "3 numbers"]),
    (_observing(base_ang_vel={"clip": [1.0, 1.0]}), ["base_ang_vel", "clip"]),
    (_observing(base_ang_vel={"history_length": 0}), ["base_ang_vel", "history_length"]),
    (_observing(base_ang_vel={"params": {}, "noise": 1}), ["base_ang_vel", "noise"]),
    (_observing(base_ang_vel={"params": {"frame": "torso"}}), ["params", "frame"]),
    (_observing(base_ang_vel=_TERM["base_ang_vel"] | {"params": 3}), ["params", "3"]),
    (_observing(gait_phase={"params": {}}), ["gait_phase", "period"]),
    (_observing(gait_phase={"params": {"period": 0.0}}), ["period", "0"]),
    (
        _observing(gait_phase={"params": {"period": 0.6}}, gait_phase_my={"params": {"period": 0.8}}),
        ["observations", "2 gait phases"],
    ),
    (
        _observing(joint_pos={"params": {"asset_cfg": {"joint_ids": [3]}}}),
        ["asset_cfg", "joint_ids", "3"],
    ),
]


def _width_of(data: dict[str, Any]) -> int:
    """What most of `REFUSED` would make, so that it is not the width that is refused."""
    return {"gait_phase": 2}.get(next(iter(data["observations"]), ""), WIDTH)


@pytest.mark.parametrize(
    ("data", "words"), REFUSED, ids=lambda value: str(value)[:60] if isinstance(value, list) else ""
)
def test_what_a_bundle_cannot_say_is_refused(data: dict[str, Any], words: list[str], refuses: Refuses) -> None:
    width = 4 if "gait_phase_my" in data["observations"] else _width_of(data)
    with refuses(ConfigError, "deploy.yaml", *words):
        _read(data, width)


@pytest.mark.parametrize("key", ["joint_ids_map", "step_dt", "stiffness", "damping", "default_joint_pos", "actions"])
def test_required_keys_are_missed_by_name(key: str, refuses: Refuses) -> None:
    data = _deploy()
    del data[key]
    with refuses(ConfigError, "deploy.yaml", key, "missing"):
        _read(data)


def test_a_network_of_another_width_is_refused_with_the_terms(refuses: Refuses) -> None:
    with refuses(ConfigError, "18 numbers", "joint_vel_rel 3", "'obs' takes 98"):
        _read(DEPLOY, 98)
    with refuses(ConfigError, "'actions' has 7", "3 actions"):
        _read(DEPLOY, WIDTH, 7)
    with refuses(ConfigError, "27 numbers", "base_ang_vel 3×5", "'obs' takes 18"):
        _read(_observing(base_ang_vel={"history_length": 5}, joint_pos={"history_length": 4}), 18)


def test_inputs_that_nothing_feeds_are_refused(refuses: Refuses) -> None:
    with refuses(ConfigError, "'time_step'", "recorded motion"):
        _read(DEPLOY, {"obs": WIDTH, "time_step": 1})
    with refuses(ConfigError, "one group", "h_in"):
        _read(DEPLOY, {"obs": WIDTH, "h_in": 64})
    with refuses(ConfigError, "'h_in'", "no group"):
        _read(_observing(obs={"base_ang_vel": {}}), {"obs": 3, "h_in": 64})


def test_histories_of_several_lengths_have_no_frames(refuses: Refuses) -> None:
    terms = {"base_ang_vel": {"history_length": 2}, "joint_pos": {}}
    with refuses(ConfigError, "use_gym_history", "[1, 2]"):
        _read(_observing(use_gym_history=True, **terms), 9)
    groups = {"a": {"use_gym_history": True, **terms}, "b": {"use_gym_history": False, **terms}}
    with refuses(ConfigError, "use_gym_history", "all"):
        _read(_observing(**groups), {"a": 9, "b": 9})


def test_four_legs_are_refused_unless_a_robot_has_them(refuses: Refuses) -> None:
    with refuses(ConfigError, "12 motors", "four-legged"):
        _read(_g1_23([20.0] * 12, list(range(12))), 3, 12, names=None)
    assert _read(_g1_23([20.0] * 12, list(range(12))), 3, 12, names=None, robot=_robot(("a", "b"))).joints is None


def test_a_choice_among_nameless_joints_is_refused(refuses: Refuses) -> None:
    with refuses(ConfigError, "joint_ids", "names"):
        _read(_acting(joint_ids=[0, 2], scale=0.5, offset=0.0), WIDTH - 1, 2, names=None)


def test_one_file_is_expected(refuses: Refuses) -> None:
    source = _source(DEPLOY)
    for configs in ((), (*source.configs, Config(Path("config.yaml"), {"FSM": {}}))):
        with refuses(ConfigError, "policy.onnx", "deploy.yaml"):
            UnitreeDeployImporter().read(Source(source.weights, configs, source.onnx))


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 400) | st.floats() | st.text(max_size=3) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def _places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [path, *(place for key, value in below for place in _places(value, (*path, key)))]


_MANGLED = _deploy(
    actions={"JointPositionAction": {"clip": [[-1.0, 1.0]] * 3, "scale": [1.0] * 3, "joint_ids": [0, 2, 1]}},
    observations={
        "scale_first": True,
        "use_gym_history": False,
        **_TERM,
        "joint_pos": {"params": {"asset_cfg": {"joint_ids": [0]}}, "history_length": 2},
        "gait_phase": {"params": {"period": 0.6}, "clip": [-1.0, 1.0], "history_length": 2},
    },
)  # fmt: skip


def test_the_file_that_is_mangled_is_whole_before(tmp_path: Path) -> None:
    assert _bundle(_read(_MANGLED, WIDTH + 2 + 4), tmp_path).observation_size() == WIDTH + 2 + 4


@given(st.data())
def test_whatever_stands_in_the_file_one_clear_line_refuses_it(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    mangled = copy.deepcopy(_MANGLED)
    place = data.draw(st.sampled_from(_places(mangled)[1:]))
    holder: Any = mangled
    for key in place[:-1]:
        holder = holder[key]
    if isinstance(holder, dict) and data.draw(st.booleans()):
        del holder[place[-1]]
    else:
        holder[place[-1]] = data.draw(_JUNK)
    with contextlib.suppress(HumanoidError):
        draft = _read(mangled, WIDTH + 2 + 4, joint_stiffness="30,x,20")
        _bundle(draft, tmp_path_factory.mktemp("bundle"))


@given(_JUNK)
def test_metadata_is_never_taken_at_its_word(value: Any) -> None:
    text = str(value)
    with contextlib.suppress(HumanoidError):
        _read(DEPLOY, names=text, action_scale=text, joint_stiffness=text, observation_names=text)


@zoo.needs_zoo
@pytest.mark.parametrize("name", ["unitree_rl_lab_g1", "unitree_rl_mjlab_g1"])
def test_a_published_policy_is_imported_as_it_was_recorded(name: str, tmp_path: Path) -> None:
    for library in ("onnx", "onnxruntime"):
        pytest.importorskip(library)
    facts = zoo.facts(name)
    with np.load(zoo.ZOO / "golden" / f"{name}.npz") as file:
        motors = [str(joint) for joint in file["joint_names"]]  # the order of the model is that of the motors
    ids = [motors.index(joint) for joint in facts["joints"]]
    n, length = len(ids), facts.get("history", {"length": 1})["length"]
    ours = {"command": "velocity_commands", "joint_pos": "joint_pos_rel", "joint_vel": "joint_vel_rel"}
    scale = facts["action"]["scale"]
    ranges = facts["command_ranges"]
    data = {
        "joint_ids_map": ids,
        "step_dt": facts["control_dt"],
        "stiffness": [facts["kp"][ids.index(motor)] for motor in range(n)],
        "damping": [facts["kd"][ids.index(motor)] for motor in range(n)],
        "default_joint_pos": facts["default_pos"],
        "commands": {"base_velocity": {"ranges": ranges}},
        "actions": {"JointPositionAction": {"clip": None, "scale": scale, "offset": facts["default_pos"]}},
        "observations": {
            ours.get(item["term"], item["term"]): {
                "params": {}, "clip": None, "scale": item.get("scale", 1.0), "history_length": length,
            }
            for item in facts["obs"]
        },
    }  # fmt: skip
    config = tmp_path / "deploy.yaml"
    config.write_text(yaml.safe_dump(data, sort_keys=False))
    draft = UnitreeDeployImporter().read(open_source(zoo.ZOO / facts["model"]["file"], (config,)))
    found = write_bundle(draft, tmp_path / "imported")
    assert found is not None
    expected = load_bundle(zoo.write_bundle(name, tmp_path / "expected"))
    assert list(found.joints) == list(expected.joints)
    for key in ("default_position", "kp", "kd"):
        assert [getattr(j, key) for j in found.joints.values()] == [getattr(j, key) for j in expected.joints.values()]
    for key in ("observation", "action", "command", "gait", "control_period"):
        assert getattr(found, key) == getattr(expected, key)
    assert (found.weights.input_name, found.weights.output_name) == ("obs", "actions")
