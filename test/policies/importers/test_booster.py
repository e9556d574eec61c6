"""booster_gym: the legs of the T1 by place, terms and clock by the origin's runner."""

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
from humanoid_rl_ros.policies.importers.booster import LEGS, UPPER, BoosterImporter
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.finish import draft_data
from humanoid_rl_ros.policies.importers.onnx_facts import OnnxFacts
from humanoid_rl_ros.policies.importers.source import Config, Source

Refuses = Callable[..., AbstractContextManager[None]]

# Entry i of every list tells its place.
CONFIG: dict[str, Any] = {
    "common": {
        "dt": 0.002,
        "stiffness": [100.0 + i for i in range(23)],
        "damping": [1.0 + i / 10 for i in range(23)],
        "default_qpos": [i / 100 for i in range(23)],
        "torque_limit": [200.0 + i for i in range(23)],
    },
    "policy": {
        "policy_path": "./models/net.pt",
        "num_actions": 12,
        "num_observations": 47,
        "gait_frequency": 1.25,
        "normalization": {
            "gravity": 2.0,
            "lin_vel": 3.0,
            "ang_vel": 0.5,
            "dof_pos": 4.0,
            "dof_vel": 0.1,
            "clip_actions": 1.5,
        },
        "control": {"action_scale": 0.25, "decimation": 10},
    },
    "mech": {"parallel_mech_indexes": [15, 16, 21, 22]},
    "prepare": {"stiffness": [5.0], "damping": [0.1], "default_qpos": [0.0]},
}


def _source(config: Any, facts: OnnxFacts | None = None) -> Source:
    return Source(Path("net.pt"), (Config(Path("T1.yaml"), config),), facts)


def _changed(path: str, value: Any) -> dict[str, Any]:
    config = copy.deepcopy(CONFIG)
    *above, last = path.split(".")
    place = config
    for key in above:
        place = place[key]
    place[last] = value
    return config


def _bundle(draft: Draft, folder: Path) -> PolicyBundle:
    draft.weights = folder / "net.pt"
    draft.weights.touch()
    (folder / "policy.yaml").write_text(yaml.safe_dump(draft_data(draft), sort_keys=False))
    return load_bundle(folder)


def test_the_legs_are_the_last_twelve_and_the_rest_is_held(tmp_path: Path) -> None:
    draft = BoosterImporter().read(_source(CONFIG))
    bundle = _bundle(draft, tmp_path)
    assert (len(bundle.joints), len(bundle.held)) == (12, 11)
    hip, ankle = bundle.joints["Left_Hip_Pitch"], bundle.joints["Right_Ankle_Roll"]
    assert (hip.default_position, hip.kp, hip.kd, hip.effort_limit) == (0.11, 111.0, 2.1, 211.0)
    assert (ankle.default_position, ankle.kp, ankle.kd, ankle.effort_limit) == (0.22, 122.0, 3.2, 222.0)
    head, elbow, waist = (bundle.held[name] for name in ("AAHead_yaw", "Right_Elbow_Yaw", "Waist"))
    assert (head.position, elbow.position, waist.position) == (0.0, 0.09, 0.1)
    assert (head.kp, elbow.kd, waist.effort_limit) == (100.0, 1.9, 210.0)
    assert (bundle.control_period, bundle.pd_rate, bundle.target_low_pass) == (0.02, 500.0, 0.2)
    assert bundle.command.slew_rate == (1.0, 1.0, 1.0)
    assert {
        "joints", "held", "pd_rate", "target_low_pass", "command", "observation.terms", "gait.when_standing",
    } <= set(bundle.inferred)  # fmt: skip
    assert any("Left_Ankle_Pitch, Left_Ankle_Roll, Right_Ankle_Pitch, Right_Ankle_Roll" in note for note in draft.notes)
    assert draft.missing == {}


class _Network:
    """Says 2 for every joint and keeps what it saw."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def infer(self, observation: Any) -> Any:
        self.seen.append(np.array(observation))
        return np.full(12, 2.0, dtype=np.float32)

    def infer_batch(self, observations: Any) -> Any:
        return np.stack([self.infer(observation) for observation in observations])

    def reset(self) -> None:
        self.seen.clear()


def _walk(folder: Path, commands: list[VelocityCommand]) -> tuple[list[Any], Any]:
    """What the network sees at each control step, and the last target."""
    names = UPPER + LEGS
    robot = RobotSpec("t1", tuple(JointSpec(name, -3.0, 3.0, 300.0) for name in names))
    network = _Network()
    behaviour = PolicyBehaviour(_bundle(BoosterImporter().read(_source(CONFIG)), folder), robot, network)
    position = np.arange(23) / 100 + 0.5 * np.eye(23)[11]  # the left hip's pitch is half a radian off
    for i, command in enumerate(commands):
        state = RobotState(
            i * 20_000_000, position, np.full(23, 7.0), np.array([1.0, 0, 0, 0]), np.array([0.2, 0.4, 0.6])
        )
        if i == 0:
            behaviour.enter(state)
        behaviour.update(state, command)
    assert behaviour.last_step is not None
    return network.seen, behaviour.last_step.target.position


def test_standing_and_then_walking(tmp_path: Path) -> None:
    seen, target = _walk(
        tmp_path, [VelocityCommand(), VelocityCommand(0.3, 0.0, -0.4), VelocityCommand(0.3, 0.0, -0.4)]
    )
    joints = [2.0] + [0.0] * 11 + [0.7] * 12
    still = [0, 0, -2, 0.1, 0.2, 0.3, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(seen[0], still + joints + [0.0] * 12, atol=1e-6)
    # One unit per second is 0.02 in a step, times 3 and 0.5; the clock has gone 0.02 s · 1.25 Hz of a turn.
    angle = 2 * math.pi * 0.025
    moving = [0, 0, -2, 0.1, 0.2, 0.3, 0.06, 0, -0.01, math.cos(angle), math.sin(angle)]
    np.testing.assert_allclose(seen[1], moving + joints + [1.5] * 12, atol=1e-6)
    np.testing.assert_allclose(seen[2][6:9], [0.12, 0, -0.02], atol=1e-6)
    np.testing.assert_allclose(target[:11], np.arange(11) / 100)
    np.testing.assert_allclose(target[11:], np.arange(11, 23) / 100 + 0.375, atol=1e-6)  # 0.25 · 1.5


def test_a_command_that_asks_to_stand_is_not_seen(tmp_path: Path) -> None:
    seen, _ = _walk(tmp_path, [VelocityCommand(9e-6, 0.0, -9e-6)])
    assert not seen[0][6:11].any()
    seen, _ = _walk(tmp_path, [VelocityCommand(0.0, 0.0, -2e-5)])
    assert seen[0][8] == pytest.approx(-1e-5)
    assert seen[0][9] == 1.0


def test_commands_stay_within_what_the_runner_lets_through(tmp_path: Path) -> None:
    seen, _ = _walk(tmp_path, [VelocityCommand(2.0, -2.0, 2.0)])
    np.testing.assert_allclose(seen[0][6:9], [1.5, -1.5, 0.25])  # 0.5 of each, times 3, 3 and 0.5


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("common.default_qpos", [0.0] * 22, ("default_qpos", "22 joints", "T1's 23")),
        ("common.stiffness", [1.0] * 22, ("stiffness", "23 numbers")),
        ("common.damping", [-1.0] * 23, ("damping[0]", "at least 0")),
        ("common.torque_limit", [0.0] * 23, ("torque_limit[0]", "above 0")),
        ("common.dt", 2, ("'dt'", "at most 1")),
        ("policy.num_actions", 13, ("num_actions", "12", "13")),
        ("policy.num_observations", 59, ("'num_observations' is 59", "the runner's 47", "gait_phase_cos 1")),
        ("policy.gait_frequency", 0, ("gait_frequency", "above 0")),
        ("policy.gait_frequency", float("nan"), ("gait_frequency", "finite")),
        ("policy.history", 3, ("unknown key 'history'",)),
        ("policy.normalization.clip_actions", 0.0, ("clip_actions", "above 0")),
        ("policy.normalization.height", 1.0, ("unknown key 'height'",)),
        ("policy.control.decimation", 2.5, ("decimation", "whole number")),
        ("mech.parallel_mech_indexes", [15, 23], ("parallel_mech_indexes", "0 to 22")),
    ],
)
def test_contradictions_are_refused_in_one_line(
    path: str, value: Any, words: tuple[str, ...], refuses: Refuses
) -> None:
    with refuses(ConfigError, "T1.yaml", *words):
        BoosterImporter().read(_source(_changed(path, value)))


def test_other_refusals(refuses: Refuses) -> None:
    facts = OnnxFacts({"obs": (1, 48)}, {"act": (1, 12)}, {}, (), 17)
    with refuses(ConfigError, "'obs' has 48", "say 47", "last_action 12"):
        BoosterImporter().read(_source(CONFIG, facts))
    config = Config(Path("T1.yaml"), CONFIG)
    with refuses(ConfigError, "one deploy YAML", "2 files"):
        BoosterImporter().read(Source(Path("net.pt"), (config, config)))


def test_it_is_recognised_by_its_keys() -> None:
    assert BoosterImporter().recognises(_source(CONFIG))
    assert not BoosterImporter().recognises(_source({**CONFIG, "policy": {"gait_frequency": 1}}))
    assert not BoosterImporter().recognises(_source({**CONFIG, "common": None}))
    assert not BoosterImporter().recognises(Source(Path("net.pt")))


def _paths(data: dict[str, Any], above: str = "") -> list[str]:
    paths = []
    for key, value in data.items():
        paths.append(above + key)
        if isinstance(value, dict):
            paths += _paths(value, f"{above}{key}.")
    return paths


_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(min_value=10**300), st.floats(), st.text(max_size=5),
    st.lists(st.one_of(st.floats(), st.integers(-1, 5), st.text(max_size=3), st.none()), max_size=24),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


@given(path=st.sampled_from(_paths(CONFIG)), value=_VALUES)
def test_mangled_values_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, path: str, value: Any) -> None:
    with contextlib.suppress(HumanoidError):
        _bundle(BoosterImporter().read(_source(_changed(path, value))), tmp_path_factory.mktemp("mangled"))
