"""`humanoid_rl policy import`: from a file that somebody published to a bundle that fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from small_network import save_linear
from typer.testing import CliRunner

from humanoid_rl_ros.cli.main import app
from humanoid_rl_ros.cli.policy_import import ImportOptions, run_import
from humanoid_rl_ros.core.errors import PolicyError
from humanoid_rl_ros.core.robot import RobotSpec, dump_robot
from humanoid_rl_ros.policies.bundle_file import load_bundle

RUNNER = CliRunner()


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """17 numbers to 2, all zero."""
    return save_linear(tmp_path / "unknown.onnx", np.zeros((17, 2)))


ANSWERS = {
    "joints": "knee hip",
    "joints.default": "robot",
    "joints.kp": "20 40",
    "joints.kd": "robot",
    "observation.joints": "[ankle, hip, knee]",
    "observation.default": "{ankle: -0.2}",
    "observation.terms": "base_ang_vel*0.25 projected_gravity velocity_commands joint_pos_rel joint_vel_rel*0.05 "
    "last_action",
    "action.scale": "0.5",
    "control_period": "0.02",
    "pd_rate": "500",
    "hold_remaining": "true",
}


def _invoke(*arguments: object) -> Any:
    return RUNNER.invoke(app, ["policy", "import", *map(str, arguments)], catch_exceptions=True)


def test_an_unknown_network_becomes_a_template_and_with_answers_a_bundle(
    network: Path, tmp_path: Path, robot: RobotSpec
) -> None:
    (tmp_path / "robot.yaml").write_text(dump_robot(robot))
    out = tmp_path / "bundle"
    asked = _invoke(network, "-o", out, "--no-input")
    assert asked.exit_code == 1
    assert "missing observation.terms" in asked.stdout
    assert "17 numbers" in asked.stdout
    assert "???" in (out / "policy.yaml").read_text()
    settings = [word for key, value in ANSWERS.items() for word in ("--set", f"{key}={value}")]
    done = _invoke(network, "-o", out, "--robot", tmp_path / "robot.yaml", "--name", "mine", *settings)
    assert done.exit_code == 0, done.output
    bundle = load_bundle(out)
    assert (bundle.name, tuple(bundle.joints), bundle.joints["hip"].default_position) == ("mine", ("knee", "hip"), -0.1)
    assert bundle.inferred["joints.kd"].startswith("the robot's own")
    assert "humanoid_rl policy check" in done.stdout


def test_a_person_is_asked_and_may_be_wrong_once(
    network: Path, tmp_path: Path, robot: RobotSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    (tmp_path / "robot.yaml").write_text(dump_robot(robot))
    asked: list[str] = []
    answers = {**ANSWERS}
    console = Console(record=True, width=200)

    def note(key: str) -> str:
        asked.append(key)
        return ""

    def reply(*_: Any, **__: Any) -> str:
        wrong = asked[-1] == "control_period" and asked.count("control_period") == 1
        return "soon" if wrong else answers[asked[-1]]

    monkeypatch.setattr("humanoid_rl_ros.cli.policy_import.form_of", note)
    monkeypatch.setattr("humanoid_rl_ros.cli.policy_import.Prompt.ask", reply)
    options = ImportOptions(
        weights=network,
        configs=(),
        out=tmp_path / "bundle",
        robot=str(tmp_path / "robot.yaml"),
        settings=[f"{key}={ANSWERS[key]}" for key in ("observation.joints", "observation.default", "hold_remaining")],
        ask=True,
    )
    assert run_import(options, console)
    assert asked.count("control_period") == 2
    assert load_bundle(tmp_path / "bundle").control_period == 0.02


def test_too_few_names_are_refused_at_once_and_answers_are_not_lost(
    network: Path, tmp_path: Path, robot: RobotSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rich.console import Console

    asked: list[str] = []
    replies = {**ANSWERS, "observation.terms": "base_ang_vel"}

    def reply(*_: Any, **__: Any) -> str:
        wrong = asked[-1] == "joints" and asked.count("joints") == 1
        return "knee" if wrong else replies[asked[-1]]

    def note(key: str) -> str:
        asked.append(key)
        return ""

    (tmp_path / "robot.yaml").write_text(dump_robot(robot))
    monkeypatch.setattr("humanoid_rl_ros.cli.policy_import.form_of", note)
    monkeypatch.setattr("humanoid_rl_ros.cli.policy_import.Prompt.ask", reply)
    console = Console(record=True, width=500)
    options = ImportOptions(
        weights=network, configs=(), out=tmp_path / "bundle", robot=str(tmp_path / "robot.yaml"), ask=True
    )
    with pytest.raises(PolicyError, match="takes 17 numbers"):
        run_import(options, console)
    text = console.export_text()
    assert "1 names, but the network drives 2 joints" in text
    assert "--set 'joints=knee hip'" in text
    assert not (tmp_path / "bundle").exists()


def test_an_answer_may_raise_a_question(tmp_path: Path, robot: RobotSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    asked: list[str] = []
    replies = {
        **ANSWERS,
        "observation.terms": f"{ANSWERS['observation.terms']} gait_phase_sin gait_phase_cos base_lin_vel",
        "gait": "{period: 0.8}",
        "base_velocity": "estimator",
    }

    def note(key: str) -> str:
        asked.append(key)
        return ""

    (tmp_path / "robot.yaml").write_text(dump_robot(robot))
    monkeypatch.setattr("humanoid_rl_ros.cli.policy_import.form_of", note)
    monkeypatch.setattr("humanoid_rl_ros.cli.policy_import.Prompt.ask", lambda *_, **__: replies[asked[-1]])
    options = ImportOptions(
        weights=save_linear(tmp_path / "wide.onnx", np.zeros((22, 2))),
        configs=(),
        out=tmp_path / "bundle",
        robot=str(tmp_path / "robot.yaml"),
        settings=[f"{key}={ANSWERS[key]}" for key in ("observation.joints", "observation.default", "hold_remaining")],
        ask=True,
    )
    assert run_import(options, Console(record=True, width=200))
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.gait is not None
    assert (bundle.gait.frequency, bundle.base_velocity) == (1.25, "estimator")


def test_what_is_no_weights_by_its_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "facts.yaml").write_text("pd_rate: 500\n")
    done = _invoke(tmp_path / "facts.yaml", "-o", tmp_path / "bundle")
    assert "--config" in str(done.exception)
    assert not (tmp_path / "bundle").exists()


def test_a_partial_policy_yaml_is_a_configuration(network: Path, tmp_path: Path, bundle_data: dict[str, Any]) -> None:
    bundle_data["weights"] = {}
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(bundle_data, sort_keys=False))
    done = _invoke(network, "--config", tmp_path / "mine.yaml", "-o", tmp_path / "bundle")
    assert done.exit_code == 0, done.output
    assert load_bundle(tmp_path / "bundle").held["arm"].effort_limit == 4.0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--set", "pd_rate"], "KEY=VALUE"),
        (["--set", "pd_rate=quick"], "pd_rate"),
        (["--format", "holo"], "no format 'holo'"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
        (["--robot", "nobody"], "nobody"),
    ],
)
def test_a_wrong_word_is_one_line_and_nothing_is_written(
    arguments: list[str], words: str, network: Path, tmp_path: Path
) -> None:
    done = _invoke(network, "-o", tmp_path / "bundle", *arguments)
    assert done.exit_code != 0
    assert words in str(done.exception)
    assert len(str(done.exception).splitlines()) == 1
    assert not (tmp_path / "bundle").exists()


# Checkpoints.


@pytest.fixture
def ppo(tmp_path: Path) -> Path:
    """A Stable-Baselines3 PPO of 17 numbers and 2 actions that always wants (3, −3), within ±1."""
    pytest.importorskip("torch", reason="torch reads the weights")
    from foreign_files import box, sb3_data, sb3_zip, unbounded

    layers = {"mlp_extractor.policy_net.0": (4, 17), "action_net": (2, 4), "value_net": (1, 4)}
    weights: dict[str, Any] = {
        f"{name}.{part}": np.zeros(shape if part == "weight" else shape[0], np.float32)
        for name, shape in layers.items()
        for part in ("weight", "bias")
    }
    weights["action_net.bias"] = np.array([3.0, -3.0], np.float32)
    weights["log_std"] = np.zeros(2, np.float32)
    space = box(np.full(2, -1.0, np.float32), np.full(2, 1.0, np.float32))
    data = sb3_data("common.policies.ActorCriticPolicy", unbounded(17), space)
    return sb3_zip(tmp_path / "model.zip", data, weights)


def test_a_checkpoint_becomes_a_bundle_only_with_trust(ppo: Path, tmp_path: Path, bundle_data: dict[str, Any]) -> None:
    bundle_data["weights"] = {}
    (tmp_path / "facts.yaml").write_text(yaml.safe_dump(bundle_data, sort_keys=False))
    arguments = [ppo, "--config", tmp_path / "facts.yaml", "-o", tmp_path / "bundle"]
    refused = _invoke(*arguments)
    assert "--trust" in str(refused.exception)
    assert not (tmp_path / "bundle").exists()
    done = _invoke(*arguments, "--trust")
    assert done.exit_code == 0, f"{done.output}{done.exception}"
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.weights.path.suffix == ".onnx"
    assert (bundle.action.clip_lower, bundle.action.clip_upper) == ((-1.0, -1.0), (1.0, 1.0))
    action = bundle.load_network().infer(np.zeros(17, dtype=np.float32))
    assert np.clip(action, bundle.action.clip_lower, bundle.action.clip_upper).tolist() == [1.0, -1.0]


def test_a_file_s_own_clip_is_kept(ppo: Path, tmp_path: Path, bundle_data: dict[str, Any]) -> None:
    bundle_data |= {"weights": {}, "action": {"kind": "position_offset", "scale": 0.5, "clip": 0.5}}
    (tmp_path / "facts.yaml").write_text(yaml.safe_dump(bundle_data, sort_keys=False))
    done = _invoke(ppo, "--trust", "--config", tmp_path / "facts.yaml", "-o", tmp_path / "bundle")
    assert done.exit_code == 0, f"{done.output}{done.exception}"
    assert load_bundle(tmp_path / "bundle").action.clip_upper == (0.5, 0.5)


def test_weights_in_the_place_of_a_bundle_are_told_from_one(network: Path) -> None:
    for command in (["policy", "show"], ["policy", "check"]):
        done = RUNNER.invoke(app, [*command, str(network)])
        assert "humanoid_rl policy import" in str(done.exception)
