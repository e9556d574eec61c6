"""What a node was made of: written, read back, and refused where it is something else."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from humanoid_rl_ros.control.policy_control import PolicySettings
from humanoid_rl_ros.control.safety_control import SafetySettings
from humanoid_rl_ros.control.setup import NodeSetup, PolicySource, read_setup
from humanoid_rl_ros.core.errors import BagError
from humanoid_rl_ros.safety.limits import SafetyLimits

SOURCE = PolicySource("walk", "my walk", "/bundles/walk", 0.5, "format: 1\n", {"policy.onnx": "ab"})


def _setup(**changes: Any) -> NodeSetup:
    made = {
        "node": "/policy_node",
        "software": {"numpy": "2.0"},
        "parameters": {"policy": "walk", "velocity_command": [0.1, 0.2, 0.3]},
        "robot_name": "two",
        "robot_yaml": "format: 1\n",
        "settings": asdict(PolicySettings(lockstep=True, velocity_command=(0.1, 0.2, 0.3))),
        "policies": (SOURCE,),
    }
    return NodeSetup(**{**made, **changes})


def test_it_is_read_back_as_it_was() -> None:
    setup = _setup()
    read = read_setup(setup.as_text())
    assert read.policies == (SOURCE,)
    assert read.policy_settings() == PolicySettings(lockstep=True, velocity_command=(0.1, 0.2, 0.3))
    assert (read.node, read.robot_name, read.robot_yaml) == ("/policy_node", "two", "format: 1\n")
    assert (read.software, read.parameters) == (setup.software, setup.parameters)


def test_limits_and_settings_of_a_monitor_are_read_back_exactly() -> None:
    limits = SafetyLimits(tilt_limit=0.1 + 0.2 + 0.5).for_states_at(987.654321)
    settings = SafetySettings(auto_arm=True, effort_topic="/a/policy/joint_effort")
    read = read_setup(_setup(settings=asdict(settings), policies=(), limits=asdict(limits)).as_text())
    assert read.safety_limits() == limits
    assert read.safety_settings() == settings


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d: d.update(format=2), ["2", "later version"]),
        (lambda d: d.pop("robot"), ["not the setup of a node", "robot"]),
        (lambda d: d.update(policies=[{"name": "x"}]), ["not the setup of a node"]),
        (lambda d: d.update(policies=3), ["not the setup of a node"]),
    ],
)
def test_something_else_is_refused(refuses: Any, change: Any, words: list[str]) -> None:
    document = json.loads(_setup().as_text())
    change(document)
    with refuses(BagError, *words):
        read_setup(json.dumps(document))


def test_no_json_and_unknown_settings_are_refused(refuses: Any) -> None:
    with refuses(BagError, "not the setup of a node"):
        read_setup("no json")
    with refuses(BagError, "'warp'"):
        read_setup(_setup(settings={"warp": 9}).as_text()).policy_settings()
