"""Berkeley Humanoid Lite: the network's order is that of action_indices; the rest of the robot is held at 0."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.core.errors import ConfigError, HumanoidError
from humanoid_rl_ros.core.robot import JointSpec, RobotSpec
from humanoid_rl_ros.core.state import RobotState, VelocityCommand
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.policies.importers.berkeley import BerkeleyImporter
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.finish import draft_data
from humanoid_rl_ros.policies.importers.onnx_facts import OnnxFacts
from humanoid_rl_ros.policies.importers.source import Config, Source

Refuses = Callable[..., AbstractContextManager[None]]

# Two of four joints are driven, and not in the robot's order.
CONFIG: dict[str, Any] = {
    "policy_checkpoint_path": "checkpoints/net.onnx",
    "ip_robot_addr": "127.0.0.1",
    "ip_policy_obs_port": 10000,
    "control_dt": 0.004,
    "policy_dt": 0.04,
    "physics_dt": 0.0005,
    "num_joints": 4,
    "joints": ["arm", "hip", "knee", "ankle"],
    "joint_kp": [10.0, 20.0, 21.0, 22.0],
    "joint_kd": [1.0, 2.0, 2.1, 2.2],
    "effort_limits": 6,
    "default_base_position": [0.0, 0.0, 0.0],
    "default_joint_positions": [0.5, -0.2, 0.4, -0.3],
    "num_observations": 15,
    "history_length": 0,
    "command_velocity": [-0.4, 0.2, -1.3],
    "num_actions": 2,
    "action_scale": 0.25,
    "action_indices": [2, 1],
    "action_limit_lower": -3,
    "action_limit_upper": 4,
}


def _source(config: Any, width: int = 15, outputs: int = 2, weights: str = "net.onnx") -> Source:
    facts = OnnxFacts({"obs": (1, width)}, {"actions": (1, outputs)}, {}, (), 17)
    return Source(Path(weights), (Config(Path("policy_latest.yaml"), config),), facts)


def _read(**changes: Any) -> Draft:
    width = 15 * (1 + changes.get("history_length", 0))
    return BerkeleyImporter().read(_source({**CONFIG, **changes}, width))


def _bundle(draft: Draft, folder: Path) -> PolicyBundle:
    draft.weights = folder / "net.onnx"
    draft.weights.touch()
    (folder / "policy.yaml").write_text(yaml.safe_dump(draft_data(draft), sort_keys=False))
    return load_bundle(folder)


def _without(*keys: str, **changes: Any) -> dict[str, Any]:
    return {key: value for key, value in {**CONFIG, **changes}.items() if key not in keys}


def test_driven_joints_are_picked_by_index_and_the_others_held_at_zero(tmp_path: Path) -> None:
    draft = _read()
    bundle = _bundle(draft, tmp_path)
    assert list(bundle.joints) == ["knee", "hip"]
    assert {name: (j.default_position, j.kp, j.kd, j.effort_limit) for name, j in bundle.joints.items()} == {
        "knee": (0.4, 21.0, 2.1, 6.0),
        "hip": (-0.2, 20.0, 2.0, 6.0),
    }
    assert {name: (j.position, j.kp, j.kd, j.effort_limit) for name, j in bundle.held.items()} == {
        "arm": (0.0, 10.0, 1.0, 6.0),
        "ankle": (0.0, 22.0, 2.2, 6.0),
    }
    assert (bundle.control_period, bundle.pd_rate) == (0.04, 2000.0)
    assert (bundle.weights.input_name, bundle.weights.output_name) == ("obs", "actions")
    assert bundle.name == "policy_latest"
    assert {"held", "observation.terms", "action.kind", "action.last_action"} <= set(bundle.inferred)
    assert draft.missing == {}
    assert draft.notes == []


class _Network:
    """Says 5, −1 and keeps what it saw."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def infer(self, observation: Any) -> Any:
        self.seen.append(np.array(observation))
        return np.array([5.0, -1.0], dtype=np.float32)

    def infer_batch(self, observations: Any) -> Any:
        return np.stack([self.infer(observation) for observation in observations])

    def reset(self) -> None:
        self.seen.clear()


def test_two_frames_oldest_first_and_zeros_before_the_first(tmp_path: Path) -> None:
    robot = RobotSpec("lite", tuple(JointSpec(name, -3.0, 3.0, 100.0) for name in CONFIG["joints"]))
    network = _Network()
    behaviour = PolicyBehaviour(_bundle(_read(history_length=1), tmp_path), robot, network)
    velocity = np.array([9.0, 1.0, 2.0, 9.0])
    states = [
        RobotState(i * 40_000_000, np.array([0.0, -0.1, 0.7, 0.0]), velocity, np.array([1.0, 0, 0, 0]), np.array(rates))
        for i, rates in enumerate(([0.1, 0.2, 0.3], [0.4, 0.5, 0.6]))
    ]
    behaviour.enter(states[0])
    for state in states:
        behaviour.update(state, VelocityCommand(0.5, 0.1, -0.2))
    first = [0.5, 0.1, -0.2, 0.1, 0.2, 0.3, 0, 0, -1, 0.3, 0.1, 2, 1, 0, 0]
    second = [0.5, 0.1, -0.2, 0.4, 0.5, 0.6, 0, 0, -1, 0.3, 0.1, 2, 1, 4, -1]
    np.testing.assert_allclose(network.seen[0], [0.0] * 15 + first, atol=1e-6)
    np.testing.assert_allclose(network.seen[1], first + second, atol=1e-6)
    step = behaviour.last_step
    assert step is not None
    # arm 0, hip −0.2 − 0.25, knee 0.4 + 0.25 · 4 (clipped), ankle 0
    np.testing.assert_allclose(step.target.position, [0.0, -0.45, 1.4, 0.0], atol=1e-6)


def test_the_origins_robots_need_no_names() -> None:
    """The order of the twelve: left leg, then right."""
    whole_body = {"joint_kp": 20, "joint_kd": 2, "default_joint_positions": 0.0, "action_indices": list(range(12))}
    biped = _without("joints", num_joints=12, num_actions=12, num_observations=45, **whole_body)
    biped["command_velocity"] = [0.5, 0.0, 1.0]
    draft = BerkeleyImporter().read(_source(biped, 45, 12))
    assert draft.joints is not None
    assert draft.joints[0] == "leg_left_hip_roll_joint"
    assert draft.joints[4:7] == ("leg_left_ankle_pitch_joint", "leg_left_ankle_roll_joint", "leg_right_hip_roll_joint")
    assert draft.columns["kp"] == (20.0,) * 12
    assert draft.keys["command"] == {"linear_x": [-0.5, 0.5], "linear_y": [-0.25, 0.25], "angular_z": [-1.0, 1.0]}
    assert {"joints", "robot", "command"} <= set(draft.inferred)
    whole_body["action_indices"] = list(range(10, 22))
    legs = _without("joints", num_joints=22, num_actions=12, num_observations=45, **whole_body)
    draft = BerkeleyImporter().read(_source(legs, 45, 12))
    assert draft.joints is not None
    assert draft.joints[0] == "leg_left_hip_roll_joint"
    held = list(draft.keys["held"])
    assert (held[0], held[9]) == ("arm_left_shoulder_pitch_joint", "arm_right_elbow_roll_joint")
    assert draft.keys["command"]["angular_z"] == [-1.5, 1.5]


def test_a_sample_beyond_the_known_ranges_says_that_they_are_not_this_policys() -> None:
    whole_body = {"joint_kp": 20, "joint_kd": 2, "default_joint_positions": 0.0, "action_indices": list(range(12))}
    fast = _without("joints", num_joints=12, num_actions=12, num_observations=45, **whole_body)
    fast["command_velocity"] = [0.9, 0.0, 0.0]
    draft = BerkeleyImporter().read(_source(fast, 45, 12))
    assert "command" not in draft.keys
    assert "not limited" in draft.inferred["command"]


def test_an_unsaid_rate_of_the_pd_law_is_the_runners() -> None:
    draft = BerkeleyImporter().read(_source(_without("physics_dt")))
    assert draft.keys["pd_rate"] == 2000.0
    assert "0.5 ms" in draft.inferred["pd_rate"]


def test_another_network_and_a_filter_of_the_past_are_remarked() -> None:
    draft = BerkeleyImporter().read(_source({**CONFIG, "cutoff_freq": 200.0}, weights="other.onnx"))
    assert any("checkpoints/net.onnx" in note and "other.onnx" in note for note in draft.notes)
    assert any("cutoff_freq" in note for note in draft.notes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"num_observations": 17}, ("'num_observations' is 17", "15 numbers")),
        ({"action_indices": [2, 4]}, ("action_indices", "0 to 3", "found 4")),
        ({"action_indices": [2, 2]}, ("action_indices", "2 twice")),
        ({"action_indices": [2]}, ("action_indices", "2 numbers")),
        ({"joints": ["arm", "hip", "knee"]}, ("'num_joints' is 4", "3 names")),
        ({"joints": ["arm", "hip", "hip", "ankle"]}, ("joints", "'hip' twice")),
        ({"joint_kp": [10.0, 20.0]}, ("joint_kp", "4 numbers")),
        ({"joint_kd": [1.0, 2.0, -2.0, 2.0]}, ("joint_kd[2]", "at least 0")),
        ({"effort_limits": 0}, ("effort_limits", "above 0")),
        ({"policy_dt": 40}, ("policy_dt", "at most 1")),
        ({"action_limit_lower": 5}, ("action_limit_lower", "[5, 4]")),
        ({"action_scale": float("nan")}, ("action_scale", "finite")),
        ({"num_actions": "two"}, ("num_actions", "a number")),
        ({"observation_terms": ["a"]}, ("unknown key 'observation_terms'",)),
    ],
)
def test_contradictions_are_refused_in_one_line(
    changes: dict[str, Any], words: tuple[str, ...], refuses: Refuses
) -> None:
    with refuses(ConfigError, "policy_latest.yaml", *words):
        _read(**changes)


def test_other_refusals(refuses: Refuses) -> None:
    with refuses(ConfigError, "'joints' is missing", "12 and 22"):
        BerkeleyImporter().read(_source(_without("joints")))
    with refuses(ConfigError, "net.onnx", "'obs' has 45", "say 15", "velocity_commands 3", "joint_pos_rel 2"):
        BerkeleyImporter().read(_source(CONFIG, 45))
    config = Config(Path("policy.yaml"), CONFIG)
    with refuses(ConfigError, "one YAML, found 2"):
        BerkeleyImporter().read(Source(Path("net.pt"), (config, config)))


def test_it_is_recognised_by_its_keys() -> None:
    assert BerkeleyImporter().recognises(_source(CONFIG))
    assert not BerkeleyImporter().recognises(_source(_without("action_indices")))
    assert not BerkeleyImporter().recognises(Source(Path("net.pt")))


_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(min_value=10**300), st.floats(), st.text(max_size=5),
    st.lists(st.one_of(st.floats(), st.integers(-1, 5), st.text(max_size=3), st.none()), max_size=5),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


@given(key=st.sampled_from(sorted(CONFIG)), value=_VALUES, drop=st.booleans())
def test_mangled_values_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: Any, drop: bool
) -> None:
    config = copy.deepcopy(CONFIG)
    if drop:
        del config[key]
    else:
        config[key] = value
    with contextlib.suppress(HumanoidError):
        _bundle(BerkeleyImporter().read(_source(config)), tmp_path_factory.mktemp("mangled"))
