"""What the tests share: a moderate hypothesis profile, a small robot and a small bundle."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import settings

from humanoid_rl_ros.core.errors import HumanoidError
from humanoid_rl_ros.core.robot import JointSpec, RobotSpec

# A console takes the width that is set where it is made: none, so that each test may set its own.
os.environ.pop("COLUMNS", None)
with suppress(ImportError):
    import humanoid_rl_ros.cli.terminal  # noqa: F401

# Two busy cores make single examples slow without meaning anything.
settings.register_profile("moderate", max_examples=60, deadline=None)
settings.load_profile("moderate")

# The network's order of the driven joints differs from the robot's on purpose.
_BUNDLE: dict[str, Any] = {
    "format": 1,
    "name": "small",
    "robot": "biped",
    "weights": {"file": "policy.onnx"},
    "control_period": 0.02,
    "pd_rate": 500,
    "joints": {
        "knee": {"default": 0.3, "kp": 20, "kd": 1, "effort": 30},
        "hip": {"default": -0.1, "kp": 40, "kd": 2, "effort": 50},
    },
    "held": {
        "ankle": {"position": -0.2, "kp": 10, "kd": 0.5},
        "arm": {"position": 0.0, "kp": 5, "kd": 0.25, "effort": 4},
    },
    "observation": {
        "joints": ["ankle", "hip", "knee"],
        "default": {"ankle": -0.2},
        "terms": [
            {"term": "base_ang_vel", "scale": 0.25},
            {"term": "projected_gravity"},
            {"term": "velocity_commands"},
            {"term": "joint_pos_rel"},
            {"term": "joint_vel_rel", "scale": 0.05},
            {"term": "last_action"},
        ],
    },
    "action": {"kind": "position_offset", "scale": 0.5},
}

Refuses = Callable[..., AbstractContextManager[None]]
WriteYaml = Callable[[object], Path]


@pytest.fixture(scope="session", autouse=True)
def _ros_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Logs and safety records of the nodes under test stay out of the user's."""
    before = os.environ.get("ROS_HOME")
    os.environ["ROS_HOME"] = str(tmp_path_factory.mktemp("ros_home"))
    yield
    if before is None:
        del os.environ["ROS_HOME"]
    else:
        os.environ["ROS_HOME"] = before


@pytest.fixture(scope="session")
def refuses() -> Refuses:
    """``with refuses(ErrorClass, "word", ...)``: exactly that error, one line, holding every word."""

    @contextmanager
    def check(error: type[HumanoidError], *words: str) -> Iterator[None]:
        with pytest.raises(error) as caught:
            yield
        text = str(caught.value)
        assert type(caught.value) is error
        assert len(text.splitlines()) == 1, text
        assert all(word in text for word in words), f"{words} not all in: {text}"

    return check


@pytest.fixture
def robot() -> RobotSpec:
    """Four joints: hip, knee, ankle, arm."""
    return RobotSpec(
        "biped",
        (
            JointSpec("hip", -1.5, 1.5, 60.0, 20.0, -0.1, 40.0, 2.0),
            JointSpec("knee", -0.1, 2.0, 40.0, 20.0, 0.3, 20.0, 1.0),
            JointSpec("ankle", -0.8, 0.8, 15.0, 20.0, -0.2, 10.0, 0.5),
            JointSpec("arm", -2.0, 2.0, 8.0, 20.0, 0.0, 5.0, 0.25),
        ),
    )


@pytest.fixture
def bundle_data() -> dict[str, Any]:
    """The small bundle as a mapping to change: 2 driven, 2 held, 3 observed joints; 17 numbers observed."""
    return copy.deepcopy(_BUNDLE)


@pytest.fixture
def write_bundle(tmp_path: Path) -> WriteYaml:
    """Write a mapping as ``policy.yaml``; gives the file."""

    def write(data: object) -> Path:
        file = tmp_path / "policy.yaml"
        file.write_text(yaml.safe_dump(data, sort_keys=False))
        return file

    return write


@pytest.fixture
def one_thread() -> Iterator[None]:
    """torch computes in one thread: what is small is done sooner so."""
    import torch  # without which the tests that ask for it are skipped

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Any]:
    """A `ros_graph.Graph` on a domain that nobody else uses."""
    from ros_graph import open_graph  # needs rclpy, without which the tests that ask for it are skipped

    with open_graph(tmp_path) as graph:
        yield graph
