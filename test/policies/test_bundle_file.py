"""`policy.yaml`: what is read, what is refused, and that the documentation's examples are true."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import yaml

from humanoid_rl_ros.core.command import CommandSpec
from humanoid_rl_ros.core.config import Section
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.gait import GaitSpec
from humanoid_rl_ros.core.observation_spec import BlockSpec, HistorySpec, TermSpec
from humanoid_rl_ros.core.observation_terms import term_names
from humanoid_rl_ros.policies.bundle import DrivenJoint, HeldJoint
from humanoid_rl_ros.policies.bundle_file import load_bundle

Refuses = Callable[..., AbstractContextManager[None]]
WriteYaml = Callable[[object], Path]
Data = dict[str, Any]
DOCS = Path(__file__).parents[2] / "docs" / "policy-bundle.md"
INF = math.inf


def test_the_smallest_bundle_has_these_defaults(bundle_data: Data, write_bundle: WriteYaml) -> None:
    for key in ("robot", "held"):
        del bundle_data[key]
    bundle_data["observation"] = {"terms": [{"term": "joint_pos_rel"}]}
    del bundle_data["action"]["scale"]
    for joint in bundle_data["joints"].values():
        del joint["effort"]
    file = write_bundle(bundle_data)
    bundle = load_bundle(file)
    assert bundle.joints == {"knee": DrivenJoint(0.3, 20.0, 1.0), "hip": DrivenJoint(-0.1, 40.0, 2.0)}
    assert (bundle.held, bundle.hold_remaining, bundle.robot, bundle.imu) == ({}, False, "", "")
    assert (bundle.control_period, bundle.pd_rate, bundle.entry_blend) == (0.02, 500.0, 0.0)
    assert (bundle.effort_low_pass, bundle.soft_effort_limit, bundle.clamp_target_to_joint_limits) == (1.0, 1.0, False)
    assert (bundle.command, bundle.gait, bundle.folder) == (CommandSpec(), None, file.parent)
    assert bundle.observation.joints == ("knee", "hip")
    assert bundle.observation.default_position == (0.3, -0.1)
    assert bundle.observation.blocks == (BlockSpec((TermSpec("joint_pos_rel"),)),)
    assert (bundle.observation.clip, bundle.observation.stand_threshold) == (None, 0.01)
    action = bundle.action
    assert (action.joints, action.kind, action.scale, action.offset) == (
        ("knee", "hip"),
        "position_offset",
        (1.0, 1.0),
        (0.3, -0.1),
    )
    assert (action.clip_lower, action.clip_upper) == ((-INF, -INF), (INF, INF))
    assert (action.target_lower, action.target_upper) == ((-INF, -INF), (INF, INF))
    assert (action.last_action, action.low_pass, action.delay) == ("clipped", 1.0, 0)
    assert bundle.weights.path == file.parent / "policy.onnx"
    assert (bundle.weights.sha256, bundle.weights.external_data, bundle.weights.recurrent) == ("", (), {})


def test_every_key_is_read(bundle_data: Data, write_bundle: WriteYaml) -> None:
    bundle_data |= {
        "origin": "a lab",
        "licence": "MIT",
        "hold_remaining": True,
        "effort_low_pass": 0.5,
        "soft_effort_limit": 0.9,
        "imu": "pelvis",
        "entry_blend": 1.5,
        "command": {"linear_x": [-0.5, 1.0]},
        "gait": {"period": 0.8, "stand_threshold": 0.2},
        "weights": {
            "file": "net.onnx",
            "sha256": "ab",
            "external_data": ["net.data"],
            "input": "obs",
            "output": "act",
            "recurrent": {"h_in": "h_out"},
        },
        "action": {
            "kind": "position_absolute",
            "scale": {"hip": 2.0, "knee": 3.0},
            "offset": {"hip": 0.2, "knee": 0.3},
            "clip": [-5, 4],
            "target_limits": {"lower": {"hip": -1, "knee": 0}, "upper": {"knee": 2, "hip": 1}},
            "last_action": "raw",
            "low_pass": 0.8,
            "delay": 1,
        },
    }
    bundle = load_bundle(write_bundle(bundle_data).parent)  # the folder will do
    assert (bundle.origin, bundle.licence, bundle.hold_remaining, bundle.imu) == ("a lab", "MIT", True, "pelvis")
    assert (bundle.effort_low_pass, bundle.soft_effort_limit, bundle.entry_blend) == (0.5, 0.9, 1.5)
    assert bundle.command == CommandSpec(linear_x=(-0.5, 1.0))
    assert bundle.gait == GaitSpec(1.25, stand_threshold=0.2)
    assert bundle.observation.stand_threshold == 0.2  # the gait's, unless it has its own
    assert bundle.held["arm"] == HeldJoint(0.0, 5.0, 0.25, 4.0)
    weights = bundle.weights
    assert (weights.path.name, weights.sha256, [p.name for p in weights.external_data]) == (
        "net.onnx",
        "ab",
        ["net.data"],
    )
    assert (weights.input_name, weights.output_name, weights.recurrent) == ("obs", "act", {"h_in": "h_out"})
    action = bundle.action
    assert (action.kind, action.scale, action.offset) == ("position_absolute", (3.0, 2.0), (0.3, 0.2))
    assert (action.clip_lower, action.clip_upper) == ((-5.0, -5.0), (4.0, 4.0))
    assert (action.target_lower, action.target_upper) == ((0.0, -1.0), (2.0, 1.0))
    assert (action.last_action, action.low_pass, action.delay) == ("raw", 0.8, 1)


def test_targets_clamped_to_the_joint_limits_are_left_to_the_robot(bundle_data: Data, write_bundle: WriteYaml) -> None:
    bundle_data["action"]["target_limits"] = "joint_limits"
    bundle = load_bundle(write_bundle(bundle_data))
    assert bundle.clamp_target_to_joint_limits
    assert bundle.action.target_upper == (INF, INF)


def test_the_observed_joints_have_a_pose_of_their_own(bundle_data: Data, write_bundle: WriteYaml) -> None:
    bundle_data["observation"]["default"]["hip"] = 0.7
    observation = load_bundle(write_bundle(bundle_data)).observation
    assert dict(zip(observation.joints, observation.default_position, strict=True)) == {
        "ankle": -0.2,
        "hip": 0.7,
        "knee": 0.3,
    }


def test_a_term_takes_every_option(bundle_data: Data, write_bundle: WriteYaml) -> None:
    bundle_data["observation"] |= {"clip": 50.0, "stand_threshold": 0.3}
    bundle_data["observation"]["terms"] = [
        {"term": "joint_pos", "scale": {"hip": 1, "knee": 2, "ankle": 3}, "clip": 4.0, "masked_joints": ["hip"]},
        {"term": "velocity_commands", "scale": [1, 2, 3], "clip_scaled": [-1, 2], "zero_when_standing": True},
        {"term": "constant", "value": [0.78, 1]},
    ]
    observation = load_bundle(write_bundle(bundle_data)).observation
    assert observation.blocks == (
        BlockSpec(
            (
                TermSpec("joint_pos", (3.0, 1.0, 2.0), clip=(-4.0, 4.0), masked_joints=("hip",)),
                TermSpec("velocity_commands", (1.0, 2.0, 3.0), clip_scaled=(-1.0, 2.0), zero_when_standing=True),
                TermSpec("constant", value=(0.78, 1.0)),
            )
        ),
    )
    assert (observation.clip, observation.stand_threshold) == ((-50.0, 50.0), 0.3)


def test_a_history_is_of_the_whole_vector_of_a_block_or_of_one_term(bundle_data: Data, write_bundle: WriteYaml) -> None:
    history = {
        "length": 5,
        "layout": "term_major",
        "order": "newest_first",
        "first_fill": "zeros",
        "include_current": False,
    }
    spec = HistorySpec(5, "term_major", "newest_first", "zeros", False)
    flag, rate, pose = {"term": "moving"}, {"term": "base_ang_vel"}, {"term": "joint_pos"}
    bundle_data["observation"]["terms"] = [
        flag,
        {"history": history, "terms": [rate, pose]},
        {**pose, "history": history},
        rate,
    ]
    assert load_bundle(write_bundle(bundle_data)).observation.blocks == (
        BlockSpec((TermSpec("moving"),)),
        BlockSpec((TermSpec("base_ang_vel"), TermSpec("joint_pos")), spec),
        BlockSpec((TermSpec("joint_pos"),), spec),
        BlockSpec((TermSpec("base_ang_vel"),)),
    )
    bundle_data["observation"] |= {
        "terms": [flag, rate],
        "history": {"length": 3, "layout": "time_major", "order": "oldest_first"},
    }
    assert load_bundle(write_bundle(bundle_data)).observation.blocks == (
        BlockSpec((TermSpec("moving"), TermSpec("base_ang_vel")), HistorySpec(3, "time_major")),
    )


def test_a_scale_of_the_last_action_is_by_driven_joint(bundle_data: Data, write_bundle: WriteYaml) -> None:
    # Observed hip, knee; driven knee, hip.
    bundle_data["observation"] = {
        "joints": ["hip", "knee"],
        "terms": [{"term": "last_action", "scale": {"knee": 2.0, "hip": 3.0}}],
    }
    assert load_bundle(write_bundle(bundle_data)).observation.blocks[0].terms[0].scale == (2.0, 3.0)


def test_a_scale_by_joint_is_of_the_elements_that_are_seen(
    bundle_data: Data, write_bundle: WriteYaml, refuses: Refuses
) -> None:
    term = {"term": "joint_pos", "scale": {"hip": 1, "ankle": 3}, "elements": [1, 0]}
    bundle_data["observation"]["terms"] = [term]
    assert load_bundle(write_bundle(bundle_data)).observation.blocks[0].terms[0].scale == (1.0, 3.0)
    term["scale"]["knee"] = 2
    with refuses(ConfigError, "terms[0]", "scale", "'knee'"):
        load_bundle(write_bundle(bundle_data))
    term["elements"] = [3]
    with refuses(ConfigError, "terms[0]", "elements 0 to 2", "[3]"):
        load_bundle(write_bundle(bundle_data))


Path_ = tuple[str | int, ...]
BLOCK = {"history": {"length": 2, "layout": "time_major", "order": "oldest_first"}, "terms": [{"term": "moving"}]}
DELETE = object()
CHANGES: dict[str, tuple[Path_, object, list[str]]] = {
    "an unknown format": (("format",), 2, ["format 2", "reads format 1"]),
    "no name": (("name",), DELETE, ["'name' is missing"]),
    "no weights": (("weights",), DELETE, ["'weights' is missing"]),
    "no weights file": (("weights", "file"), DELETE, ["weights", "'file' is missing"]),
    "no joints": (("joints",), DELETE, ["'joints' is missing"]),
    "joints as a list": (("joints",), ["knee"], ["'joints'", "a mapping"]),
    "no observation": (("observation",), DELETE, ["'observation' is missing"]),
    "no action": (("action",), DELETE, ["'action' is missing"]),
    "no period": (("control_period",), DELETE, ["'control_period' is missing"]),
    "period 0": (("control_period",), 0.0, ["'control_period'", "above 0"]),
    "period NaN": (("control_period",), math.nan, ["'control_period'", "finite"]),
    "period without a dot": (("control_period",), "2e-2", ["'control_period'", "1.0e-3"]),
    "a PD law slower than the policy": (("pd_rate",), 49, ["'small'", "pd_rate 49 Hz", "50 Hz"]),
    "an unknown key": (("imuu",), "x", ["'imuu'", "did you mean 'imu'?"]),
    "an unknown key of the weights": (("weights", "sha265"), "x", ["weights", "'sha265'", "did you mean 'sha256'?"]),
    "an unknown key of a joint": (("joints", "knee", "kpp"), 1, ["joints: knee", "'kpp'", "did you mean 'kp'?"]),
    "a driven joint without gain": (("joints", "knee", "kp"), DELETE, ["joints: knee", "'kp' is missing"]),
    "a negative gain": (("joints", "knee", "kd"), -1, ["joints: knee", "'kd'", "at least 0"]),
    "no effort": (("joints", "knee", "effort"), 0, ["joints: knee", "'effort'", "above 0"]),
    "a held joint without pose": (("held", "arm", "position"), DELETE, ["held: arm", "'position' is missing"]),
    "a held joint with a default": (("held", "arm", "default"), 0, ["held: arm", "'default'"]),
    "a joint driven and held": (("held", "knee"), {"position": 0, "kp": 1, "kd": 1}, ["'knee' is listed twice"]),
    "an observed joint without pose": (("observation", "default"), {}, ["observation", "'ankle'", "'default'"]),
    "a pose of no observed joint": (("observation", "default", "arm"), 0.0, ["observation: default", "'arm'"]),
    "an observed joint twice": (("observation", "joints"), ["hip", "hip"], ["observation", "'joints'", "'hip' twice"]),
    "an unknown term": (
        ("observation", "terms", 0, "term"),
        "base_angvel",
        ["terms[0]", "did you mean 'base_ang_vel'?"],
    ),
    "a term without a name": (("observation", "terms", 1), {"scale": 1.0}, ["terms[1]", "'term' is missing"]),
    "a term as text": (("observation", "terms", 1), "moving", ["terms[1]", "a mapping"]),
    "an unknown key of a term": (
        ("observation", "terms", 0, "scal"),
        1,
        ["terms[0]", "'scal'", "did you mean 'scale'?"],
    ),
    "a scale as text": (("observation", "terms", 0, "scale"), "big", ["terms[0]", "'scale'", "a number"]),
    "a scale of the wrong length": (
        ("observation", "terms", 0, "scale"),
        [1, 2],
        ["base_ang_vel", "3 elements", "scale has 2"],
    ),
    "a scale by unknown joint": (
        ("observation", "terms", 3, "scale"),
        {"hip": 1, "knee": 1, "ankle": 1, "toe": 1},
        ["terms[3]", "'toe'"],
    ),
    "a mask of an unknown joint": (("observation", "terms", 3, "masked_joints"), ["toe"], ["joint_pos_rel", "'toe'"]),
    "a clip the wrong way": (("observation", "terms", 0, "clip"), [1, -1], ["terms[0]", "'clip'", "[1, -1]"]),
    "a clip of 0": (("observation", "terms", 0, "clip"), 0, ["terms[0]", "'clip'", "above 0"]),
    "a clip of one end": (("observation", "clip"), [1.0], ["observation", "'clip'", "2 numbers"]),
    "a constant without value": (("observation", "terms", 0), {"term": "constant"}, ["terms[0]", "'value'"]),
    "no terms": (("observation", "terms"), [], ["no term"]),
    "an empty block": (("observation", "terms", 0), {**BLOCK, "terms": []}, ["terms[0]", "'terms'", "no term"]),
    "a history without layout": (
        ("observation", "history"),
        {"length": 2, "order": "oldest_first"},
        ["history", "'layout' is missing"],
    ),
    "a history of no length": (
        ("observation", "history"),
        {**BLOCK["history"], "length": 0},
        ["history", "'length'", "at least 1"],
    ),
    "a history of unknown layout": (
        ("observation", "history"),
        {**BLOCK["history"], "layout": "rows"},
        ["history", "'layout'", "term_major, time_major"],
    ),
    "a block with a scale": (("observation", "terms", 0), {**BLOCK, "scale": 1}, ["terms[0]", "'scale'"]),
    "an unknown kind of action": (("action", "kind"), "torque", ["action", "'kind'", "position_offset", "'torque'"]),
    "no kind of action": (("action", "kind"), DELETE, ["action", "'kind' is missing"]),
    "an action scale as list": (("action", "scale"), [1.0, 1.0], ["action", "'scale'"]),
    "an action scale that lacks a joint": (("action", "scale"), {"knee": 1.0}, ["action: scale", "'hip' is missing"]),
    "an action scale too many": (
        ("action", "scale"),
        {"knee": 1.0, "hip": 1.0, "arm": 1.0},
        ["action: scale", "'arm'"],
    ),
    "an action clip the wrong way": (
        ("action", "clip"),
        {"lower": {"knee": 1, "hip": -1}, "upper": {"knee": 1, "hip": 1}},
        ["clip", "'knee'", "[1, 1]"],
    ),
    "target limits as another word": (
        ("action", "target_limits"),
        "limits",
        ["action", "'target_limits'", "joint_limits"],
    ),
    "an unknown last action": (("action", "last_action"), "net", ["action", "'last_action'", "raw, clipped"]),
    "a filter above 1": (("action", "low_pass"), 1.5, ["action", "low_pass", "1.5"]),
    "an effort filter above 1": (("effort_low_pass",), 1.5, ["effort_low_pass", "1.5"]),
    "a soft limit above 1": (("soft_effort_limit",), 1.5, ["soft_effort_limit", "1.5"]),
    "a negative delay": (("action", "delay"), -1, ["action", "'delay'", "at least 0"]),
    "an unknown key of the action": (("action", "scales"), 1, ["action", "'scales'", "did you mean 'scale'?"]),
    "efforts clamped to joint limits": (
        ("action",),
        {"kind": "effort", "target_limits": "joint_limits"},
        ["action", "'target_limits'", "effort"],
    ),
    "a gait phase without a clock": (
        ("observation", "terms", 0),
        {"term": "gait_phase_sin"},
        ["'small'", "'gait' is missing"],
    ),
    "a command the wrong way": (("command",), {"linear_x": [1, -1]}, ["linear_x", "[1, -1]"]),
    "a negative blend": (("entry_blend",), -1, ["'entry_blend'", "at least 0"]),
    "a recurrent output that is no name": (("weights", "recurrent"), {"h": 1}, ["recurrent", "'h'", "text"]),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_wrong_bundle_is_refused_by_file_and_key(
    what: str, bundle_data: Data, write_bundle: WriteYaml, refuses: Refuses
) -> None:
    path, value, words = CHANGES[what]
    target: Any = bundle_data
    for key in path[:-1]:
        target = target[key]
    if value is DELETE:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    file = write_bundle(bundle_data)
    with refuses(ConfigError, str(file), *words):
        load_bundle(file)


def test_a_history_inside_a_history_is_refused(bundle_data: Data, write_bundle: WriteYaml, refuses: Refuses) -> None:
    bundle_data["observation"] |= {"terms": [BLOCK], "history": BLOCK["history"]}
    file = write_bundle(bundle_data)
    with refuses(ConfigError, str(file), "terms[0]", "history"):
        load_bundle(file)


def test_a_clip_by_joint_may_leave_one_free(bundle_data: Data, write_bundle: WriteYaml) -> None:
    bundle_data["action"]["clip"] = {"lower": {"knee": -1, "hip": -INF}, "upper": {"knee": 1, "hip": INF}}
    assert load_bundle(write_bundle(bundle_data)).action.clip_upper == (1.0, INF)


def test_a_misspelt_required_key_is_named_as_it_is_written(
    bundle_data: Data, write_bundle: WriteYaml, refuses: Refuses
) -> None:
    bundle_data["control_perod"] = bundle_data.pop("control_period")
    with refuses(ConfigError, "'control_period' is missing", "'control_perod'"):
        load_bundle(write_bundle(bundle_data))


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    with refuses(ConfigError, str(tmp_path / "policy.yaml"), "no such file"):
        load_bundle(tmp_path)


def test_a_joint_driven_twice_is_refused(write_bundle: WriteYaml, bundle_data: Data, refuses: Refuses) -> None:
    file = write_bundle(bundle_data)
    file.write_text(file.read_text().replace("  hip:\n", "  knee:\n", 1))
    with refuses(ConfigError, str(file), "'knee' appears twice"):
        load_bundle(file)


def _examples() -> list[str]:
    return [part.split("```")[0] for part in DOCS.read_text(encoding="utf-8").split("```yaml\n")[1:]]


def test_the_example_of_the_documentation_is_a_bundle(tmp_path: Path) -> None:
    complete = [text for text in _examples() if text.startswith("format:")]
    assert len(complete) == 1
    (tmp_path / "policy.yaml").write_text(complete[0], encoding="utf-8")
    bundle = load_bundle(tmp_path)
    assert f"# observation: {bundle.observation_size()} numbers" in complete[0]


def test_every_fragment_of_the_documentation_is_yaml() -> None:
    assert all(yaml.safe_load(text) for text in _examples())


def test_the_documentation_lists_every_term() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert [name for name in term_names() if f"| `{name}` |" not in text] == []


def test_the_documentation_describes_every_key_that_is_read(
    bundle_data: Data, write_bundle: WriteYaml, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: set[str] = set()
    raw = Section.raw
    monkeypatch.setattr(Section, "raw", lambda self, key, *default: read.add(key) or raw(self, key, *default))
    bundle_data |= {"command": {}, "gait": {"period": 1.0}}
    bundle_data["observation"]["terms"].append(BLOCK)
    load_bundle(write_bundle(bundle_data))
    keys = read - set(bundle_data["joints"]) - set(bundle_data["held"])
    text = DOCS.read_text(encoding="utf-8")
    assert len(keys) > 50
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []
