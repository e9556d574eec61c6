"""Team bundles: what is written is read back, and what is wrong is refused by name."""

from pathlib import Path

import pytest
import yaml

from humanoid_rl_ros.core.command import CommandSpec
from humanoid_rl_ros.core.errors import ConfigError, PolicyError
from humanoid_rl_ros.policies.team_bundle import TeamBundle, dump_team, load_team

RANGES = CommandSpec((-0.6, 1.0), (-0.4, 0.4), (-1.0, 1.0))
SLOW = CommandSpec((-0.3, 0.8), (-0.2, 0.2), (-0.4, 0.4))


def bundle(folder: Path) -> TeamBundle:
    """One without weights."""
    return TeamBundle(
        name="formation", robot="reference_humanoid", walk="walk", weights=folder / "policy.onnx", sha256="ab" * 32,
        period=0.2, averaging=0.5, action_scale=(0.4, 0.3, 0.6), command=RANGES, team_command=SLOW, robots=3,
        shapes=("line", "wedge"), spacing=(0.9, 1.3), folder=folder,
    )  # fmt: skip


def written(folder: Path, **changed: object) -> Path:
    """Its file, with some keys set otherwise; None takes one away."""
    data = yaml.safe_load(dump_team(bundle(folder)))
    for key, value in changed.items():
        data.pop(key) if value is None else data.update({key: value})
    file = folder / "team.yaml"
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    return file


def test_what_is_written_is_read_back(tmp_path):
    (tmp_path / "team.yaml").write_text(dump_team(bundle(tmp_path), comment="one\ntwo"), encoding="utf-8")
    assert load_team(tmp_path) == bundle(tmp_path)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"format": 2}, "format 2"),
        ({"periods": 0.2}, "unknown key 'periods'"),
        ({"period": None}, "'period' is missing"),
        ({"period": 0.0}, "above 0"),
        ({"observation": ["own_velocity"]}, "'observation' must be own_velocity, slot_error"),
        ({"action_scale": [0.1, -0.1, 0.1]}, "at least 0"),
        ({"action_scale": [0.1]}, "3 numbers"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, changed, said):
    with pytest.raises(ConfigError, match=said):
        load_team(written(tmp_path, **changed))


def test_a_shape_that_is_none_is_refused(tmp_path):
    file = written(tmp_path)
    file.write_text(file.read_text(encoding="utf-8").replace("wedge", "triangle"), encoding="utf-8")
    with pytest.raises(ConfigError, match="'triangle'"):
        load_team(file)


def test_weights_that_are_missing_or_others_are_refused(tmp_path):
    found = load_team(written(tmp_path))
    with pytest.raises(PolicyError, match="no such file"):
        found.load_network()
    (tmp_path / "policy.onnx").write_bytes(b"something else")
    with pytest.raises(PolicyError, match="damaged or of another team"):
        found.load_network()
