"""unitree_rl_gym: everything stands in the network's order, names come from motors or folders, terms from scripts."""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.core.errors import ConfigError, HumanoidError
from humanoid_rl_ros.core.robot import ImuSpec, JointSpec, RobotSpec
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.policies.importers.answers import answer
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.finish import draft_data
from humanoid_rl_ros.policies.importers.onnx_facts import OnnxFacts
from humanoid_rl_ros.policies.importers.source import Config, Source
from humanoid_rl_ros.policies.importers.unitree_gym import UnitreeGymImporter

Refuses = Callable[..., AbstractContextManager[None]]

H1_LEGS = [
    f"{side}_{joint}_joint"
    for side in ("left", "right")
    for joint in ("hip_yaw", "hip_roll", "hip_pitch", "knee", "ankle")
]
SHARED: dict[str, Any] = {
    "policy_path": "{LEGGED_GYM_ROOT_DIR}/deploy/pre_train/h1/motion.pt",
    "kps": [150, 151, 152, 200, 40, 153, 154, 155, 201, 41],
    "kds": [2, 2, 2, 4, 2, 2, 2, 2, 4, 2],
    "default_angles": [0, 0.0, -0.1, 0.3, -0.2, 0, 0.0, -0.1, 0.3, -0.2],
    "ang_vel_scale": 0.25,
    "dof_pos_scale": 1.0,
    "dof_vel_scale": 0.05,
    "action_scale": 0.25,
    "cmd_scale": [2.0, 2.0, 0.25],
    "num_actions": 10,
    "num_obs": 41,
}
MUJOCO = SHARED | {
    "xml_path": "{LEGGED_GYM_ROOT_DIR}/resources/robots/h1/scene.xml",
    "simulation_duration": 60.0,
    "simulation_dt": 0.002,
    "control_decimation": 10,
    "cmd_init": [0.5, 0, 0],
}
REAL = SHARED | {
    "control_dt": 0.02,
    "msg_type": "go",
    "imu_type": "torso",
    "weak_motor": [10, 11],
    "lowcmd_topic": "rt/lowcmd",
    "lowstate_topic": "rt/lowstate",
    "leg_joint2motor_idx": [7, 3, 4, 5, 10, 8, 0, 1, 2, 11],
    "arm_waist_joint2motor_idx": [6, 16, 17, 18, 19, 12, 13, 14, 15],
    "arm_waist_kps": [300, 100, 101, 50, 51, 102, 103, 52, 53],
    "arm_waist_kds": [3, 2, 2, 2, 2, 2, 2, 2, 2],
    "arm_waist_target": [0.5, 0, 0, 0, 0, 0, 0, 0, 0],
    "max_cmd": [0.8, 0.5, 1.57],
}
TWELVE = {
    "policy_path": "motion.pt",
    "xml_path": "scene.xml",
    "kps": [100.0] * 12,
    "kds": [2.0] * 12,
    "default_angles": [0.0] * 12,
    "num_actions": 12,
    "num_obs": 47,
}


def _source(*files: Any, robot: RobotSpec | None = None, onnx: OnnxFacts | None = None) -> Source:
    configs = tuple(Config(Path(f"file{i}.yaml"), file) for i, file in enumerate(files))
    return Source(Path("motion.pt"), configs, onnx, robot)


def _read(*files: Any, **options: Any) -> Draft:
    return UnitreeGymImporter().read(_source(*files, **options))


def _robot(joints: list[str], imu: str = "") -> RobotSpec:
    return RobotSpec("some", tuple(JointSpec(name, -3.0, 3.0, 100.0) for name in joints), ImuSpec("imu", imu))


def _bundle(draft: Draft, folder: Path) -> PolicyBundle:
    draft.weights = folder / "motion.pt"
    draft.weights.write_bytes(b"net")
    (folder / "policy.yaml").write_text(yaml.safe_dump(draft_data(draft), sort_keys=False))
    return load_bundle(folder)


def test_both_files_are_known_by_their_keys() -> None:
    importer = UnitreeGymImporter()
    assert importer.recognises(_source(MUJOCO))
    assert importer.recognises(_source(REAL))
    assert not importer.recognises(_source(SHARED))
    assert not importer.recognises(_source({key: value for key, value in REAL.items() if key != "cmd_scale"}))
    assert not importer.recognises(_source())


def test_the_file_of_the_simulation(tmp_path: Path) -> None:
    draft = _read(MUJOCO)
    assert draft.joints == tuple(H1_LEGS)
    assert draft.columns["kp"] == (150, 151, 152, 200, 40, 153, 154, 155, 201, 41)
    assert draft.columns["default"] == (0, 0, -0.1, 0.3, -0.2, 0, 0, -0.1, 0.3, -0.2)
    assert draft.keys["pd_rate"] == 500.0
    assert draft.keys["control_period"] == 0.02
    assert draft.keys["action"] == {"kind": "position_offset", "scale": 0.25}
    assert draft.keys["observation"]["terms"] == [
        {"term": "base_ang_vel", "scale": 0.25},
        {"term": "projected_gravity"},
        {"term": "velocity_commands", "scale": [2.0, 2.0, 0.25]},
        {"term": "joint_pos_rel"},
        {"term": "joint_vel_rel", "scale": 0.05},
        {"term": "last_action"},
        {"term": "gait_phase_sin"},
        {"term": "gait_phase_cos"},
    ]
    # The first observation is of 0.02 s in a stride of 0.8 s, which is a fortieth of a turn.
    assert draft.keys["gait"] == {"period": 0.8, "phases": [pytest.approx(math.pi / 20.0)], "when_standing": "run"}
    assert draft.keys["hold_remaining"] is True
    assert {"joints", "observation.terms", "gait", "command", "hold_remaining", "joints.effort"} <= set(draft.inferred)
    assert "pd_rate" not in draft.inferred
    assert draft.missing == {}
    assert _bundle(draft, tmp_path).observation_size() == 41


def test_the_file_of_the_robot(tmp_path: Path) -> None:
    draft = _read(REAL)
    assert draft.joints == tuple(H1_LEGS)
    assert draft.keys["pd_rate"] == 500.0
    assert "pd_rate" in draft.inferred
    assert draft.keys["command"] == {"linear_x": [-0.8, 0.8], "linear_y": [-0.5, 0.5], "angular_z": [-1.57, 1.57]}
    held = draft.keys["held"]
    assert held["torso_joint"] == {"position": 0.5, "kp": 300.0, "kd": 3.0}
    assert (held["left_shoulder_roll_joint"]["kp"], held["right_elbow_joint"]["kp"]) == (101.0, 53.0)
    assert len(held) == 9
    assert "hold_remaining" not in draft.keys
    assert any("IMU is in the torso" in note for note in draft.notes)
    assert _bundle(draft, tmp_path).observation_size() == 41


def test_the_motors_say_the_order_of_the_legs() -> None:
    draft = _read(REAL | {"leg_joint2motor_idx": [8, 0, 1, 2, 11, 7, 3, 4, 5, 10]})
    assert draft.joints == (*H1_LEGS[5:], *H1_LEGS[:5])


def test_two_files_complete_each_other_and_the_first_has_the_last_word() -> None:
    draft = _read(MUJOCO | {"control_decimation": 5}, REAL | {"cmd_scale": [1.0, 1.0, 1.0]})
    assert draft.keys["control_period"] == 0.01
    assert draft.keys["observation"]["terms"][2]["scale"] == [2.0, 2.0, 0.25]
    assert draft.keys["held"]["torso_joint"]["kp"] == 300.0
    assert "pd_rate" not in draft.inferred
    assert len([note for note in draft.notes if "cmd_scale" in note and "file0.yaml" in note]) == 1
    assert len([note for note in draft.notes if "0.01 s" in note and "0.02 s" in note]) == 1
    swapped = _read(REAL | {"cmd_scale": [1.0, 1.0, 1.0]}, MUJOCO)
    assert swapped.keys["observation"]["terms"][2] == {"term": "velocity_commands", "scale": [1.0, 1.0, 1.0]}


@pytest.mark.parametrize(
    ("paths", "family", "second", "imu"),
    [
        ({"policy_path": "a/pre_train/g1/motion.pt"}, "g1", "left_hip_roll_joint", "imu_in_pelvis"),
        ({"xml_path": "robots/g1_description/scene.xml"}, "g1", "left_hip_roll_joint", "imu_in_pelvis"),
        ({"policy_path": "a/pre_train/h1_2/motion.pt"}, "h1_2", "left_hip_pitch_joint", None),
    ],
)
def test_the_folders_tell_twelve_legs_apart(paths: dict[str, str], family: str, second: str, imu: str | None) -> None:
    draft = _read(MUJOCO | TWELVE | paths)
    assert draft.keys["robot"] == family
    assert draft.joints is not None
    assert draft.joints[1] == second
    assert draft.joints[7] == second.replace("left", "right")
    assert draft.keys.get("imu") == imu


def test_the_held_motors_tell_twelve_legs_apart() -> None:
    def real(last: int) -> dict[str, Any]:
        motors = list(range(12, last + 1))
        gains = {key: [1.0] * len(motors) for key in ("arm_waist_kps", "arm_waist_kds", "arm_waist_target")}
        return REAL | TWELVE | gains | {"leg_joint2motor_idx": list(range(12)), "arm_waist_joint2motor_idx": motors}

    for last, family, waist in ((28, "g1", "waist_yaw_joint"), (26, "h1_2", "torso_joint")):
        draft = _read({key: value for key, value in real(last).items() if key != "xml_path"})
        assert draft.keys["robot"] == family
        assert next(iter(draft.keys["held"])) == waist


def test_the_order_of_a_robots_legs_tells_twelve_legs_apart() -> None:
    legs = [f"{side}_{joint}_joint" for side in ("left", "right") for joint in (
        "hip_yaw", "hip_pitch", "hip_roll", "knee", "ankle_pitch", "ankle_roll",
    )]  # fmt: skip
    draft = _read(MUJOCO | TWELVE, robot=_robot(["torso_joint", *legs]))
    assert draft.keys["robot"] == "h1_2"
    assert draft.joints == tuple(legs)
    assert "some" in draft.inferred["joints"]


def test_joints_that_a_robot_lacks_are_not_held() -> None:
    draft = _read(REAL, robot=_robot([*H1_LEGS, "torso_joint"]))
    assert list(draft.keys["held"]) == ["torso_joint"]
    assert any("lacks left_shoulder_pitch_joint" in note for note in draft.notes)


def test_names_are_asked_for_where_they_are_in_doubt() -> None:
    assert "g1 or h1_2" in _read(MUJOCO | TWELVE).missing["joints"]
    assert "'some' lacks 'left_hip_yaw_joint'" in _read(MUJOCO, robot=_robot(["hip"])).missing["joints"]
    draft = _read(REAL | {"arm_waist_joint2motor_idx": [6, 30, 31, 32, 33, 34, 35, 36, 37]})
    assert "no Unitree robot" in draft.missing["joints"]
    assert any("held joints" in note for note in draft.notes)
    answer(draft, "joints", " ".join("abcdefghij"))
    assert draft.missing == {}


def test_other_terms_than_the_scripts_are_asked_for() -> None:
    draft = _read(MUJOCO | {"num_obs": 39})
    assert "num_obs is 39" in draft.missing["observation.terms"]
    assert "make 41 numbers" in draft.missing["observation.terms"]
    assert "gait" not in draft.keys


def test_an_onnx_has_the_widths_of_the_file(refuses: Refuses) -> None:
    draft = _read(MUJOCO, onnx=OnnxFacts({"x": (1, 41)}, {"y": (1, 10)}, {}, (), 17))
    assert draft.keys["weights"] == {"input": "x", "output": "y"}
    with refuses(ConfigError, "motion.pt", "48", "41", "joint_pos_rel 10"):
        _read(MUJOCO, onnx=OnnxFacts({"x": (1, 48)}, {"y": (1, 10)}, {}, (), 17))


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ((), ["motion.pt", "none"]),
        ((SHARED,), ["file0.yaml", "simulation_dt", "control_dt"]),
        ((MUJOCO | {"control_dt": 0.02},), ["file0.yaml", "found 2"]),
        ((MUJOCO, MUJOCO), ["file1.yaml", "second"]),
        ((MUJOCO | {"lin_vel_scale": 2.0},), ["file0.yaml", "unknown key 'lin_vel_scale'"]),
        ((MUJOCO | {"kps": [1.0]},), ["kps", "10 numbers"]),
        ((MUJOCO | {"kds": [-1.0] * 10},), ["kds", "-1"]),
        ((MUJOCO | {"action_scale": [0.25] * 10},), ["action_scale", "a number"]),
        ((MUJOCO | {"cmd_scale": 2.0},), ["cmd_scale"]),
        ((MUJOCO | {"num_actions": 10.5},), ["num_actions", "10.5"]),
        ((MUJOCO | {"simulation_dt": 0},), ["simulation_dt", "0"]),
        ((MUJOCO | {"control_decimation": 0},), ["control_decimation", "0"]),
        ((MUJOCO | {"default_angles": [float("inf")] * 10},), ["default_angles[0]", "finite"]),
        ((REAL | {"leg_joint2motor_idx": [7, 7, 4, 5, 10, 8, 0, 1, 2, 11]},), ["leg_joint2motor_idx", "7 twice"]),
        ((REAL | {"leg_joint2motor_idx": [6, 3, 4, 5, 10, 8, 0, 1, 2, 11]},), ["motor 6", "arm_waist_joint2motor_idx"]),
        ((REAL | {"arm_waist_kps": [1.0]},), ["arm_waist_kps", "9 numbers"]),
        ((REAL | {"arm_waist_kds": [-1.0] * 9},), ["arm_waist_kds", "-1"]),
        ((REAL | {"imu_type": "head"},), ["imu_type", "head"]),
        ((REAL | {"max_cmd": [1.0]},), ["max_cmd", "3 numbers"]),
    ],
)
def test_what_is_malformed_is_refused(files: tuple[Any, ...], words: list[str], refuses: Refuses) -> None:
    with refuses(ConfigError, *words):
        _read(*files)


@pytest.mark.parametrize("key", [*(key for key in SHARED if key != "policy_path"), "control_dt", "leg_joint2motor_idx"])
def test_required_keys_are_missed_by_name(key: str, refuses: Refuses) -> None:
    with refuses(ConfigError, "file0.yaml", key):
        _read({name: value for name, value in REAL.items() if name != key})


_JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 400) | st.floats() | st.text(max_size=3) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from([MUJOCO, REAL]), st.data())
def test_whatever_stands_in_a_file_one_clear_line_refuses_it(
    tmp_path_factory: pytest.TempPathFactory, file: dict[str, Any], data: st.DataObject
) -> None:
    mangled = copy.deepcopy(file)
    key = data.draw(st.sampled_from(sorted(file)))
    value = mangled[key]
    if isinstance(value, list) and data.draw(st.booleans()):
        value[data.draw(st.integers(0, len(value) - 1))] = data.draw(_JUNK)
    else:
        mangled[key] = data.draw(_JUNK)
    with contextlib.suppress(HumanoidError):
        draft = _read(mangled)
        if not draft.missing:
            _bundle(draft, tmp_path_factory.mktemp("bundle"))
