"""holosoma: terms in alphabetical order, zeros before the first frame, and presets only for joints that match."""

from __future__ import annotations

import contextlib
import copy
import json
import math
from collections.abc import Callable
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
from humanoid_rl_ros.core.observation_spec import HistorySpec
from humanoid_rl_ros.core.robot import JointSpec, RobotSpec
from humanoid_rl_ros.core.state import RobotState, VelocityCommand
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.finish import draft_data
from humanoid_rl_ros.policies.importers.holosoma import HolosomaImporter
from humanoid_rl_ros.policies.importers.holosoma_presets import PRESETS
from humanoid_rl_ros.policies.importers.onnx_facts import OnnxFacts
from humanoid_rl_ros.policies.importers.source import Config, Source, open_source

Refuses = Callable[..., AbstractContextManager[None]]

JOINTS = ["hip", "knee"]
RANGES = {"lin_vel_x": [-1.0, 1.5], "lin_vel_y": [-0.5, 0.5], "ang_vel_yaw": [-2.0, 2.0], "heading": [-3.14, 3.14]}


def _term(name: str, scale: Any = 1.0, **more: Any) -> dict[str, Any]:
    function = f"holosoma.managers.observation.terms.locomotion:{name}"
    return {"func": function, "params": {}, "scale": scale, "noise": 0.1, "clip": None} | more


# Not in the order of the vector, as in the files of the origin.
TRAINING: dict[str, Any] = {
    "algo": {"_target_": "ppo.PPO", "config": {"module_dict": {"actor": {"input_dim": ["actor_obs"]}}}},
    "observation": {
        "groups": {
            "actor_obs": {
                "terms": {
                    "base_ang_vel": _term("base_ang_vel", 0.25),
                    "projected_gravity": _term("projected_gravity"),
                    "command_lin_vel": _term("command_lin_vel"),
                    "command_ang_vel": _term("command_ang_vel"),
                    "dof_pos": _term("dof_pos"),
                    "dof_vel": _term("dof_vel", 0.05),
                    "actions": _term("actions"),
                    "sin_phase": _term("sin_phase"),
                    "cos_phase": _term("cos_phase"),
                },
                "concatenate": True,
                "enable_noise": True,
                "history_length": 1,
            },
            "critic_obs": {"terms": {"base_lin_vel": _term("base_lin_vel")}},
        },
        "clip_observations": 50.0,
    },
    "action": {"terms": {"joint_control": {"func": "x.joint_control:JointPositionActionTerm", "scale": 1.0}}},
    "robot": {
        "dof_names": ["knee", "hip"],
        "dof_effort_limit_list": [50.0, 80.0],
        "init_state": {"default_joint_angles": {"knee": -0.2, "hip": 0.1, "wrist": 9.0}},
        "asset": {"robot_type": "biped_2dof"},
        "control": {
            "control_type": "P",
            "stiffness": {"hip": 40.0, "knee": 100.0},
            "damping": {"hip": 2.0, "knee": 5.0},
            "action_scale": 0.25,
            "action_clip_value": 100.0,
            "clip_actions": True,
            "clip_torques": True,
        },
    },
    "simulator": {"config": {"sim": {"fps": 200, "control_decimation": 4}}},
    "command": {
        "setup_terms": {
            "locomotion_gait": {"func": "x:LocomotionGait", "params": {"gait_period": 0.8}},
            "locomotion_command": {"func": "x:LocomotionCommand", "params": {"stand_prob": 0.2}},
        }
    },
}
METADATA: dict[str, Any] = {
    "dof_names": JOINTS,
    "kp": [40.0, 100.0],
    "kd": [2.0, 5.0],
    "command_ranges": RANGES,
    "robot_urdf": "<robot/>",
    "iteration": 7,
    "experiment_config": TRAINING,
}
# 2 + 3 + 1 + 2 + 2 + 2 + 2 + 3 + 2
WIDTH = 19


def _changed(path: str, value: Any) -> dict[str, Any]:
    """The metadata with one value of its training changed."""
    metadata = copy.deepcopy(METADATA)
    *keys, last = path.split("/")
    place = metadata["experiment_config"]
    for key in keys:
        place = place[key]
    place[last] = value
    return metadata


def _source(metadata: dict[str, Any], width: int = WIDTH, outputs: int = 2, **inputs: Any) -> Source:
    texts = {key: json.dumps(value) for key, value in metadata.items()}
    facts = OnnxFacts({"actor_obs": (1, width), **inputs}, {"action": (1, outputs)}, texts, (), 13)
    return Source(Path("walk.onnx"), (), facts)


def _read(metadata: dict[str, Any], width: int = WIDTH) -> Draft:
    return HolosomaImporter().read(_source(metadata, width))


def _bundle(draft: Draft, folder: Path) -> PolicyBundle:
    if not draft.weights.is_file():
        draft.weights = folder / "walk.onnx"
        draft.weights.touch()
    (folder / "policy.yaml").write_text(yaml.safe_dump(draft_data(draft), sort_keys=False))
    return load_bundle(folder)


def test_what_the_training_says(tmp_path: Path) -> None:
    draft = _read(METADATA)
    bundle = _bundle(draft, tmp_path)
    assert draft.missing == {}
    assert {name: (j.default_position, j.kp, j.kd, j.effort_limit) for name, j in bundle.joints.items()} == {
        "hip": (0.1, 40.0, 2.0, 80.0),
        "knee": (-0.2, 100.0, 5.0, 50.0),
    }
    assert list(bundle.joints) == JOINTS
    assert (bundle.robot, bundle.control_period, bundle.pd_rate) == ("biped", 0.02, 500.0)
    assert bundle.observation.clip == (-50.0, 50.0)
    assert bundle.command.linear_x == (-1.0, 1.5)
    assert bundle.command.linear_y == (-0.5, 0.5)
    assert bundle.command.angular_z == (-2.0, 2.0)
    assert bundle.gait is not None
    assert bundle.gait.frequency == pytest.approx(1.25)
    assert (bundle.gait.phases, bundle.gait.when_standing) == ((0.0, math.pi), "hold")
    assert "at 200 Hz without delay, as the file says" in draft.inferred["pd_rate"]
    assert "gait.period" not in draft.inferred
    assert {"gait.phases", "gait.when_standing"} <= set(draft.inferred)
    assert "base_velocity" not in draft.keys


class _Network:
    """Says 150, −1 and keeps what it saw."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def infer(self, observation: Any) -> Any:
        self.seen.append(np.array(observation))
        return np.array([150.0, -1.0], dtype=np.float32)

    def infer_batch(self, observations: Any) -> Any:
        return np.stack([self.infer(observation) for observation in observations])

    def reset(self) -> None:
        self.seen.clear()


def _walk(bundle: PolicyBundle, command: VelocityCommand) -> tuple[_Network, PolicyBehaviour]:
    """Two steps of 20 ms, knee first in the robot's own order; the gyro differs between them."""
    robot = RobotSpec("biped", (JointSpec("knee", -99.0, 99.0, 100.0), JointSpec("hip", -99.0, 99.0, 100.0)))
    network = _Network()
    behaviour = PolicyBehaviour(bundle, robot, network)
    states = [
        RobotState(
            i * 20_000_000, np.array([-0.1, 0.3]), np.array([2.0, 1.0]), np.array([1.0, 0, 0, 0]), np.array(gyro)
        )
        for i, gyro in enumerate(([0.4, 0.8, -0.4], [4.0, 8.0, -4.0]))
    ]
    behaviour.enter(states[0])
    for state in states:
        behaviour.update(state, command)
    return network, behaviour


def test_the_vector_is_in_alphabetical_order_and_the_phase_goes_on(tmp_path: Path) -> None:
    network, behaviour = _walk(_bundle(_read(METADATA), tmp_path), VelocityCommand(0.5, 0.1, -0.2))
    first = [0, 0, 0.1, 0.2, -0.1, -0.2, 0.5, 0.1, 1, -1, 0.2, 0.1, 0.05, 0.1, 0, 0, -1, 0, 0]
    np.testing.assert_allclose(network.seen[0], first, atol=1e-6)
    # The action is clipped at 100, the vector at 50; a step is 20 ms of a stride of 0.8 s.
    sine, cosine = math.sin(math.tau / 40), math.cos(math.tau / 40)
    second = [50, -1, 1, 2, -1, -0.2, 0.5, 0.1, cosine, -cosine, 0.2, 0.1, 0.05, 0.1, 0, 0, -1, sine, -sine]
    np.testing.assert_allclose(network.seen[1], second, atol=1e-6)
    step = behaviour.last_step
    assert step is not None
    # knee −0.2 − 0.25, hip 0.1 + 0.25 · 100
    np.testing.assert_allclose(step.target.position, [-0.45, 25.1], atol=1e-5)


def test_standing_shows_both_legs_at_half_a_stride(tmp_path: Path) -> None:
    network, _ = _walk(_bundle(_read(METADATA), tmp_path), VelocityCommand(0.009, 0.0, -0.009))
    for seen in network.seen:
        np.testing.assert_allclose(seen[8:10], [-1, -1], atol=1e-6)
        np.testing.assert_allclose(seen[17:19], [0, 0], atol=1e-6)


def test_a_standing_phase_of_its_own(tmp_path: Path) -> None:
    metadata = _changed("command/setup_terms/locomotion_gait/params/stand_phase_value", math.pi / 2)
    network, _ = _walk(_bundle(_read(metadata), tmp_path), VelocityCommand())
    np.testing.assert_allclose(network.seen[0][[8, 9, 17, 18]], [0, 0, 1, 1], atol=1e-6)


def test_ranges_at_the_export_are_taken_and_those_before_it_remarked() -> None:
    began = RANGES | {"lin_vel_x": [-0.5, 0.5]}
    metadata = _changed("command/setup_terms/locomotion_command/params/command_ranges", began)
    draft = _read(metadata)
    assert draft.keys["command"]["linear_x"] == [-1.0, 1.5]
    assert any("[-0.5, 0.5]" in note and "[-1.0, 1.5]" in note for note in draft.notes)
    del metadata["command_ranges"]
    draft = _read(metadata)
    assert draft.keys["command"]["linear_x"] == [-0.5, 0.5]
    assert draft.notes == []


def test_a_history_is_stacked_term_by_term_over_zeros(tmp_path: Path) -> None:
    metadata = copy.deepcopy(METADATA)
    group = metadata["experiment_config"]["observation"]["groups"]["actor_obs"]
    group["history_length"] = 2
    group["terms"] = {
        "base_ang_vel": _term("base_ang_vel", [1.0, 0.5, 2.0], clip=[-9.0, 5.0]),
        "actions": _term("actions"),
    }
    bundle = _bundle(_read(metadata, 10), tmp_path)
    assert bundle.observation.blocks[0].history == HistorySpec(2, "term_major", "oldest_first", "zeros")
    assert bundle.gait is None
    network, _ = _walk(bundle, VelocityCommand())
    np.testing.assert_allclose(network.seen[0], [0, 0, 0, 0, 0, 0, 0, 0.4, 0.4, -0.8], atol=1e-6)
    # The clip of a term is behind its scale.
    np.testing.assert_allclose(network.seen[1], [0, 0, 50, -1, 0.4, 0.4, -0.8, 4, 4, -8], atol=1e-6)


def test_scales_by_effort_over_gain() -> None:
    draft = _read(_changed("robot/control/action_scales_by_effort_limit_over_p_gain", True))
    # 0.25 · 80 / 40, 0.25 · 50 / 100
    assert draft.keys["action"]["scale"] == {"hip": 0.5, "knee": 0.125}


def test_what_the_origins_code_fills_in() -> None:
    draft = _read(_changed("command/setup_terms/locomotion_gait/params", {}))
    assert draft.keys["gait"]["period"] == 1.0
    assert "gait_period" in draft.inferred["gait.period"]
    free = _read(_changed("robot/control/clip_torques", False))
    assert "effort" not in free.columns
    assert "joints.effort" in free.inferred
    assert "clip" not in _read(_changed("robot/control/clip_actions", False)).keys["action"]


def test_base_velocity_comes_from_the_simulation() -> None:
    metadata = copy.deepcopy(METADATA)
    terms = metadata["experiment_config"]["observation"]["groups"]["actor_obs"]["terms"]
    terms["base_lin_vel"] = _term("base_lin_vel", 2.0)
    draft = _read(metadata, WIDTH + 3)
    assert draft.keys["base_velocity"] == "ground_truth"
    # Between base_ang_vel and command_ang_vel.
    assert draft.keys["observation"]["terms"][2] == {"term": "base_lin_vel", "scale": 2.0}


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.robot)
def test_a_file_without_training_is_completed_for_known_joints_and_marked(preset: Any, tmp_path: Path) -> None:
    joints = len(preset.joints)
    metadata = {"dof_names": list(preset.joints), "kp": [30.0] * joints, "kd": [1.0] * joints}
    draft = HolosomaImporter().read(_source(metadata, 100, joints))
    bundle = _bundle(draft, tmp_path)
    assert draft.missing == {}
    assert bundle.observation_size() == 100
    wanted = {"observation.terms", "joints.default", "joints.effort", "action.scale", "control_period", "gait.period"}
    assert wanted | {"command", "robot"} <= set(draft.inferred)


@pytest.mark.parametrize(("joints", "width"), [(["hip", "knee"], 19), (list(reversed(PRESETS[0].joints)), 100)])
def test_a_file_without_training_and_of_other_joints_is_asked_about(joints: list[str], width: int) -> None:
    metadata = {"dof_names": joints, "kp": [30.0] * len(joints), "kd": [1.0] * len(joints)}
    draft = HolosomaImporter().read(_source(metadata, width, len(joints)))
    asked = {"observation.terms", "joints.default", "action.scale", "control_period", "pd_rate"}
    assert set(draft.missing) == asked
    assert draft.columns["kp"] == (30.0,) * len(joints)
    assert f"{width} numbers" in draft.missing["observation.terms"]


def test_known_joints_with_another_input_are_no_preset() -> None:
    metadata = {"dof_names": list(PRESETS[0].joints), "kp": [30.0] * 29, "kd": [1.0] * 29}
    draft = HolosomaImporter().read(_source(metadata, 103, 29))
    assert "observation.terms" in draft.missing
    assert "robot" not in draft.keys


def test_a_partial_policy_yaml_answers_and_other_files_are_refused(refuses: Refuses) -> None:
    source = _source({key: METADATA[key] for key in ("dof_names", "kp", "kd")})
    answers = Config(Path("answers.yaml"), {"control_period": 0.01, "action": {"scale": 0.5}})
    draft = HolosomaImporter().read(Source(source.weights, (answers,), source.onnx))
    assert draft.keys["control_period"] == 0.01
    assert draft.keys["action"]["scale"] == 0.5
    assert not {"control_period", "action.scale"} & set(draft.missing)
    with refuses(ConfigError, "env.yaml", "partial policy.yaml"):
        HolosomaImporter().read(Source(source.weights, (Config(Path("env.yaml"), {"sim": 1}),), source.onnx))


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("observation/groups/actor_obs/terms/dof_pos/func", "x.wbt:dof_pos", ("recorded motion",)),
        ("observation/groups/actor_obs/terms/dof_pos/func", "x.locomotion:motion_command", ("recorded motion",)),
        ("observation/groups/actor_obs/terms/dof_pos/func", "x.locomotion:dof_poss", ("'dof_poss'", "'dof_pos'")),
        ("observation/groups/actor_obs/terms/dof_pos/params", {"a": 1}, ("params", "'dof_pos'")),
        ("observation/groups/actor_obs/terms/dof_pos/scale", [1.0], ("scale", "2 numbers")),
        ("observation/groups/actor_obs/terms/dof_pos/delay", 2, ("unknown key 'delay'",)),
        ("observation/groups/actor_obs/concatenate", False, ("concatenate",)),
        ("observation/groups/actor_obs/terms", {}, ("no term",)),
        ("observation/groups/actor_obs/history_length", 2, ("19", "38", "base_ang_vel 3")),
        ("observation/groups/actor_obs/history_length", 10**9, ("history_length", "at most")),
        ("algo/config/module_dict/actor/input_dim", ["actor_obs", "scan"], ("['actor_obs']", "scan")),
        ("action/terms/second", {"func": "x:JointPositionActionTerm"}, ("expected one",)),
        ("action/terms/joint_control/func", "x:JointTorqueActionTerm", ("JointTorqueActionTerm",)),
        ("robot/control/control_type", "T", ("control_type", "P")),
        ("robot/control/integral", {"hip": 1.0}, ("integral",)),
        ("robot/dof_names", ["hip", "elbow"], ("dof_names", "elbow, knee")),
        ("robot/dof_effort_limit_list", [50.0, 0.0], ("'hip'", "above 0")),
        ("robot/init_state/default_joint_angles", {"hip": 0.0}, ("'knee' is missing",)),
        ("simulator/config/sim/fps", 0, ("fps", "above 0")),
        ("simulator/config/sim/control_decimation", 4000, ("control period", "found 20")),
        ("simulator/config", None, ("config", "mapping")),
    ],
)
def test_trainings_that_cannot_be_expressed_are_refused(
    path: str, value: Any, words: tuple[str, ...], refuses: Refuses
) -> None:
    with refuses(ConfigError, "walk.onnx", *words):
        _read(_changed(path, value))


def test_other_refusals(refuses: Refuses) -> None:
    importer = HolosomaImporter()
    with refuses(ConfigError, "recorded motion", "time_step"):
        importer.read(_source(METADATA, time_step=(1, 1)))
    with refuses(ConfigError, "recorded motion", "command_ranges"):
        importer.read(_source({**METADATA, "command_ranges": None}))
    with refuses(ConfigError, "'action' has 1 numbers", "say 2"):
        importer.read(_source(METADATA, outputs=1))
    with refuses(ConfigError, "kp", "2 numbers"):
        importer.read(_source({**METADATA, "kp": [40.0]}))
    with refuses(ConfigError, "kd[1]", "at least 0"):
        importer.read(_source({**METADATA, "kd": [2.0, -5.0]}))
    with refuses(ConfigError, "lin_vel_y", "[1, -1]"):
        importer.read(_source({**METADATA, "command_ranges": {**RANGES, "lin_vel_y": [1.0, -1.0]}}))
    with refuses(ConfigError, "dof_names", "no joint"):
        importer.read(_source({**METADATA, "dof_names": []}))
    facts = OnnxFacts({"actor_obs": (1, 19)}, {"action": (1, 2)}, {"dof_names": "hip,knee", "kp": "1,2"}, (), 13)
    with refuses(ConfigError, "dof_names", "must be JSON"):
        importer.read(Source(Path("walk.onnx"), (), facts))


def test_it_is_recognised_by_its_keys() -> None:
    importer = HolosomaImporter()
    assert importer.recognises(_source(METADATA))
    assert importer.recognises(_source({key: METADATA[key] for key in ("dof_names", "kp", "kd")}))
    assert not importer.recognises(_source({"joint_names": JOINTS, "kp": [1.0, 2.0]}))
    assert not importer.recognises(Source(Path("walk.pt")))


@zoo.needs_zoo
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", ["holosoma_g1_ppo", "holosoma_g1_fastsac"])
def test_published_policies_become_the_bundles_that_reproduce_them(name: str, training: bool, tmp_path: Path) -> None:
    facts = zoo.facts(name)
    source = open_source(zoo.ZOO / facts["model"]["file"])
    if training:
        config = _published(facts)
        texts = {**source.metadata, "experiment_config": json.dumps(config)}
        assert source.onnx is not None
        source = Source(source.weights, (), OnnxFacts(source.onnx.inputs, source.onnx.outputs, texts, (), 13))
    draft = HolosomaImporter().read(source)
    assert ("observation.terms" in draft.inferred) is not training
    bundle, wanted = _bundle(draft, tmp_path), load_bundle(zoo.write_bundle(name, tmp_path / "wanted"))
    for part in ("observation", "action", "joints", "held", "gait", "command", "control_period", "pd_rate"):
        assert getattr(bundle, part) == getattr(wanted, part), part
    assert bundle.weights.input_name == wanted.weights.input_name
    assert bundle.weights.output_name == wanted.weights.output_name


def _published(facts: dict[str, Any]) -> dict[str, Any]:
    """The training of a published policy, as its origin writes it."""
    config = copy.deepcopy(TRAINING)
    terms = config["observation"]["groups"]["actor_obs"]["terms"]
    scales = {item["term"]: item.get("scale", 1.0) for item in facts["obs"]}
    terms["base_ang_vel"]["scale"], terms["dof_vel"]["scale"] = scales["base_ang_vel"], scales["joint_vel"]
    config["observation"]["clip_observations"] = None
    robot = config["robot"]
    robot["dof_names"], robot["dof_effort_limit_list"] = facts["joints"], facts["effort"]
    robot["init_state"]["default_joint_angles"] = dict(zip(facts["joints"], facts["default_pos"], strict=True))
    config["command"]["setup_terms"]["locomotion_gait"]["params"]["gait_period"] = facts["phase"]["period"]
    return config


_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(min_value=10**300), st.floats(), st.text(max_size=5),
    st.lists(st.one_of(st.floats(), st.integers(-1, 5), st.text(max_size=3), st.none()), max_size=5),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


def _paths(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Where a value stands, of all values at any depth."""
    items = value.items() if isinstance(value, dict) else ()
    return [place for key, below in items for place in ((*path, key), *_paths(below, (*path, key)))]


_PATHS = _paths(METADATA)


@given(path=st.sampled_from(_PATHS), value=_VALUES, drop=st.booleans())
def test_mangled_values_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, path: tuple[str, ...], value: Any, drop: bool
) -> None:
    metadata = copy.deepcopy(METADATA)
    place = metadata
    for key in path[:-1]:
        place = place[key]
    if drop:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    with contextlib.suppress(HumanoidError):
        _bundle(_read(metadata), tmp_path_factory.mktemp("mangled"))


@given(key=st.sampled_from(["dof_names", "kp", "command_ranges", "experiment_config"]), text=st.text(max_size=30))
def test_mangled_texts_are_read_or_refused(key: str, text: str) -> None:
    texts = {name: json.dumps(value) for name, value in METADATA.items()} | {key: text}
    facts = OnnxFacts({"actor_obs": (1, WIDTH)}, {"action": (1, 2)}, texts, (), 13)
    with contextlib.suppress(HumanoidError):
        HolosomaImporter().read(Source(Path("walk.onnx"), (), facts))
