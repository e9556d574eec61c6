"""`humanoid_rl onboard`: files that a robot's computer starts from, wherever it starts."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from humanoid_rl_ros.cli.main import app
from humanoid_rl_ros.core.errors import ConfigError, ContractError
from humanoid_rl_ros.resources import share_folder


def onboard(*words: str) -> str:
    done = CliRunner().invoke(app, ["onboard", *words], catch_exceptions=True)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


def test_it_writes_what_systemd_needs_with_paths_from_the_root_and_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").symlink_to(share_folder() / "config" / "policies" / "walk")
    (tmp_path / "reference").mkdir()  # no robot: robots are files
    monkeypatch.chdir(tmp_path)
    said = onboard("--robot", "reference", "--policy", "mine", "--namespace", "a/b", "--name", "left", "-o", "units")
    names = ["left-policy.service", "left-safety-monitor.service", "left.yaml"]
    assert sorted(path.name for path in (tmp_path / "units").iterdir()) == names
    policy = yaml.safe_load((tmp_path / "units" / "left.yaml").read_text())["/a/b/policy_node"]["ros__parameters"]
    assert Path(policy["policy"]).is_absolute()
    assert policy["robot"] == "reference"
    assert f"--params-file {tmp_path}/units/left.yaml" in (tmp_path / "units" / "left-policy.service").read_text()
    assert "systemctl enable --now left-safety-monitor.service left-policy.service" in said
    assert "humanoid_rl safety arm --namespace a/b" in said
    with pytest.raises(ConfigError, match="is there already"):
        onboard("--robot", "reference", "--policy", "walk", "--name", "left", "-o", "units")
    onboard("--robot", "reference", "--policy", "walk", "--name", "left", "-o", "units", "--overwrite")


def test_what_does_not_fit_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="does not fit robot"):
        onboard("--robot", "g1", "--policy", "walk", "-o", str(tmp_path / "units"))
    for wrong in (("--name", "a b"), ("--namespace", "a b"), ("--profile", "nothing.yaml")):
        with pytest.raises(ConfigError):
            onboard("--robot", "reference", "--policy", "walk", "-o", str(tmp_path / "units"), *wrong)
    assert not (tmp_path / "units").exists()
