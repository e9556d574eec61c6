"""Does a policy fit a robot: every difference is one line that names the joint and both values."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from humanoid_rl_ros.core.errors import ContractError
from humanoid_rl_ros.core.robot import ImuSpec, RobotSpec
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.policies.contract import check_contract, contract_lines, require_contract

Refuses = Callable[..., AbstractContextManager[None]]
WriteYaml = Callable[[object], Path]
Data = dict[str, Any]


def _only(data: Data, robot: RobotSpec, write: WriteYaml, **options: str) -> tuple[str, str]:
    findings = check_contract(load_bundle(write(data)), robot, **options)
    assert len(findings) == 1, findings
    assert len(findings[0].text.splitlines()) == 1
    return findings[0].level, findings[0].text


def test_a_policy_that_fits_has_no_finding(bundle_data: Data, robot: RobotSpec, write_bundle: WriteYaml) -> None:
    for joint in bundle_data["held"].values():
        joint["effort"] = 4
    bundle = load_bundle(write_bundle(bundle_data))
    assert check_contract(bundle, robot) == []
    assert require_contract(bundle, robot) == []


def test_a_joint_without_stated_effort_is_no_finding(
    bundle_data: Data, robot: RobotSpec, write_bundle: WriteYaml
) -> None:
    assert "effort" not in bundle_data["held"]["ankle"]
    assert check_contract(load_bundle(write_bundle(bundle_data)), robot) == []


def test_a_driven_joint_the_robot_lacks_names_the_nearest(
    bundle_data: Data, robot: RobotSpec, write_bundle: WriteYaml
) -> None:
    bundle_data["held"]["kneee"] = bundle_data["held"].pop("arm")
    bundle_data["hold_remaining"] = True
    level, text = _only(bundle_data, robot, write_bundle)
    assert level == "error"
    assert "held joint 'kneee'" in text
    assert "did you mean 'knee'?" in text


def test_an_observed_joint_the_robot_lacks_is_an_error(
    bundle_data: Data, robot: RobotSpec, write_bundle: WriteYaml
) -> None:
    bundle_data["observation"]["joints"].append("toe")
    bundle_data["observation"]["default"]["toe"] = 0.0
    level, text = _only(bundle_data, robot, write_bundle)
    assert (level, "observed joint 'toe'" in text) == ("error", True)


def test_a_joint_that_is_neither_driven_nor_held_is_an_error(
    bundle_data: Data, robot: RobotSpec, write_bundle: WriteYaml
) -> None:
    del bundle_data["held"]["arm"]
    level, text = _only(bundle_data, robot, write_bundle)
    assert level == "error"
    assert all(word in text for word in ("'arm'", "held", "hold_remaining"))
    bundle_data["hold_remaining"] = True
    assert check_contract(load_bundle(write_bundle(bundle_data)), robot) == []


def test_base_velocity_needs_a_source(bundle_data: Data, robot: RobotSpec, write_bundle: WriteYaml) -> None:
    bundle_data["observation"]["terms"].append({"term": "base_lin_vel"})
    for wanted, offered, fits in (
        ("estimator", "", False),
        ("estimator", "estimator", True),
        ("estimator", "ground_truth", True),
        ("ground_truth", "", False),
        ("ground_truth", "estimator", False),
        ("ground_truth", "ground_truth", True),
    ):
        bundle_data["base_velocity"] = wanted
        if fits:
            assert check_contract(load_bundle(write_bundle(bundle_data)), robot, base_velocity=offered) == []
            continue
        level, text = _only(bundle_data, robot, write_bundle, base_velocity=offered)
        assert level == "error"
        assert "base_lin_vel" in text


@pytest.mark.parametrize(("attachment", "found"), [("", "the root body"), ("torso_imu", "torso_imu")])
def test_another_imu_is_an_error(
    attachment: str, found: str, bundle_data: Data, robot: RobotSpec, write_bundle: WriteYaml
) -> None:
    bundle_data["imu"] = "pelvis_imu"
    elsewhere = dataclasses.replace(robot, imu=ImuSpec("imu", attachment))
    level, text = _only(bundle_data, elsewhere, write_bundle)
    assert level == "error"
    assert "'pelvis_imu'" in text
    assert found in text
    there = dataclasses.replace(robot, imu=ImuSpec("imu", "pelvis_imu"))
    assert check_contract(load_bundle(write_bundle(bundle_data)), there) == []


@pytest.mark.parametrize(("group", "joint", "key"), [("joints", "hip", "default"), ("held", "ankle", "position")])
@pytest.mark.parametrize("pose", [1.6, -1.6])
def test_a_pose_outside_the_limits_is_an_error(
    group: str, joint: str, key: str, pose: float, bundle_data: Data, robot: RobotSpec, write_bundle: WriteYaml
) -> None:
    bundle_data[group][joint][key] = pose
    level, text = _only(bundle_data, robot, write_bundle)
    assert level == "error"
    assert f"'{joint}'" in text
    assert f"{pose:g}" in text


def test_more_effort_than_the_robot_has_is_a_warning(
    bundle_data: Data, robot: RobotSpec, write_bundle: WriteYaml
) -> None:
    bundle_data["joints"]["knee"]["effort"] = 41.0
    level, text = _only(bundle_data, robot, write_bundle)
    assert level == "warning"
    assert all(word in text for word in ("'knee'", "41", "40"))
    bundle_data["joints"]["knee"]["effort"] = 40.0
    assert check_contract(load_bundle(write_bundle(bundle_data)), robot) == []


def test_errors_come_first_and_the_refusal_counts_the_rest(
    bundle_data: Data, robot: RobotSpec, write_bundle: WriteYaml, refuses: Refuses
) -> None:
    bundle_data["joints"]["knee"] |= {"effort": 41.0, "default": 2.5}
    bundle_data["held"].pop("arm")
    bundle = load_bundle(write_bundle(bundle_data))
    assert [finding.level for finding in check_contract(bundle, robot)] == ["error", "error", "warning"]
    with refuses(ContractError, "policy 'small'", "robot 'biped'", "'arm'", "(and 1 more)"):
        require_contract(bundle, robot)


def test_warnings_do_not_refuse(bundle_data: Data, robot: RobotSpec, write_bundle: WriteYaml) -> None:
    bundle_data["joints"]["knee"]["effort"] = 41.0
    assert [f.level for f in require_contract(load_bundle(write_bundle(bundle_data)), robot)] == ["warning"]


def test_an_observation_that_contradicts_itself_is_an_error(
    bundle_data: Data, robot: RobotSpec, write_bundle: WriteYaml
) -> None:
    bundle = load_bundle(write_bundle(bundle_data))
    term = dataclasses.replace(bundle.observation.blocks[0].terms[0], scale=(1.0, 2.0))
    block = dataclasses.replace(bundle.observation.blocks[0], terms=(term,))
    broken = dataclasses.replace(bundle, observation=dataclasses.replace(bundle.observation, blocks=(block,)))
    findings = check_contract(broken, robot)
    assert [(f.level, "scale" in f.text) for f in findings] == [("error", True)]


# What the lines say, the ones that fit too.


def _lines(data: Data, robot: RobotSpec, write: WriteYaml) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for line in contract_lines(load_bundle(write(data)), robot):
        found.setdefault(line.item, []).append((line.level, line.text))
    return found


def test_a_policy_that_fits_is_told_line_by_line(bundle_data: Data, robot: RobotSpec, write_bundle: WriteYaml) -> None:
    bundle_data["command"] = {"linear_x": [-0.5, 1.0], "linear_y": [0, 0], "angular_z": [-1, 1]}
    bundle_data["weights"]["sha256"] = "ab" * 32
    lines = _lines(bundle_data, robot, write_bundle)
    assert {level for entries in lines.values() for level, _ in entries} == {"ok"}
    assert lines["driven joints"] == [("ok", "2 of the robot's 4")]
    assert lines["observation"][0][1].startswith("17 numbers: base_ang_vel, projected_gravity")
    assert lines["rates"] == [("ok", "50 Hz, PD law at 500 Hz")]
    # Of 30 N·m / 20, 50 / 40, 15 / 10 and 4 / 5 the last is the nearest.
    assert lines["gains"] == [("ok", "against the effort limits: all reach at least 0.80 rad ('arm')")]
    assert lines["digest"] == [("ok", "sha256 abababababab…")]


@pytest.mark.parametrize(
    ("change", "item", "level", "words"),
    [
        (lambda d: d["held"]["arm"].update(kp=0), "gains", "warning", ["kp", "'arm'", "gravity"]),
        (lambda d: d["joints"]["hip"].update(kd=0), "gains", "warning", ["kd", "'hip'", "damps"]),
        (lambda d: d["joints"]["hip"].update(kp=4000), "gains", "warning", ["4000", "'hip'", "50 N·m", "0.013 rad"]),
        (lambda d: d.update(pd_rate=75), "rates", "warning", ["50 Hz", "75 Hz", "no whole number"]),
        (lambda d: d.update(control_period=2.0), "rates", "warning", ["0.5 Hz", "seconds"]),
        (lambda d: d.update(control_period=0.001, pd_rate=1000), "rates", "warning", ["1000 Hz", "unusual"]),
        (lambda d: d.update(command={"linear_x": [0.2, 1.0]}), "command", "note", ["inf"]),
        (
            lambda d: d.update(command={"linear_x": [0.2, 1], "linear_y": [0, 0], "angular_z": [0, 0]}),
            "command",
            "warning",
            ["linear_x", "stand"],
        ),
        (lambda d: d["observation"]["terms"].pop(2), "command", "note", ["no velocity command"]),
        (
            lambda d: d["observation"]["terms"].append({"term": "base_roll_pitch_yaw"}),
            "heading",
            "note",
            ["base_roll_pitch_yaw", "faces"],
        ),
        (lambda d: d.update(robot="tripod"), "robot", "note", ["'tripod'", "'biped'"]),
        (lambda d: d.update(inferred={"pd_rate": "the usual"}), "pd_rate", "note", ["inferred", "the usual"]),
    ],
)
def test_what_a_person_should_know_has_its_line(
    change: Callable[[Data], object],
    item: str,
    level: str,
    words: list[str],
    bundle_data: Data,
    robot: RobotSpec,
    write_bundle: WriteYaml,
) -> None:
    change(bundle_data)
    found = [entry for entry in _lines(bundle_data, robot, write_bundle)[item] if entry[0] == level]
    assert found, (item, level)
    assert all(word in found[0][1] for word in words), found


def test_gains_of_a_policy_of_efforts_are_not_missed(
    bundle_data: Data, robot: RobotSpec, write_bundle: WriteYaml
) -> None:
    bundle_data["action"] = {"kind": "effort"}
    for joint in bundle_data["joints"].values():
        joint["kp"] = 0
    assert check_contract(load_bundle(write_bundle(bundle_data)), robot) == []
