"""A signed bundle is refused when a byte of it has changed."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from humanoid_rl_ros.cli.main import app
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.policies.signature import SIGNATURE, sign

Refuses = Callable[..., AbstractContextManager[None]]
STAND = Path(__file__).parents[2] / "config" / "policies" / "stand"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of a shipped bundle."""
    shutil.copytree(STAND, tmp_path / "bundle")
    return tmp_path / "bundle"


def test_a_signed_bundle_runs_and_the_usual_tool_agrees(bundle: Path) -> None:
    pytest.importorskip("onnxruntime")
    done = CliRunner().invoke(app, ["policy", "sign", str(bundle)])
    assert done.exit_code == 0, done.output
    digest = hashlib.sha256((bundle / "policy.yaml").read_bytes()).hexdigest()
    assert f"{digest}  policy.yaml\n" in (bundle / SIGNATURE).read_text()
    load_bundle(bundle).load_network()
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--check", SIGNATURE], cwd=bundle, check=True, capture_output=True)


@pytest.mark.parametrize("change", ["kp: 1", "# only a remark\n"])
def test_an_edited_policy_yaml_is_refused(change: str, bundle: Path, refuses: Refuses) -> None:
    sign(bundle, load_bundle(bundle).files())
    with (bundle / "policy.yaml").open("a") as file:
        file.write(change)
    with refuses(ConfigError, "policy.yaml", "changed after the bundle was signed"):
        load_bundle(bundle)


def test_weights_are_refused_though_policy_yaml_names_their_new_digest(bundle: Path, refuses: Refuses) -> None:
    text = (bundle / "policy.yaml").read_text()
    old = hashlib.sha256((bundle / "policy.onnx").read_bytes()).hexdigest()
    sign(bundle, load_bundle(bundle).files())
    (bundle / "policy.onnx").write_bytes((bundle / "policy.onnx").read_bytes() + b"\x00")
    with refuses(ConfigError, "policy.onnx", "changed after the bundle was signed"):
        load_bundle(bundle).load_network()
    new = hashlib.sha256((bundle / "policy.onnx").read_bytes()).hexdigest()
    (bundle / "policy.yaml").write_text(text.replace(old, new))
    with refuses(ConfigError, "policy.yaml", "changed after the bundle was signed"):
        load_bundle(bundle)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["does not list it"]),
        ("nonsense\n", ["not a line of sha256sum"]),
        ("0" * 64 + "  policy.yaml\n", ["changed"]),
    ],
)
def test_a_list_that_says_something_else_is_refused(
    text: str, words: list[str], bundle: Path, refuses: Refuses
) -> None:
    (bundle / SIGNATURE).write_text(text)
    with refuses(ConfigError, "policy.yaml" if "line" not in words[0] else SIGNATURE, *words):
        load_bundle(bundle)


def test_a_bundle_that_does_not_load_keeps_its_old_signature(bundle: Path) -> None:
    sign(bundle, load_bundle(bundle).files())
    before = (bundle / SIGNATURE).read_text()
    (bundle / "policy.onnx").write_bytes(b"something else")
    done = CliRunner().invoke(app, ["policy", "sign", str(bundle)])
    assert done.exit_code != 0
    assert (bundle / SIGNATURE).read_text() == before


def test_the_robot_file_in_it_is_signed_too_and_what_is_no_folder_refused(bundle: Path, refuses: Refuses) -> None:
    pytest.importorskip("onnxruntime")
    (bundle / "robot.yaml").write_text("format: 1\n")
    sign(bundle, load_bundle(bundle).files())
    (bundle / "robot.yaml").write_text("format: 2\n")
    with refuses(ConfigError, "robot.yaml", "changed after the bundle was signed"):
        load_bundle(bundle).load_network()
    done = CliRunner().invoke(app, ["policy", "sign", str(bundle / "policy.yaml")])
    assert "not the folder of a bundle" in str(done.exception)


def test_show_names_every_joint_and_every_number() -> None:
    done = CliRunner().invoke(app, ["policy", "show", "walk", "--labels"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert "left_ankle_roll_joint" in done.stdout
    assert "50 Hz, PD law at 200 Hz" in done.stdout
    assert "  51  gait_phase_cos[1]" in done.stdout
