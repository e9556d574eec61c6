"""rl_sar: joints by the mapping, terms as they are listed, histories by the ages; older layouts and motions refused."""

from __future__ import annotations

import contextlib
import copy
import math
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
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.finish import draft_data
from humanoid_rl_ros.policies.importers.onnx_facts import OnnxFacts
from humanoid_rl_ros.policies.importers.rl_sar import RlSarImporter
from humanoid_rl_ros.policies.importers.source import Config, Source, open_source

Refuses = Callable[..., AbstractContextManager[None]]

# The robot lists its waist last, the base file's own vectors list it second.
BASE: dict[str, Any] = {
    "dt": 0.005,
    "decimation": 4,
    "joint_names": ["l_hip", "l_knee", "r_hip", "r_knee", "waist"],
    "joint_controller_names": ["l_hip_c", "l_knee_c", "r_hip_c", "r_knee_c", "waist_c"],
    "num_of_dofs": 5,
    "wheel_indices": [],
    "joint_mapping": [0, 4, 1, 2, 3],
    "default_dof_pos": [-0.1, 0.07, 0.2, -0.1, 0.2],
    "fixed_kp": [100.0, 300.0, 150.0, 100.0, 150.0],
    "fixed_kd": [2.0, 3.0, 4.0, 2.0, 4.0],
    "torque_limits": [300.0, 300.0, 300.0, 300.0, 300.0],
}
CONFIG: dict[str, Any] = {
    "model_name": "net.onnx",
    "num_observations": 21,
    "observations": ["ang_vel", "gravity_vec", "commands", "dof_pos", "dof_vel", "actions"],
    "observations_history": [],
    "observations_history_priority": "time",
    "clip_obs": 100.0,
    "clip_actions_lower": [-1.0, -2.0, -3.0, -4.0],
    "clip_actions_upper": [1.5, 2.0, 3.0, 4.0],
    "rl_kp": [80.0, 81.0, 90.0, 91.0],
    "rl_kd": [2.0, 2.1, 3.0, 3.1],
    "fixed_kp": [1.0, 1.0, 1.0, 1.0],
    "fixed_kd": [1.0, 1.0, 1.0, 1.0],
    "num_of_dofs": 4,
    "action_scale": [0.25, 0.3, 0.5, 0.6],
    "wheel_indices": [],
    "lin_vel_scale": 2.0,
    "ang_vel_scale": 0.25,
    "dof_pos_scale": 1.0,
    "dof_vel_scale": 0.05,
    "commands_scale": [2.0, 2.0, 0.25],
    "torque_limits": [20, 20, 20, 20],
    "default_dof_pos": [-0.3, -0.31, 0.6, 0.61],
    "joint_mapping": [0, 2, 1, 3],
}


def _source(base: Any = BASE, config: Any = CONFIG, width: int | None = None, outputs: int = 4) -> Source:
    facts = None
    if width is not None:
        facts = OnnxFacts({"obs": (1, width)}, {"actions": (1, outputs)}, {}, (), 17)
    files = (Config(Path("base.yaml"), {"robo": base}), Config(Path("config.yaml"), {"robo/walk": config}))
    return Source(Path("net.onnx"), files, facts)


def _read(**changes: Any) -> Draft:
    return RlSarImporter().read(_source(config={**CONFIG, **changes}))


def _bundle(draft: Draft, folder: Path) -> PolicyBundle:
    draft.weights = folder / "net.onnx"
    draft.weights.touch()
    (folder / "policy.yaml").write_text(yaml.safe_dump(draft_data(draft), sort_keys=False))
    return load_bundle(folder)


def test_joints_rates_and_gains_follow_the_mapping_and_the_policys_file_wins(tmp_path: Path) -> None:
    draft = RlSarImporter().read(_source(width=21))
    bundle = _bundle(draft, tmp_path)
    assert {name: (j.default_position, j.kp, j.kd, j.effort_limit) for name, j in bundle.joints.items()} == {
        "l_hip": (-0.3, 80.0, 2.0, math.inf),
        "r_hip": (-0.31, 81.0, 2.1, math.inf),
        "l_knee": (0.6, 90.0, 3.0, math.inf),
        "r_knee": (0.61, 91.0, 3.1, math.inf),
    }
    assert list(bundle.joints) == ["l_hip", "r_hip", "l_knee", "r_knee"]
    assert {name: (j.position, j.kp, j.kd) for name, j in bundle.held.items()} == {"waist": (0.07, 300.0, 3.0)}
    assert (bundle.control_period, bundle.pd_rate) == (0.02, 200.0)
    assert (bundle.name, bundle.robot) == ("robo_walk", "robo")
    assert (bundle.weights.input_name, bundle.weights.output_name) == ("obs", "actions")
    assert bundle.action.clip_lower == (-1.0, -2.0, -3.0, -4.0)
    assert bundle.action.clip_upper == (1.5, 2.0, 3.0, 4.0)
    assert bundle.action.scale == (0.25, 0.3, 0.5, 0.6)
    assert set(bundle.inferred) == {"held", "command", "imu", "joints.effort"}
    assert draft.missing == {}


class _Network:
    """Says 2, 2, −5, 1 and keeps what it saw."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def infer(self, observation: Any) -> Any:
        self.seen.append(np.array(observation))
        return np.array([2.0, 2.0, -5.0, 1.0], dtype=np.float32)

    def infer_batch(self, observations: Any) -> Any:
        return np.stack([self.infer(observation) for observation in observations])

    def reset(self) -> None:
        self.seen.clear()


def test_two_steps_see_and_want_what_the_format_says(tmp_path: Path) -> None:
    draft = _read(observations_history=[1, 0], observations_history_priority="term")
    robot = RobotSpec("robo", tuple(JointSpec(name, -3.0, 3.0, 100.0) for name in BASE["joint_names"]))
    network = _Network()
    behaviour = PolicyBehaviour(_bundle(draft, tmp_path), robot, network)
    q = np.array([-0.2, 0.7, -0.31, 0.61, 0.0])  # of the robot: left leg 0.1 rad off
    state = RobotState(0, q, np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([1.0, 0, 0, 0]), np.array([0.4, 0.8, 1.2]))
    behaviour.enter(state)
    behaviour.update(state, VelocityCommand(0.5, 0.1, 2.0))
    step = behaviour.last_step
    assert step is not None
    # Pose + scale · clipped action: −0.3 + 0.25 · 1.5, −0.31 + 0.3 · 2, 0.6 − 0.5 · 3, 0.61 + 0.6 · 1.
    np.testing.assert_allclose(step.target.position, [0.075, -0.9, 0.29, 1.21, 0.07], atol=1e-6)
    now = ([0.1, 0.2, 0.3], [0, 0, -1], [1.0, 0.2, 0.5], [0.1, 0, 0.1, 0], [0.05, 0.15, 0.1, 0.2], [0] * 4)
    expected = np.concatenate([[0.0] * len(part) + list(part) for part in now])
    np.testing.assert_allclose(network.seen[0], expected, atol=1e-6)
    later = RobotState(20_000_000, q, np.zeros(5), state.orientation, state.angular_velocity)
    behaviour.update(later, VelocityCommand(0.5, 0.1, 2.0))
    np.testing.assert_allclose(network.seen[1][-8:], [0, 0, 0, 0, 1.5, 2.0, -3.0, 1.0], atol=1e-6)
    np.testing.assert_allclose(network.seen[1][26:34], [0.05, 0.15, 0.1, 0.2, 0, 0, 0, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("ages", "priority", "expected"),
    [
        ([0, 1, 2], "time", {"layout": "time_major", "order": "newest_first", "length": 3}),
        ([2, 1, 0], "time", {"layout": "time_major", "order": "oldest_first", "length": 3}),
        ([0, 1], "term", {"layout": "term_major", "order": "newest_first", "length": 2}),
        ([0, 1], None, {"layout": "time_major", "order": "newest_first", "length": 2}),
    ],
)
def test_histories_by_the_ages_of_their_frames(ages: list[int], priority: str | None, expected: Any) -> None:
    draft = _read(observations_history=ages, observations_history_priority=priority)
    assert draft.keys["observation"]["history"] == {**expected, "first_fill": "zeros"}
    assert ("observation.history.layout" in draft.inferred) == (priority is None)


@pytest.mark.parametrize("ages", [[], [0], None])
def test_this_frame_alone_is_no_history(ages: Any) -> None:
    assert "history" not in _read(observations_history=ages).keys["observation"]


@pytest.mark.parametrize("ages", [[0, 2, 4], [1, 2], [0, 1, 1], [0.5, 1.5], [-1, 0]])
def test_a_history_with_gaps_is_refused(ages: list[float], refuses: Refuses) -> None:
    with refuses(ConfigError, "config.yaml", "observations_history", "without gaps"):
        _read(observations_history=ages)


def test_both_files_are_needed_of_one_robot_and_in_any_order(refuses: Refuses) -> None:
    base, config = _source().configs
    assert RlSarImporter().read(Source(Path("n.pt"), (config, base))).joints == ("l_hip", "r_hip", "l_knee", "r_knee")
    for configs in ((base,), (config,), (base, config, config)):
        assert RlSarImporter().recognises(Source(Path("n.pt"), configs))
        with refuses(ConfigError, "base.yaml and one policy's config.yaml"):
            RlSarImporter().read(Source(Path("n.pt"), configs))
    with refuses(ConfigError, "'robo/walk'", "robot 'other'"):
        RlSarImporter().read(Source(Path("n.pt"), (Config(Path("base.yaml"), {"other": BASE}), config)))
    with refuses(ConfigError, "notes.yaml", "no base.yaml or config.yaml"):
        RlSarImporter().read(Source(Path("n.pt"), (base, config, Config(Path("notes.yaml"), {"a": 1}))))


def test_sizes_must_agree_with_the_network(refuses: Refuses) -> None:
    with refuses(ConfigError, "net.onnx", "'obs' has 47", "say 21", "dof_vel 4", "gravity_vec 3"):
        RlSarImporter().read(_source(width=47))
    with refuses(ConfigError, "say 63: 3 x (ang_vel 3"):
        RlSarImporter().read(_source(config={**CONFIG, "observations_history": [0, 1, 2]}, width=21))
    with refuses(ConfigError, "'actions' has 12", "say 4"):
        RlSarImporter().read(_source(width=21, outputs=12))
    with refuses(ConfigError, "'num_observations' is 22", "have 21 numbers"):
        _read(num_observations=22)
    # The runner does not read it: where the network itself speaks, it is only remarked.
    draft = RlSarImporter().read(_source(config={**CONFIG, "num_observations": 22}, width=21))
    assert any("'num_observations' is 22" in note for note in draft.notes)


def test_a_phase_of_08_seconds_begins_one_period_in() -> None:
    names = [*CONFIG["observations"], "g1_phase"]
    draft = _read(observations=names, num_observations=23)
    assert [term["term"] for term in draft.keys["observation"]["terms"][-2:]] == ["gait_phase_sin", "gait_phase_cos"]
    assert draft.keys["gait"]["period"] == 0.8
    assert draft.keys["gait"]["phases"] == pytest.approx([2 * math.pi / 40])  # 0.02 s of 0.8 s
    assert "gait" in draft.inferred


def test_a_velocity_of_the_base_that_no_runner_has_is_zeros_and_marked() -> None:
    draft = _read(observations=["lin_vel", *CONFIG["observations"]], num_observations=24)
    assert draft.keys["observation"]["terms"][0] == {"term": "constant", "value": [0.0, 0.0, 0.0]}
    assert "zeros" in draft.inferred["observation.terms"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"wheel_indices": [2, 3]}, ("wheel_indices", "[2, 3]")),
        ({"motion_file": "dance.csv"}, ("motion_file", "recorded motion", "velocity command")),
        ({"observations": ["ang_vel", "RoboMimic_Deploy/phase"]}, ("recorded motion", "RoboMimic_Deploy/phase")),
        ({"observations": ["whole_body_tracking/motion_command"]}, ("recorded motion", "motion_command")),
        ({"observations": ["ang_vel", "phase"]}, ("'phase'", "three frequencies")),
        ({"observations": ["ang_vel", "dof_poss"]}, ("'dof_poss'", "did you mean 'dof_pos'?")),
        ({"base_frequency": 2.0}, ("unknown key 'base_frequency'",)),
        ({"joint_mapping": [0, 2, 1]}, ("joint_mapping", "4 numbers")),
        ({"joint_mapping": [0, 2, 1, 5]}, ("joint_mapping", "0 to 4", "found 5")),
        ({"joint_mapping": [0, 2, 1, 1]}, ("joint_mapping", "1 twice")),
        ({"rl_kp": [80.0, 81.0, 90.0]}, ("rl_kp", "4 numbers")),
        ({"rl_kd": [2.0, 2.1, -3.0, 3.1]}, ("rl_kd[2]", "at least 0")),
        ({"action_scale": None}, ("action_scale", "a list of numbers")),
        ({"default_dof_pos": [0.0, float("nan"), 0.0, 0.0]}, ("default_dof_pos[1]", "finite")),
        ({"clip_obs": 0.0}, ("clip_obs", "above 0")),
        ({"clip_actions_lower": [-1.0, 2.0, -3.0, -4.0]}, ("clip_actions", "'r_hip'", "[2, 2]")),
        ({"joint_names": ["r_hip", "l_hip"]}, ("joint_names", "base.yaml")),
    ],
)
def test_what_no_bundle_can_say_is_refused_in_one_line(
    changes: dict[str, Any], words: tuple[str, ...], refuses: Refuses
) -> None:
    with refuses(ConfigError, "config.yaml", *words):
        _read(**changes)


@pytest.mark.parametrize("bounds", [([], [1.0, 2.0, 3.0, 4.0]), (None, None), ([-1.0, -2.0, -3.0, -4.0], [])])
def test_one_empty_list_of_bounds_is_no_clip(bounds: tuple[Any, Any]) -> None:
    assert "clip" not in _read(clip_actions_lower=bounds[0], clip_actions_upper=bounds[1]).keys["action"]


def test_a_joint_that_nothing_holds_is_refused(refuses: Refuses) -> None:
    short = {key: value[:4] if isinstance(value, list) else value for key, value in BASE.items() if key != "dt"}
    base = {**short, "dt": 0.005, "num_of_dofs": 4, "joint_names": BASE["joint_names"], "joint_mapping": [0, 1, 2, 3]}
    with refuses(ConfigError, "base.yaml", "'waist'", "neither driven nor held"):
        RlSarImporter().read(_source(base=base))


_OLD = {key: value for key, value in CONFIG.items() if key != "joint_mapping"} | {"dt": 0.005, "decimation": 4}


@pytest.mark.parametrize(
    ("data", "version"),
    [
        ({"robo/walk": {**_OLD, "framework": "isaacgym", "state_mapping": [0, 1, 2, 3]}}, "2.3 to 2.5"),
        ({"robo_isaacsim": {**_OLD, "framework": "isaacsim", "rows": 2, "cols": 2, "action_scale": 1.0}}, "2.0 to 2.2"),
        ({"a1": {"num_of_dofs": 12, "rl_kp": [1.0]}, "robo": {"num_of_dofs": 4, "rl_kp": [1.0]}}, "1.0 to 1.2"),
        ({"robo": {"num_of_dofs": 4, "p_gains": [1.0]}}, "1.0 to 1.2"),
    ],
)
def test_older_layouts_are_named_with_what_to_convert(data: Any, version: str, refuses: Refuses) -> None:
    source = Source(Path("net.pt"), (Config(Path("config.yaml"), data),))
    assert RlSarImporter().recognises(source)
    with refuses(ConfigError, "config.yaml", f"rl_sar {version}", "convert", "base.yaml with dt"):
        RlSarImporter().read(source)


def test_read_from_disk_as_it_is_published(tmp_path: Path) -> None:
    """Flow lists over several lines, comments, whole numbers for floats."""
    (tmp_path / "net.pt").touch()
    (tmp_path / "base.yaml").write_text(
        "robo:\n  dt: 0.001\n  decimation: 20\n  num_of_dofs: 2\n  joint_names: [a,\n                b]\n"
        "  fixed_kp: [1, 1]\n  fixed_kd: [1, 1]\n  default_dof_pos: [0, 0]\n  joint_mapping: [0, 1]\n"
    )
    (tmp_path / "config.yaml").write_text(
        "robo/legs:\n  model_name: other.pt\n  observations: [dof_pos, actions]  # in this order\n"
        "  observations_history: []\n  clip_obs: 100\n  clip_actions_lower: [-1]\n  clip_actions_upper: [1]\n"
        "  rl_kp: [10,     20]\n  rl_kd: [1, 2]\n  action_scale: [1, 1]\n  dof_pos_scale: 1\n"
        "  default_dof_pos: [0.1, 0.2]\n"
    )
    source = open_source(tmp_path / "net.pt", (tmp_path / "base.yaml", tmp_path / "config.yaml"))
    assert RlSarImporter().recognises(source)
    draft = RlSarImporter().read(source)
    assert draft.columns["kp"] == (10.0, 20.0)
    assert (draft.keys["control_period"], draft.keys["pd_rate"]) == (0.02, 1000.0)
    assert draft.keys["action"] == {
        "kind": "position_offset",
        "scale": 1.0,
        "clip": {"lower": -1.0, "upper": 1.0},
        "last_action": "clipped",
    }
    assert any("other.pt" in note for note in draft.notes)


_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(min_value=10**300), st.floats(), st.text(max_size=5),
    st.lists(st.one_of(st.floats(), st.integers(-1, 5), st.text(max_size=3), st.none()), max_size=5),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


@given(file=st.sampled_from(["base", "config"]), data=st.data(), value=_VALUES, drop=st.booleans())
def test_mangled_values_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, file: str, data: Any, value: Any, drop: bool
) -> None:
    files = {"base": copy.deepcopy(BASE), "config": copy.deepcopy(CONFIG)}
    key = data.draw(st.sampled_from(sorted(files[file])))
    if drop:
        del files[file][key]
    else:
        files[file][key] = value
    with contextlib.suppress(HumanoidError):
        _bundle(RlSarImporter().read(_source(**files, width=21)), tmp_path_factory.mktemp("mangled"))
