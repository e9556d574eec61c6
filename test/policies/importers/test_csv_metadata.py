"""The comma-separated family: values of every exporter, broken exports, histories, and the files given beside."""

from __future__ import annotations

import contextlib
import copy
import json
import math
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

from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.core.errors import ConfigError, HumanoidError
from humanoid_rl_ros.core.robot import JointSpec, RobotSpec
from humanoid_rl_ros.core.state import RobotState, VelocityCommand
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.policies.importers.csv_metadata import CsvMetadataImporter
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.finish import draft_data
from humanoid_rl_ros.policies.importers.onnx_facts import OnnxFacts
from humanoid_rl_ros.policies.importers.source import Config, Source, open_source

Refuses = Callable[..., AbstractContextManager[None]]
Shapes = Mapping[str, tuple[int | None, ...]]

METADATA = {
    "run_path": "2026-03-18_18-40-20",
    "joint_names": "left_hip_joint,left_knee_joint,right_hip_joint,right_knee_joint",
    "joint_stiffness": "40.179,99.098,40.179,99.098",
    "joint_damping": "2.558,6.309,2.558,6.309",
    "default_joint_pos": "-0.312,0.669,-0.312,0.669",
    "command_names": "twist",
    "observation_names": "base_ang_vel,projected_gravity,command,joint_pos,joint_vel,actions",
    "action_scale": "0.548,0.351,0.548,0.351",
}
JOINTS = ("left_hip_joint", "left_knee_joint", "right_hip_joint", "right_knee_joint")
WIDTH = 3 + 3 + 3 + 4 + 4 + 4
SIX = "1.000,1.000,1.000,1.000,1.000,1.000"
PHASE = "base_ang_vel,projected_gravity,command,phase,joint_pos,joint_vel,actions"

DEPLOY: dict[str, Any] = {
    "joint_ids_map": [0, 1, 2, 3],
    "step_dt": 0.01,
    "stiffness": [40.2, 99.1, 40.2, 99.1],
    "damping": [2.6, 6.3, 2.6, 6.3],
    "default_joint_pos": [-0.31, 0.67, -0.31, 0.67],
    "commands": {
        "base_velocity": {"ranges": {"lin_vel_x": [-0.5, 1.0], "lin_vel_y": [-0.5, 0.5], "ang_vel_z": [-1, 1]}}
    },
    "actions": {
        "JointPositionAction": {
            "clip": None,
            "joint_names": [".*"],
            "scale": [0.55, 0.35, 0.55, 0.35],
            "offset": [-0.31, 0.67, -0.31, 0.67],
            "joint_ids": None,
        }
    },
    "observations": {
        name: {"params": {}, "clip": None, "scale": None, "history_length": 1}
        for name in ("base_ang_vel", "projected_gravity", "velocity_commands", "joint_pos_rel", "joint_vel_rel")
    }
    | {"last_action": {"params": {}, "clip": None, "scale": None, "history_length": 1}},
}

HOLOMOTION: dict[str, Any] = {
    "obs": {"context_length": 2},
    "modules": {
        "actor": {
            "obs_schema": {
                "flattened_obs": {
                    "seq_len": "${obs.context_length}",
                    "terms": ["unified/actor_velocity_command", "unified/actor_dof_pos", "unified/actor_last_action"],
                }
            }
        }
    },
    "env": {
        "config": {
            "simulation": {"sim_freq": 200, "control_decimation": 5},
            "commands": {
                "base_velocity": {
                    "params": {"ranges": {"lin_vel_x": [-0.6, 1.0], "lin_vel_y": [-0.5, 0.5], "ang_vel_z": [-1.0, 1.0]}}
                }
            },
        }
    },
}
FIVE = {key: METADATA[key] for key in METADATA if key.startswith(("joint", "default", "action"))}


def _source(
    metadata: Mapping[str, str],
    width: int | None = WIDTH,
    outputs: int | None = 4,
    *configs: dict[str, Any],
    inputs: Shapes | None = None,
    more: Shapes | None = None,
    robot: RobotSpec | None = None,
) -> Source:
    facts = OnnxFacts(
        {"obs": (1, width), **(inputs or {})}, {"actions": (1, outputs), **(more or {})}, dict(metadata), (), 18
    )
    files = tuple(Config(Path(f"file{i}.yaml"), data) for i, data in enumerate(configs))
    return Source(Path("walk.onnx"), files, facts, robot)


def _read(*configs: dict[str, Any], width: int = WIDTH, **changes: str) -> Draft:
    return CsvMetadataImporter().read(_source({**METADATA, **changes}, width, 4, *configs))


def _bundle(draft: Draft, folder: Path) -> PolicyBundle:
    if not draft.weights.is_file():
        draft.weights = folder / "walk.onnx"
        draft.weights.touch()
    (folder / "policy.yaml").write_text(yaml.safe_dump(draft_data(draft), sort_keys=False))
    return load_bundle(folder)


def test_what_the_metadata_says_and_what_it_leaves_open(tmp_path: Path) -> None:
    draft = _read()
    bundle = _bundle(draft, tmp_path)
    assert draft.missing == {}
    assert {name: (j.default_position, j.kp, j.kd, j.effort_limit) for name, j in bundle.joints.items()} == {
        "left_hip_joint": (-0.312, 40.179, 2.558, math.inf),
        "left_knee_joint": (0.669, 99.098, 6.309, math.inf),
        "right_hip_joint": (-0.312, 40.179, 2.558, math.inf),
        "right_knee_joint": (0.669, 99.098, 6.309, math.inf),
    }
    assert bundle.action.scale == (0.548, 0.351, 0.548, 0.351)
    assert (bundle.control_period, bundle.pd_rate) == (0.02, 500.0)
    assert set(draft.inferred) == {"observation.terms", "control_period", "pd_rate", "command", "imu", "joints.effort"}
    assert any("three decimals" in note for note in draft.notes)


class _Network:
    """Says 2 and −1 in turn, and keeps what it saw."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def infer(self, observation: Any) -> Any:
        self.seen.append(np.array(observation))
        return np.array([2.0, -1.0, 2.0, -1.0], dtype=np.float32)

    def infer_batch(self, observations: Any) -> Any:
        return np.stack([self.infer(observation) for observation in observations])

    def reset(self) -> None:
        self.seen.clear()


def _walk(bundle: PolicyBundle, command: VelocityCommand) -> tuple[list[Any], PolicyBehaviour]:
    """Two steps at the bundle's rate; every joint is 0.1 rad from the pose, and the gyro differs between them."""
    robot = RobotSpec("biped", tuple(JointSpec(name, -9.0, 9.0, 100.0) for name in JOINTS))
    network = _Network()
    behaviour = PolicyBehaviour(bundle, robot, network)
    position, velocity = np.array([-0.212, 0.769, -0.212, 0.769]), np.array([1.0, 2.0, 3.0, 4.0])
    states = [
        RobotState(round(i * bundle.control_period * 1e9), position, velocity, np.array([1.0, 0, 0, 0]), np.array(gyro))
        for i, gyro in enumerate(([0.1, 0.2, 0.3], [0.4, 0.5, 0.6]))
    ]
    behaviour.enter(states[0])
    for state in states:
        behaviour.update(state, command)
    return network.seen, behaviour


def test_scales_clips_and_histories_of_each_term(tmp_path: Path) -> None:
    draft = _read(
        width=3 * 2 + 3 + 3 + 4 + 4 + 4,
        observation_terms_history_length="2.000,0.000,1.000,1.000,1.000,1.000",
        observation_terms_scale="2.000,1.000,2.0;1.0;0.5,1.000,0.050,1.000",
        observation_terms_clip="-0.35;0.35,-inf;inf,-inf;inf,-inf;inf,-3.0;inf,-inf;inf",
        observation_terms_flatten_history_dim=SIX,
    )
    assert "observation.terms" not in draft.inferred
    seen, behaviour = _walk(_bundle(draft, tmp_path), VelocityCommand(0.5, 0.1, -0.2))
    rest = [0, 0, -1, 1, 0.1, -0.1, 0.1, 0.1, 0.1, 0.1, 0.05, 0.1, 0.15, 0.2]
    # The first frame stands for those before it; clip comes before scale.
    np.testing.assert_allclose(seen[0], [0.2, 0.4, 0.6, 0.2, 0.4, 0.6, *rest, 0, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(seen[1], [0.2, 0.4, 0.6, 0.7, 0.7, 0.7, *rest, 2, -1, 2, -1], atol=1e-6)
    step = behaviour.last_step
    assert step is not None
    # −0.312 + 0.548 · 2, 0.669 − 0.351
    np.testing.assert_allclose(step.target.position, [0.784, 0.318, 0.784, 0.318], atol=1e-5)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("observation_terms_scale", "1.000,1.000,[2.0, 2.0, 0.5],1.000,1.000,1.000"),
        ("observation_terms_scale", "[1.0, 1.0, [2.0, 2.0, 0.5], 1, 1, 1]"),
        ("observation_terms_scale", '{"command": [2.0, 2.0, 0.5]}'),
    ],
)
def test_a_scale_for_each_number_is_written_in_several_ways(key: str, text: str) -> None:
    terms = _read(**{key: text}).keys["observation"]["terms"]
    assert [item.get("scale") for item in terms] == [None, None, [2.0, 2.0, 0.5], None, None, None]


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("observation_terms_clip", "-inf;inf,-inf;inf,-inf;inf,-inf;inf,-5.0;5.0,-inf;inf"),
        ("observation_term_clip", "[-inf, inf],[-inf, inf],[-inf, inf],[-inf, inf],[-5.0, 5.0],[-inf, inf]"),
        ("observation_terms_clip", "None,None,None,None,[-5.0, 5.0],None"),
        ("observation_terms_clip", '{"joint_vel": [-5, 5]}'),
    ],
)
def test_a_clip_is_written_in_several_ways(key: str, text: str) -> None:
    terms = _read(**{key: text}).keys["observation"]["terms"]
    assert [item.get("clip") for item in terms] == [None, None, None, None, [-5.0, 5.0], None]


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("observation_history_lengths", "1.000,1.000,1.000,3.000,1.000,1.000"),
        ("observation_history_lengths", '{"joint_pos": 3}'),
        ("observation_terms_history_length", "0.000,0.000,0.000,3.000,0.000,0.000"),
    ],
)
def test_a_history_is_written_in_several_ways(key: str, text: str) -> None:
    item = _read(width=WIDTH + 8, **{key: text}).keys["observation"]["terms"][3]
    assert item["term"] == "joint_pos_rel"
    assert item["history"] == {
        "length": 3, "layout": "term_major", "order": "oldest_first", "first_fill": "first_frame"
    }  # fmt: skip


def test_names_are_read_from_json_and_tuples_too() -> None:
    names = METADATA["observation_names"].split(",")
    assert _read(observation_names=json.dumps(names)).keys == _read(observation_names=str(tuple(names))).keys
    assert _read(observation_names=json.dumps(names)).keys == _read().keys


def test_a_phase_is_asked_for_its_period_and_is_nothing_while_standing(tmp_path: Path) -> None:
    draft = _read(width=WIDTH + 2, observation_names=PHASE)
    assert set(draft.missing) == {"gait.period"}
    draft.say("gait.period", 0.4)
    bundle = _bundle(draft, tmp_path)
    seen, _ = _walk(bundle, VelocityCommand(0.5, 0.0, 0.0))
    # 20 ms of 0.4 s
    np.testing.assert_allclose([s[9:11] for s in seen], [[0, 1], [math.sin(math.pi / 10), math.cos(math.pi / 10)]])
    seen, _ = _walk(bundle, VelocityCommand(0.05, 0.05, 0.0))
    np.testing.assert_allclose([s[9:11] for s in seen], [[0, 0], [0, 0]])


def test_a_history_of_phases_alternates_between_sine_and_cosine(tmp_path: Path) -> None:
    lengths = "1,1,1,2,1,1,1"
    draft = _read(width=WIDTH + 4, observation_names=PHASE, observation_terms_history_length=lengths)
    draft.say("gait.period", 0.4)
    seen, _ = _walk(_bundle(draft, tmp_path), VelocityCommand(0.5, 0.0, 0.0))
    np.testing.assert_allclose(seen[1][9:13], [0, 1, math.sin(math.pi / 10), math.cos(math.pi / 10)])


def test_an_input_of_several_frames_is_asked_about() -> None:
    draft = _read(width=5 * WIDTH)
    assert "length: 5" in draft.missing["observation.history"]


def test_base_velocity_comes_from_the_simulation() -> None:
    names = f"base_lin_vel,{METADATA['observation_names']}"
    assert _read(width=WIDTH + 3, observation_names=names).keys["base_velocity"] == "ground_truth"


def test_a_recurrent_network() -> None:
    source = _source(METADATA, inputs={"h_in": (1, 1, 64)}, more={"h_out": (1, 1, 64)})
    draft = CsvMetadataImporter().read(source)
    assert draft.keys["weights"] == {"input": "obs", "output": "actions", "recurrent": {"h_in": "h_out"}}


def test_the_control_period_is_asked_for_in_isaac_labs_order() -> None:
    order = {
        "joint_names": "left_hip_joint,right_hip_joint,left_knee_joint,right_knee_joint",
        "joint_stiffness": "40,40,99,99",
        "joint_damping": "2,2,6,6",
        "default_joint_pos": "0,0,0,0",
    }
    assert set(_read(**order).missing) == {"control_period"}
    assert set(_read(observation_history_lengths=SIX).missing) == {"control_period"}
    assert _read(observation_history_lengths=SIX, control_dt="0.04").keys["control_period"] == 0.04


def test_what_some_exporters_add(tmp_path: Path) -> None:
    draft = _read(joint_effort_limit="88,139,88,139", sim_dt="0.0025", decimation="4", policy_seed="3")
    bundle = _bundle(draft, tmp_path)
    assert [joint.effort_limit for joint in bundle.joints.values()] == [88.0, 139.0, 88.0, 139.0]
    assert (bundle.control_period, bundle.pd_rate) == (0.01, 500.0)
    assert "400 Hz" in draft.inferred["pd_rate"]
    assert not {"joints.effort", "control_period"} & set(draft.inferred)
    assert any("policy_seed" in note for note in draft.notes)
    assert "action.clip" in _read(action_clip_lower="-1,-1,-1,-1", action_clip_upper="1,1,1,1").missing


# Five joints of which four are driven.
WAIST = {
    "joint_names": "waist_joint,left_hip_joint,left_knee_joint,right_hip_joint,right_knee_joint",
    "joint_stiffness": "7,40,99,40,99",
    "default_joint_pos": "0.5,-0.312,0.669,-0.312,0.669",
}


def test_fewer_outputs_than_joints_are_asked_about() -> None:
    draft = CsvMetadataImporter().read(_source({**METADATA, **WAIST}, WIDTH + 2))
    assert set(draft.missing) == {"joints", "joints.default", "joints.kp", "joints.kd", "action.scale"}
    assert "which 4 of" in draft.missing["joints"]
    # Positions and velocities of five joints, actions of four.
    assert len(draft.keys["observation"]["joints"]) == 5


@pytest.mark.parametrize("width", [WIDTH, WIDTH + 2])
@pytest.mark.parametrize("told_by", ["robot", "metadata"])
def test_driven_joints_may_be_told_by_the_robot_or_by_the_metadata(told_by: str, width: int, tmp_path: Path) -> None:
    robot = RobotSpec("biped", tuple(JointSpec(name, -9.0, 9.0, 100.0) for name in reversed(JOINTS)))
    more = {"action_joint_names": ",".join(JOINTS)} if told_by == "metadata" else {}
    source = _source({**METADATA, **WAIST, **more}, width, robot=robot if told_by == "robot" else None)
    draft = CsvMetadataImporter().read(source)
    assert draft.missing == {}
    assert ("joints" in draft.inferred) is (told_by == "robot")
    bundle = _bundle(draft, tmp_path)
    assert {name: (j.default_position, j.kp, j.kd) for name, j in bundle.joints.items()} == {
        "left_hip_joint": (-0.312, 40.0, 2.558),
        "left_knee_joint": (0.669, 99.0, 6.309),
        "right_hip_joint": (-0.312, 40.0, 2.558),
        "right_knee_joint": (0.669, 99.0, 6.309),
    }
    # The size of the input tells whether the waist is observed.
    expected = ("waist_joint", *JOINTS) if width == WIDTH + 2 else JOINTS
    assert bundle.observation.joints == expected
    assert bundle.observation.default_position == (0.5, -0.312, 0.669, -0.312, 0.669)[-len(expected) :]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"joint_stiffness": "1.000,1.000,1.000,1.000", "joint_damping": "-0.000,0.000,-0.000,0.000"},
         ("all 'joint_stiffness' are 1", "plain")),
        ({"joint_stiffness": "40,40,99,99"}, ("joint_stiffness", "40", "left_hip_joint", "99", "right_hip_joint")),
        ({"joint_damping": "2.558,6.309,2.558,6.2"}, ("joint_damping", "6.309", "6.2", "right_knee_joint")),
        ({"joint_stiffness": "40,99,40"}, ("joint_stiffness", "3 values", "expected 4")),
        ({"joint_stiffness": "40,99,40,-99"}, ("joint_stiffness", "at least 0", "-99")),
        ({"joint_stiffness": "40,99,40,nan"}, ("joint_stiffness", "finite numbers")),
        ({"action_scale": "0.5,0.5"}, ("action_scale", "2 values", "4 or 1")),
        ({"default_joint_pos": "0,0,x,0"}, ("default_joint_pos", "finite numbers")),
        ({"joint_names": "a,b,b,c"}, ("joint_names", "'b' twice")),
        ({"joint_names": "a,b,,c"}, ("joint_names", "names")),
        ({"observation_names": "base_ang_vel,joint_poss"}, ("'joint_poss'", "'joint_pos'")),
        ({"observation_names": "base_ang_vel,height_scan"}, ("height_scan", "terrain")),
        ({"observation_names": "command,motion_anchor_ori_b"}, ("recorded motion", "motion_anchor_ori_b")),
        ({"command_names": "motion"}, ("recorded motion", "'motion'")),
        ({"anchor_body_name": "torso"}, ("recorded motion", "anchor_body_name")),
        ({"observation_names": "base_ang_vel,command"}, ("takes 21 numbers", "are 6", "base_ang_vel 3, command 3")),
        ({"observation_terms_scale": "1.000,1.000"}, ("observation_terms_scale", "2 values for 6 terms")),
        ({"observation_terms_scale": "1,1,1;1,1,1,1"}, ("2 scales for the 3 numbers of 'command'",)),
        ({"observation_terms_scale": "1,1,x,1,1,1"}, ("scale of 'command'", "finite")),
        ({"observation_terms_scale": '{"jont_pos": 1}'}, ("'jont_pos'", "joint_pos")),
        ({"observation_terms_clip": "1;-1,None,None,None,None,None"}, ("clip of 'base_ang_vel'", "1;-1")),
        ({"observation_terms_history_length": "1.5,1,1,1,1,1"}, ("history", "'base_ang_vel'", "1.5")),
        ({"observation_terms_history_length": "2,1,1,1,1,1", "observation_terms_flatten_history_dim": "0,1,1,1,1,1"},
         ("history of 'base_ang_vel' is not flat",)),
        ({"action_joint_names": "left_hip_joint,arm,right_hip_joint"}, ("action_joint_names", "'arm'")),
        ({"control_dt": "0"}, ("control_dt", "above 0")),
        ({"control_dt": "20"}, ("control period", "found 20")),
    ],
)  # fmt: skip
def test_broken_and_foreign_exports_are_refused(
    changes: dict[str, str], words: tuple[str, ...], refuses: Refuses
) -> None:
    with refuses(ConfigError, "walk.onnx", *words):
        _read(**changes)


def test_other_refusals(refuses: Refuses) -> None:
    importer = CsvMetadataImporter()
    with refuses(ConfigError, "recorded motion", "time_step"):
        importer.read(_source(METADATA, inputs={"time_step": (1, 1)}))
    with refuses(ConfigError, "one observation and one action", "past_key_values"):
        importer.read(_source(METADATA, inputs={"past_key_values": (1, 8)}))
    with refuses(ConfigError, "4 'joint_names'", "5 numbers"):
        importer.read(_source(METADATA, WIDTH, 5))
    with refuses(ConfigError, "'default_joint_pos' is missing"):
        importer.read(_source({key: METADATA[key] for key in METADATA if key != "default_joint_pos"}))
    with refuses(ConfigError, "file0.yaml", "deploy.yaml", "sim, scene"):
        _read({"sim": 1, "scene": 2})
    with refuses(ConfigError, "file1.yaml", "second"):
        _read(DEPLOY, DEPLOY)


def test_a_passive_joint_is_remarked() -> None:
    draft = _read(joint_stiffness="40,0.000,40,0.000")
    assert any("left_knee_joint, right_knee_joint" in note for note in draft.notes)


def test_a_deploy_yaml_beside_it_says_rates_ranges_and_the_phase() -> None:
    deploy = copy.deepcopy(DEPLOY)
    terms = list(deploy["observations"].items())
    terms.insert(3, ("gait_phase", {"params": {"period": 0.6}, "clip": None, "scale": None, "history_length": 1}))
    deploy["observations"] = dict(terms)
    deploy["default_joint_pos"][3] = deploy["actions"]["JointPositionAction"]["offset"][3] = 0.0
    pose = "-0.312,0.669,-0.312,0.003"
    draft = _read(deploy, width=WIDTH + 2, observation_names=PHASE, default_joint_pos=pose)
    assert draft.missing == {}
    assert (draft.keys["control_period"], draft.keys["gait"]["period"]) == (0.01, 0.6)
    assert draft.keys["command"] == {"linear_x": [-0.5, 1.0], "linear_y": [-0.5, 0.5], "angular_z": [-1.0, 1.0]}
    assert not {"control_period", "command", "observation.terms"} & set(draft.inferred)
    # It differs from the metadata by its rounding alone.
    assert len(draft.notes) == 1


def test_a_deploy_yaml_completes_scales_and_histories_where_the_metadata_is_silent() -> None:
    deploy = copy.deepcopy(DEPLOY)
    deploy["observations"]["joint_vel_rel"] |= {"scale": [0.05] * 4, "history_length": 3}
    deploy["actions"]["JointPositionAction"]["clip"] = [[-1.0, 2.0]] * 4
    draft = _read(deploy, observation_terms_scale=SIX)
    assert "scale" not in draft.keys["observation"]["terms"][4]
    assert draft.keys["action"]["target_limits"]["upper"]["left_hip_joint"] == 2.0
    with pytest.raises(ConfigError, match="29 numbers"):
        _read(deploy)
    deploy["observations"]["joint_vel_rel"]["history_length"] = 1
    assert _read(deploy).keys["observation"]["terms"][4] == {"term": "joint_vel_rel", "scale": 0.05}


def test_contradictions_between_both_are_named_and_the_metadata_taken() -> None:
    deploy = copy.deepcopy(DEPLOY)
    deploy["actions"]["JointPositionAction"]["scale"][2] = 0.35
    deploy["stiffness"][3] = 80.0
    first, *rest = deploy["observations"].items()
    deploy["observations"] = dict([*rest, first])
    draft = _read(deploy, control_dt="0.02")
    assert draft.keys["action"]["scale"]["right_hip_joint"] == 0.548
    assert draft.columns["kp"][3] == 99.098
    assert draft.keys["control_period"] == 0.02
    assert draft.keys["observation"]["terms"][0]["term"] == "base_ang_vel"
    notes = " ".join(draft.notes)
    for words in ("right_hip_joint (0.35 against 0.548)", "right_knee_joint (80 against 99.098)", "0.01 s", "lists"):
        assert words in notes


def test_holomotion_says_in_its_config_what_the_network_sees(tmp_path: Path) -> None:
    draft = CsvMetadataImporter().read(_source(FIVE, 2 * (4 + 4 + 4), 4, HOLOMOTION))
    assert draft.missing == {}
    assert draft.keys["control_period"] == 0.025
    # A whole multiple of 40 Hz.
    assert draft.keys["pd_rate"] == 520.0
    assert draft.keys["command"]["linear_x"] == [-0.6, 1.0]
    seen, _ = _walk(_bundle(draft, tmp_path), VelocityCommand(0.5, 0.0, -0.2))
    command, position = [1, 0.5, 0, -0.2], [0.1, 0.1, 0.1, 0.1]
    expected = [*command, *command, *position, *position, 0, 0, 0, 0, 2, -1, 2, -1]
    np.testing.assert_allclose(seen[1], expected, atol=1e-6)
    seen, _ = _walk(_bundle(draft, tmp_path), VelocityCommand(0.05, 0.0, 0.0))
    np.testing.assert_allclose(seen[0][:4], [0, 0.05, 0, 0], atol=1e-6)


def test_holomotion_without_its_config_is_asked_about(refuses: Refuses) -> None:
    draft = CsvMetadataImporter().read(_source(FIVE, 776))
    assert set(draft.missing) == {"observation.terms"}
    assert "776" in draft.missing["observation.terms"]
    for path, value, words in (
        ("terms", ["unified/actor_ref_dof_pos_cur"], ("recorded motion",)),
        ("terms", ["unified/actor_dof_poss"], ("'unified/actor_dof_poss'", "'dof_pos'")),
        ("seq_len", "${obs.context}", ("${obs.context}",)),
        ("seq_len", 0, ("seq_len", "found 0")),
    ):
        config = copy.deepcopy(HOLOMOTION)
        config["modules"]["actor"]["obs_schema"]["flattened_obs"][path] = value
        with refuses(ConfigError, "file0.yaml", *words):
            CsvMetadataImporter().read(_source(FIVE, 24, 4, config))
    with refuses(ConfigError, "24 numbers", "are 12"):
        CsvMetadataImporter().read(_source(FIVE, 24, 4, HOLOMOTION | {"obs": {"context_length": 1}}))


def test_a_partial_policy_yaml_has_the_last_word() -> None:
    draft = _read({"control_period": 0.005, "gait": {"period": 0.8}}, width=WIDTH + 2, observation_names=PHASE)
    assert draft.keys["control_period"] == 0.005
    assert draft.missing == {}


def test_it_is_recognised_by_its_keys() -> None:
    importer = CsvMetadataImporter()
    assert importer.recognises(_source(METADATA))
    assert importer.recognises(_source(FIVE))
    assert not importer.recognises(_source({"dof_names": "[]", "kp": "[]", "kd": "[]", "joint_names": "a"}))
    assert not importer.recognises(Source(Path("walk.pt")))


@zoo.needs_zoo
def test_a_published_policy_becomes_the_bundle_that_reproduces_it(tmp_path: Path) -> None:
    name = "unitree_rl_mjlab_g1"
    facts = zoo.facts(name)
    lists = {
        "joint_stiffness": facts["kp"],
        "joint_damping": facts["kd"],
        "default_joint_pos": facts["default_pos"],
        "action_scale": facts["action"]["scale"],
        "joint_effort_limit": facts["effort"],
    }
    metadata = {key: ",".join(f"{value:.3f}" for value in values) for key, values in lists.items()}
    metadata |= {key: METADATA[key] for key in ("run_path", "command_names", "observation_names")}
    metadata["joint_names"] = ",".join(facts["joints"])
    source = open_source(zoo.ZOO / facts["model"]["file"])
    assert source.onnx is not None
    onnx = OnnxFacts(source.onnx.inputs, source.onnx.outputs, metadata, source.onnx.external_data, 18)
    bundle = _bundle(CsvMetadataImporter().read(Source(source.weights, (), onnx)), tmp_path)
    wanted = load_bundle(zoo.write_bundle(name, tmp_path / "wanted"))
    for part in ("observation", "action", "joints", "held", "gait", "control_period", "pd_rate"):
        assert getattr(bundle, part) == getattr(wanted, part), part
    assert bundle.robot == "g1"
    assert [path.name for path in bundle.weights.external_data] == ["policy.onnx.data"]


_TEXTS = st.one_of(
    st.text(max_size=20),
    st.lists(st.floats(width=16), max_size=7).map(lambda values: ",".join(f"{value:.3f}" for value in values)),
    st.text("[](){},;.-+0123456789einfab\"' ", max_size=30),
    st.sampled_from([*METADATA.values(), "[" * 5000, "1e999", "9" * 400]),
)
_KEYS = (
    *METADATA, "observation_terms_scale", "observation_terms_clip", "observation_terms_history_length",
    "observation_terms_flatten_history_dim", "observation_history_lengths", "joint_effort_limit", "control_dt",
    "sim_dt", "decimation", "action_joint_names", "action_clip_lower",
)  # fmt: skip


@given(key=st.sampled_from(_KEYS), text=_TEXTS, drop=st.booleans(), outputs=st.sampled_from([4, 4, 3, None]))
def test_mangled_texts_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, text: str, drop: bool, outputs: int | None
) -> None:
    metadata = {**METADATA, "decimation": "4", key: text}
    if drop:
        del metadata[key]
    with contextlib.suppress(HumanoidError):
        draft = CsvMetadataImporter().read(_source(metadata, WIDTH, outputs, DEPLOY))
        _bundle(draft, tmp_path_factory.mktemp("mangled"))


_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(min_value=10**300), st.floats(), st.text(max_size=5),
    st.lists(st.one_of(st.floats(), st.integers(-1, 5), st.text(max_size=3), st.none()), max_size=5),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


def _paths(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Where a value stands, of all values at any depth."""
    items = value.items() if isinstance(value, dict) else ()
    return [place for key, below in items for place in ((*path, key), *_paths(below, (*path, key)))]


@given(
    which=st.sampled_from([(DEPLOY, path) for path in _paths(DEPLOY)] + [(HOLOMOTION, p) for p in _paths(HOLOMOTION)]),
    value=_VALUES,
    drop=st.booleans(),
)
def test_mangled_files_beside_it_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, which: tuple[dict[str, Any], tuple[str, ...]], value: Any, drop: bool
) -> None:
    config, path = copy.deepcopy(which[0]), which[1]
    place = config
    for key in path[:-1]:
        place = place[key]
    if drop:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    metadata, width = (METADATA, WIDTH) if which[0] is DEPLOY else (FIVE, 24)
    with contextlib.suppress(HumanoidError):
        draft = CsvMetadataImporter().read(_source(metadata, width, 4, config))
        _bundle(draft, tmp_path_factory.mktemp("mangled"))
