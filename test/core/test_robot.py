"""The robot YAML: what is read, what is refused, and that writing it back loses nothing."""

from __future__ import annotations

import dataclasses
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

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.robot import ImuSpec, JointSpec, ModelSource, RobotSpec, dump_robot, load_robot

Refuses = Callable[..., AbstractContextManager[None]]
DOCS = Path(__file__).parents[2] / "docs" / "robot.md"


def _data() -> dict[str, Any]:
    return {
        "format": 1,
        "name": "biped",
        "joints": {
            "knee": {"limits": [-0.1, 2.0], "effort": 40, "velocity": 20, "default": 0.3, "kp": 100, "kd": 2},
            "hip": {"effort": 60},
        },
    }


def _write(folder: Path, data: object) -> Path:
    file = folder / "robot.yaml"
    file.write_text(data if isinstance(data, str) else yaml.safe_dump(data, sort_keys=False))
    return file


def test_joints_keep_the_order_of_the_file(tmp_path: Path) -> None:
    robot = load_robot(_write(tmp_path, _data()))
    assert robot.joint_names == ("knee", "hip")
    assert robot.n_joints == 2
    assert robot.effort_limit.tolist() == [40.0, 60.0]
    assert robot.lower.tolist() == [-0.1, -math.inf]
    assert robot.upper.tolist() == [2.0, math.inf]
    assert robot.velocity_limit.tolist() == [20.0, math.inf]
    assert robot.default_position.tolist() == [0.3, 0.0]
    assert (robot.kp.tolist(), robot.kd.tolist()) == ([100.0, 0.0], [2.0, 0.0])


def test_what_is_not_written_has_a_default(tmp_path: Path) -> None:
    robot = load_robot(_write(tmp_path, _data()))
    assert robot.imu == ImuSpec("imu", "")
    assert robot.model is None
    assert robot.ignored_joints == ()
    assert robot.joints[1] == JointSpec("hip", -math.inf, math.inf, 60.0)


def test_every_key_is_read(tmp_path: Path) -> None:
    data = _data() | {
        "model": {"path": "models/biped.xml"},
        "imu": {"frame": "imu_link", "attachment": "imu_site"},
        "ignored_joints": ["left_finger"],
    }
    data["joints"]["hip"] |= {"armature": 0.01, "damping": 0.2, "friction": 0.3}
    robot = load_robot(_write(tmp_path, data))
    assert robot.model == ModelSource(tmp_path / "models" / "biped.xml")
    assert robot.imu == ImuSpec("imu_link", "imu_site")
    assert robot.ignored_joints == ("left_finger",)
    assert robot.joints[1] == JointSpec("hip", -math.inf, math.inf, 60.0, armature=0.01, damping=0.2, friction=0.3)
    assert robot.source == str(tmp_path / "robot.yaml")


def test_arrays_cannot_be_written(tmp_path: Path) -> None:
    robot = load_robot(_write(tmp_path, _data()))
    with pytest.raises(ValueError, match="read-only"):
        robot.kp[0] = 1e6


CHANGES: dict[str, tuple[tuple[str, ...], object, list[str]]] = {
    "an unknown format": (("format",), 2, ["format 2", "reads format 1"]),
    "format as text": (("format",), "1", ["'format'", "whole number"]),
    "a name that is a number": (("name",), 5, ["'name'", "text"]),
    "no joints": (("joints",), {}, ["'biped'", "no joint"]),
    "joints as a list": (("joints",), ["hip"], ["'joints'", "a mapping"]),
    "a joint without effort": (("joints", "hip"), {}, ["hip", "'effort' is missing"]),
    "effort 0": (("joints", "hip", "effort"), 0, ["'hip'", "effort_limit", "above 0"]),
    "effort NaN": (("joints", "hip", "effort"), math.nan, ["hip", "'effort'", "finite"]),
    "effort without a dot": (("joints", "hip", "effort"), "1e-3", ["hip", "'effort'", "1.0e-3"]),
    "infinite effort": (("joints", "hip", "effort"), math.inf, ["hip", "'effort'", "finite"]),
    "no velocity": (("joints", "hip", "velocity"), 0, ["'hip'", "velocity_limit", "above 0"]),
    "limits the wrong way": (("joints", "knee", "limits"), [2.0, -0.1], ["'knee'", "contradict", "2", "-0.1"]),
    "limits that meet": (("joints", "knee", "limits"), [0.3, 0.3], ["'knee'", "contradict"]),
    "one limit": (("joints", "knee", "limits"), [0.3], ["knee", "'limits'", "2 numbers"]),
    "a limit of NaN": (("joints", "knee", "limits"), [math.nan, 1.0], ["knee", "limits[0]", "finite"]),
    "a default above the limits": (
        ("joints", "knee", "default"),
        2.1,
        ["'knee'", "2.1", "outside its limits [-0.1, 2]"],
    ),
    "a default below the limits": (("joints", "knee", "default"), -0.2, ["'knee'", "-0.2", "outside its limits"]),
    "negative kp": (("joints", "knee", "kp"), -1, ["'knee'", "kp", "at least 0"]),
    "negative friction": (("joints", "knee", "friction"), -1, ["'knee'", "friction", "at least 0"]),
    "a misspelt gain": (("joints", "knee", "kpp"), 1, ["knee", "'kpp'", "did you mean 'kp'?"]),
    "an unknown key at the top": (("imuu",), {}, ["'imuu'", "did you mean 'imu'?"]),
    "an unknown key of the IMU": (("imu",), {"fram": "x"}, ["imu", "'fram'", "did you mean 'frame'?"]),
    "an unknown key of the model": (("model",), {"path": "x", "pakage": "y"}, ["model", "'pakage'"]),
    "a model without path": (("model",), {"python_package": "x"}, ["model", "'path' is missing"]),
    "an ignored joint that is driven": (("ignored_joints",), ["hip"], ["'hip' is listed twice"]),
    "an ignored joint twice": (("ignored_joints",), ["f", "f"], ["'ignored_joints'", "'f' twice"]),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_wrong_robot_is_refused_by_file_and_joint(what: str, tmp_path: Path, refuses: Refuses) -> None:
    path, value, words = CHANGES[what]
    data = _data()
    target = data
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    file = _write(tmp_path, data)
    with refuses(ConfigError, str(file), *words):
        load_robot(file)


def test_a_joint_written_twice_is_refused(tmp_path: Path, refuses: Refuses) -> None:
    file = _write(tmp_path, "format: 1\nname: x\njoints:\n  hip: {effort: 1}\n  hip: {effort: 2}\n")
    with refuses(ConfigError, str(file), "'hip' appears twice (line 5)"):
        load_robot(file)


def test_a_joint_named_by_a_number_is_read_as_text(tmp_path: Path) -> None:
    assert load_robot(_write(tmp_path, "format: 1\nname: x\njoints: {1: {effort: 1}}\n")).joint_names == ("1",)


@pytest.mark.parametrize("name", ["format", "name", "joints"])
def test_a_missing_key_is_named(name: str, tmp_path: Path, refuses: Refuses) -> None:
    data = _data()
    del data[name]
    file = _write(tmp_path, data)
    with refuses(ConfigError, str(file), f"'{name}' is missing"):
        load_robot(file)


def test_a_joint_that_is_not_a_number_is_refused_in_code(refuses: Refuses) -> None:
    with refuses(ConfigError, "'hip'", "limits"):
        JointSpec("hip", math.nan, 1.0, 10.0)
    with refuses(ConfigError, "'hip'", "effort_limit"):
        JointSpec("hip", -1.0, 1.0, math.inf)
    with refuses(ConfigError, "'hip'", "kd"):
        JointSpec("hip", -1.0, 1.0, 10.0, kd=math.inf)
    with refuses(ConfigError, "'hip'", "default position"):
        JointSpec("hip", -1.0, 1.0, 10.0, default_position=math.nan)


size = st.floats(0.0, 1e6)
joint_name = st.text("abcdefghijklmnopqrstuvwxyz_0123456789-./", min_size=1, max_size=30)


@st.composite
def _joints(draw: st.DrawFn) -> tuple[JointSpec, ...]:
    names = draw(
        st.lists(
            joint_name | st.sampled_from(["null", "on", "1", "1e3", "~", "- a", "a: b"]),
            min_size=1,
            max_size=5,
            unique=True,
        )
    )
    joints = []
    for name in names:
        lower, default, upper = sorted(draw(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3, unique=True)))
        if draw(st.booleans()):
            lower = -math.inf
        joints.append(
            JointSpec(
                name,
                lower,
                upper,
                draw(st.floats(1e-6, 1e6)),
                draw(st.floats(1e-6, 1e6) | st.just(math.inf)),
                default,
                *(draw(size) for _ in range(5)),
            )
        )
    return tuple(joints)


printable = st.text("aZ0 _-#:'\"{}[]&*!|>%@`,?é漢", max_size=20)


@given(joints=_joints(), name=printable, frame=joint_name, site=st.just("") | joint_name)
def test_a_robot_survives_being_written_and_read(
    joints: tuple[JointSpec, ...], name: str, frame: str, site: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    before = RobotSpec(name, joints, ImuSpec(frame, site), ModelSource(Path("/models/a.xml")))
    file = tmp_path_factory.getbasetemp() / "written.yaml"
    file.write_text(dump_robot(before, comment="line one\nline two"), encoding="utf-8")
    assert dataclasses.replace(load_robot(file), source="") == before
    assert file.read_text(encoding="utf-8").startswith("# line one\n# line two\nformat: 1\n")


def test_written_robots_keep_package_and_ignored_joints(tmp_path: Path) -> None:
    before = RobotSpec(
        "x", (JointSpec("a", -1, 1, 5),), model=ModelSource(Path("g1/g1.xml"), "models"), ignored_joints=("f",)
    )
    after = load_robot(_write(tmp_path, dump_robot(before)))
    assert after.model == before.model
    assert after.ignored_joints == ("f",)


def test_a_robot_read_from_its_own_text_is_equal(tmp_path: Path) -> None:
    before = RobotSpec("x", (JointSpec("a", -1, 1, 5),))
    assert load_robot(_write(tmp_path, dump_robot(before))) == before


def test_a_model_beside_the_file_is_found_again_after_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config").mkdir()
    _write(tmp_path / "config", _data() | {"model": {"path": "biped.xml"}})
    (tmp_path / "config" / "biped.xml").touch()
    robot = load_robot("config/robot.yaml")
    Path("config/copy.yaml").write_text(dump_robot(robot))
    assert load_robot("config/copy.yaml").model.locate().samefile(tmp_path / "config" / "biped.xml")  # type: ignore[union-attr]


def test_a_model_is_found_beside_the_file(tmp_path: Path) -> None:
    robot = load_robot(_write(tmp_path, _data() | {"model": {"path": "biped.xml"}}))
    assert robot.model is not None
    (tmp_path / "biped.xml").touch()
    assert robot.model.locate() == tmp_path / "biped.xml"


def test_an_absolute_model_path_stays(tmp_path: Path) -> None:
    robot = load_robot(_write(tmp_path, _data() | {"model": {"path": "/opt/biped.xml"}}))
    assert robot.model == ModelSource(Path("/opt/biped.xml"))


def test_a_model_in_a_package_is_found_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "robot_models_for_a_test"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    (package / "a.xml").touch()
    monkeypatch.syspath_prepend(tmp_path)
    assert ModelSource(Path("a.xml"), package.name).locate() == package / "a.xml"


def test_a_missing_model_is_named(tmp_path: Path, refuses: Refuses) -> None:
    with refuses(ConfigError, str(tmp_path / "absent.xml"), "no such file"):
        ModelSource(tmp_path / "absent.xml").locate()


@pytest.mark.parametrize(
    "package",
    ["no_such_package_here", "no_such_package_here.models"],
)
def test_a_missing_package_says_how_to_install_it(package: str, refuses: Refuses) -> None:
    with refuses(ConfigError, f"'{package}'", "not installed", "pip install"):
        ModelSource(Path("a.xml"), package).locate()


def test_the_example_of_the_documentation_is_a_robot(tmp_path: Path) -> None:
    example = DOCS.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    robot = load_robot(_write(tmp_path, example))
    assert robot.n_joints > 1
    assert np.all(robot.lower <= robot.default_position)


def test_every_key_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")
    joint = ("limits", "effort", "velocity", "default", "kp", "kd", "armature", "damping", "friction")
    nested = ("format", "frame", "attachment", "path", "python_package")
    keys = [f.name for f in dataclasses.fields(RobotSpec) if f.name != "source"]
    assert [key for key in (*keys, *joint, *nested) if f"`{key}`" not in text] == []
