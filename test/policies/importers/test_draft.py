"""A bundle in the making: said, inferred, missing; and what is written of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from small_network import save_linear

from humanoid_rl_ros.core.errors import ConfigError, PolicyError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.policies.bundle_file import load_bundle
from humanoid_rl_ros.policies.importers.answers import answer, form_of, read_terms
from humanoid_rl_ros.policies.importers.draft import Draft
from humanoid_rl_ros.policies.importers.finish import MISSING, write_bundle

Refuses = Callable[..., AbstractContextManager[None]]


def _weights(folder: Path) -> Path:
    return save_linear(folder / "net.onnx", np.zeros((10, 2)))


def _complete(folder: Path) -> Draft:
    draft = Draft(_weights(folder))
    draft.say("name", "net")
    draft.drive(["knee", "hip"])
    draft.column("default", [0.3, -0.1])
    draft.column("kp", 20.0)
    draft.column("kd", {"hip": 2.0, "knee": 1.0})
    draft.say("control_period", 0.02)
    draft.infer("pd_rate", 500, "the usual")
    draft.say("observation.terms", [{"term": "base_ang_vel"}, {"term": "projected_gravity"}])
    draft.say("observation.terms", read_terms("base_ang_vel projected_gravity joint_pos_rel joint_vel_rel*0.05"))
    draft.say("action.kind", "position_offset")
    draft.say("action.scale", draft.by_joint([0.25, 0.5]))
    draft.hold("arm", 0, 5, 0.25, 4)
    draft.notes.append("two files\ndisagree")
    return draft


def test_what_is_complete_becomes_a_bundle_that_keeps_what_was_inferred(tmp_path: Path) -> None:
    bundle = write_bundle(_complete(tmp_path), tmp_path / "out")
    assert bundle is not None
    assert {name: (j.default_position, j.kp, j.kd) for name, j in bundle.joints.items()} == {
        "knee": (0.3, 20.0, 1.0),
        "hip": (-0.1, 20.0, 2.0),
    }
    assert bundle.action.scale == (0.25, 0.5)
    assert bundle.held["arm"].effort_limit == 4.0
    assert bundle.inferred == {"pd_rate": "the usual"}
    assert bundle.observation.blocks[0].terms[3].scale == (0.05,)
    text = (tmp_path / "out" / "policy.yaml").read_text()
    assert "# inferred: pd_rate: the usual" in text
    assert "# two files disagree" in text
    bundle.load_network()  # with its digest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx", "out"]


def test_what_is_missing_stands_in_the_file_with_its_question_and_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    draft = _complete(tmp_path)
    del draft.columns["kp"]
    draft.ask("joints.kp", "stiffness [N·m/rad]")
    del draft.keys["action"]["scale"]
    draft.ask("action.scale", "of what?")
    assert write_bundle(draft, tmp_path / "out") is None
    data = yaml.safe_load((tmp_path / "out" / "policy.yaml").read_text())
    assert data["joints"]["hip"]["kp"] == f"{MISSING} stiffness [N·m/rad]"
    assert data["joints"]["hip"]["kd"] == 2.0
    assert data["action"] == {"kind": "position_offset", "scale": f"{MISSING} of what?"}
    with refuses(ConfigError, "not complete", "'joints.knee.kp': stiffness"):
        load_bundle(tmp_path / "out")
    # Filled in, it is a bundle.
    for joint in data["joints"].values():
        joint["kp"] = 20.0
    data["action"]["scale"] = 0.25
    (tmp_path / "out" / "policy.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
    load_bundle(tmp_path / "out").load_network()


def test_joints_without_names_have_a_place_each(tmp_path: Path) -> None:
    draft = Draft(_weights(tmp_path), n_joints=2)
    draft.ask("joints", "which?")
    draft.ask("joints.kp", "stiffness")
    write_bundle(draft, tmp_path / "out")
    joints = yaml.safe_load((tmp_path / "out" / "policy.yaml").read_text())["joints"]
    assert list(joints) == [f"{MISSING} name of joint {i} of the network" for i in (1, 2)]
    assert all(entry["kp"] == f"{MISSING} stiffness" for entry in joints.values())


def test_an_answer_settles_a_question_and_an_inference(tmp_path: Path) -> None:
    draft = Draft(tmp_path / "a.onnx")
    draft.ask("gait.period", "of a stride [s]")
    draft.infer("gait.phases", [0.0], "guessed")
    draft.say("gait", {"period": 0.8})
    assert (draft.missing, draft.inferred) == ({}, {})
    draft.infer("pd_rate", 200, "why")
    draft.say("pd_rate", 500)
    draft.leave("pd_rate", "said already")
    draft.leave("command", "no range is said")
    assert draft.inferred == {"command": "no range is said"}


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda d: d.drive(["a", "a"]), ["'a'"]),
        (lambda d: d.drive(["a", ""]), ["names"]),
        (lambda d: d.column("kp", [1.0, 2.0, 3.0]), ["kp", "3 values", "2 driven"]),
        (lambda d: d.column("kp", {"hip": 1.0}), ["'knee'"]),
        (lambda d: d.column("stiffness", 1.0), ["'stiffness'"]),
        (lambda d: d.by_joint([1.0]), ["1 values", "2 driven"]),
        (lambda d: (d.column("kp", [1.0, 2.0]), d.drive(["a"])), ["kp", "2 values", "1 driven"]),
    ],
)
def test_what_does_not_match_the_joints_is_refused(
    act: Callable[[Draft], object], words: list[str], tmp_path: Path, refuses: Refuses
) -> None:
    draft = Draft(tmp_path / "a.onnx")
    draft.drive(["knee", "hip"])
    with refuses(ConfigError, *words):
        act(draft)


def test_a_network_of_another_size_leaves_nothing_behind(tmp_path: Path, refuses: Refuses) -> None:
    draft = _complete(tmp_path)
    draft.say("observation.terms", read_terms("base_ang_vel"))
    with refuses(PolicyError, "takes 10 numbers", "has 3"):
        write_bundle(draft, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx"]


def test_an_earlier_bundle_is_replaced_whole_and_anything_else_is_left_alone(tmp_path: Path, refuses: Refuses) -> None:
    write_bundle(_complete(tmp_path), tmp_path / "out")
    draft = _complete(tmp_path)
    draft.say("name", "second")
    with refuses(ConfigError, "is a bundle already", "--overwrite"):
        write_bundle(draft, tmp_path / "out")
    write_bundle(draft, tmp_path / "out", overwrite=True)
    assert load_bundle(tmp_path / "out").name == "second"
    broken = _complete(tmp_path)
    broken.say("control_period", -1)
    with refuses(ConfigError, "control_period"):
        write_bundle(broken, tmp_path / "out", overwrite=True)
    assert load_bundle(tmp_path / "out").name == "second"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    with refuses(ConfigError, "mine", "is no bundle"):
        write_bundle(draft, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years"


# Answers.


def test_answers_in_words(tmp_path: Path, robot: RobotSpec) -> None:
    draft = Draft(tmp_path / "a.onnx")
    answer(draft, "joints", "knee, hip", robot)
    answer(draft, "joints.kp", "20 40", robot)
    answer(draft, "joints.kd", "1e0", robot)
    answer(draft, "joints.default", "robot", robot)
    answer(draft, "action.scale", "0.25 0.5", robot)
    answer(draft, "control_period", "2e-2", robot)
    answer(draft, "observation.history", "{length: 5, layout: term_major, order: oldest_first}", robot)
    assert draft.joints == ("knee", "hip")
    assert draft.columns == {"kp": (20.0, 40.0), "kd": (1.0, 1.0), "default": (0.3, -0.1)}
    assert draft.keys["action"]["scale"] == {"knee": 0.25, "hip": 0.5}
    assert draft.keys["control_period"] == 0.02
    assert draft.keys["observation"]["history"]["length"] == 5
    assert list(draft.inferred) == ["joints.default"]  # what stands for the robot's own is marked


def test_terms_in_words() -> None:
    assert read_terms("base_ang_vel*0.25 velocity_commands*[2, 2, 0.25] last_action") == [
        {"term": "base_ang_vel", "scale": 0.25},
        {"term": "velocity_commands", "scale": [2, 2, 0.25]},
        {"term": "last_action"},
    ]
    assert read_terms("[{term: moving}]") == [{"term": "moving"}]


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("observation.terms", "base_angvel", ["base_angvel", "base_ang_vel"]),
        ("observation.terms", "base_ang_vel/4", ["'base_ang_vel/4'"]),
        ("observation.terms", "[1, 2]", ["list of mappings"]),
        ("joints.kp", "stiff", ["'joints.kp'", "'stiff'"]),
        ("joints.mass", "1", ["'joints.mass'"]),
        ("controll_period", "0.02", ["'controll_period'", "control_period"]),
        ("inferred", "{}", ["'inferred'"]),
        ("pd_rate", "fast", ["'pd_rate'", "'fast'"]),
        ("pd_rate", "", ["'pd_rate'", "no value"]),
        ("gait", "{period: [", ["'gait'", "YAML"]),
        ("joints.kp", "robot", ["'joints.kp'", "--robot"]),
    ],
)
def test_an_answer_that_is_none_is_refused(
    key: str, text: str, words: list[str], tmp_path: Path, refuses: Refuses
) -> None:
    draft = Draft(tmp_path / "a.onnx")
    draft.drive(["knee", "hip"])
    with refuses(ConfigError, *words):
        answer(draft, key, text)


def test_every_question_says_how_to_answer() -> None:
    keys: list[Any] = ["joints", "joints.kp", "observation.terms", "action.scale", "control_period"]
    assert all(form_of(key) for key in keys)
