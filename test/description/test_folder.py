"""World, controllers and bridge: what each says must be what the others, the robot and the topic table say."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Refuses
from tiny_policy import write_robot

from humanoid_rl_ros.core.errors import ConfigError, ModelError
from humanoid_rl_ros.core.robot import RobotSpec, load_robot
from humanoid_rl_ros.description.folder import Export, export_robot
from humanoid_rl_ros.description.options import ExportOptions
from humanoid_rl_ros.description.ros2_control import HardwareWatch, controllers_text
from humanoid_rl_ros.interfaces.topics import IMU, JOINT_COMMAND, JOINT_STATES, ODOMETRY
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.describe import describe

WATCH = HardwareWatch(command_timeout=0.1, damping_scale=0.5)
PASSIVE = """
<mujoco><worldbody><body name="base" pos="0 0 1"><freejoint/><geom size="0.1"/>
  <body name="leg"><joint name="hip" range="-1 1"/><geom type="capsule" fromto="0 0 0 0 0 -0.5" size="0.05"/>
    <body name="toe" pos="0 0 -0.5"><joint name="limp"/><geom size="0.05"/></body></body>
</body></worldbody><actuator><motor joint="hip" ctrlrange="-10 10" ctrllimited="true"/></actuator></mujoco>
"""


def written(robot: RobotSpec, folder: Path, **options: Any) -> Export:
    return export_robot(robot, ExportOptions(folder, **options), WATCH)


def parameters(folder: Path, node: str) -> dict[str, Any]:
    return yaml.safe_load((folder / "controllers.yaml").read_text())[node]["ros__parameters"]


def urdf(folder: Path) -> ElementTree.Element:
    return ElementTree.parse(folder / "robot.urdf").getroot()


def test_controllers_speak_the_topic_table_in_the_robots_order(tmp_path: Path) -> None:
    robot = find_robot("reference")
    written(robot, tmp_path, state_rate=250.0)
    manager = parameters(tmp_path, "controller_manager")
    assert manager["update_rate"] == 250
    assert manager["enforce_command_limits"] is True
    controller = JOINT_COMMAND.name.removesuffix("/commands")
    assert manager[controller]["type"] == "effort_controllers/JointGroupEffortController"
    assert parameters(tmp_path, controller) == {"joints": list(robot.joint_names), "interface_name": "effort"}
    assert JOINT_STATES.name == "joint_states"  # which the broadcaster's topic is, and cannot be told
    assert parameters(tmp_path, "joint_state_broadcaster")["joints"] == list(robot.joint_names)
    assert f"~/imu:={IMU.name}" in manager["imu_sensor_broadcaster"]["node_options_args"]
    assert parameters(tmp_path, "imu_sensor_broadcaster") == {"sensor_name": "imu", "frame_id": robot.imu.frame}


@pytest.mark.parametrize(
    ("distribution", "hardware", "plugin", "controller"),
    [
        ("humble", "ign_ros2_control/IgnitionSystem", "ign_ros2_control-system", "effort_controllers/"),
        ("kilted", "gz_ros2_control/GazeboSimSystem", "gz_ros2_control-system", "effort_controllers/"),
        ("lyrical", "gz_ros2_control/GazeboSimSystem", "gz_ros2_control-system", "forward_command_controller/"),
    ],
)
def test_plugins_have_the_names_of_the_distribution(
    distribution: str, hardware: str, plugin: str, controller: str, tmp_path: Path
) -> None:
    written(find_robot("reference"), tmp_path, distribution=distribution)
    root = urdf(tmp_path)
    assert root.findtext("ros2_control/hardware/plugin") == hardware
    assert plugin in [element.get("filename") for element in root.iter("plugin")]
    manager = parameters(tmp_path, "controller_manager")
    assert manager["joint_effort_controller"]["type"].startswith(controller)


def test_effort_goes_in_and_joint_states_come_out(tmp_path: Path) -> None:
    robot = find_robot("reference")
    written(robot, tmp_path)
    joints = urdf(tmp_path).findall("ros2_control/joint")
    assert [joint.get("name") for joint in joints] == list(robot.joint_names)
    for joint, spec in zip(joints, robot.joints, strict=True):
        (command,) = joint.findall("command_interface")
        assert command.get("name") == "effort"
        bounds = {param.get("name"): float(param.text or "nan") for param in command}
        assert bounds == {"min": -spec.effort_limit, "max": spec.effort_limit}
        assert [state.get("name") for state in joint.findall("state_interface")] == ["position", "velocity", "effort"]
        assert float(joint.findtext("state_interface/param") or "nan") == spec.default_position


def test_what_nothing_drives_is_reported_and_not_commanded(tmp_path: Path) -> None:
    model = tmp_path / "model.xml"
    model.write_text(PASSIVE)
    robot = describe(model).robot
    assert robot.ignored_joints == ("limp",)
    written(robot, tmp_path / "out")
    assert parameters(tmp_path / "out", "joint_state_broadcaster")["joints"] == ["hip", "limp"]
    assert parameters(tmp_path / "out", "joint_effort_controller")["joints"] == ["hip"]
    hip, limp = urdf(tmp_path / "out").findall("ros2_control/joint")
    assert hip.find("command_interface") is not None
    assert limp.find("command_interface") is None


def test_bridge_and_urdf_name_the_same_topics(tmp_path: Path) -> None:
    robot = find_robot("reference")
    written(robot, tmp_path, namespace="left/arm", state_rate=200.0)
    root = urdf(tmp_path)
    sensor = root.find("gazebo/sensor[@type='imu']")
    assert sensor is not None
    assert sensor.get("name") == "imu" == root.find("ros2_control/sensor").get("name")  # type: ignore[union-attr]
    assert float(sensor.findtext("update_rate") or "nan") == 200.0
    assert sensor.findtext("gz_frame_id") == robot.imu.frame
    assert sensor.findtext("imu/orientation_reference_frame/localization") == "ENU"
    assert sensor.find(".//noise") is None
    entries = {entry["ros_topic_name"]: entry for entry in yaml.safe_load((tmp_path / "bridge.yaml").read_text())}
    assert set(entries) == {"/clock", "tf", IMU.name, ODOMETRY.name}
    assert entries[IMU.name]["gz_topic_name"] == sensor.findtext("topic") == "/left/arm/reference_humanoid/imu"
    assert entries[ODOMETRY.name]["gz_topic_name"] == root.findtext("gazebo/plugin/odom_topic")
    assert entries["tf"]["gz_topic_name"] == root.findtext("gazebo/plugin/tf_topic")
    assert entries[ODOMETRY.name]["ros_type_name"] == ODOMETRY.type_name
    assert root.findtext("gazebo/plugin/ros/namespace") == "/left/arm"
    assert root.findtext("gazebo/plugin/parameters") == str(tmp_path / "controllers.yaml")
    assert parameters(tmp_path, "/left/arm/controller_manager")["update_rate"] == 200


@pytest.mark.parametrize(
    ("rate", "substeps", "step"), [(500.0, 0, 0.002), (200.0, 0, 0.00125), (1000.0, 0, 0.001), (200.0, 1, 0.005)]
)
def test_a_joint_state_is_a_whole_number_of_physics_steps(
    rate: float, substeps: int, step: float, tmp_path: Path
) -> None:
    written(find_robot("reference"), tmp_path, state_rate=rate, substeps=substeps, real_time_factor=0.0)
    world = ElementTree.parse(tmp_path / "world.sdf").getroot().find("world")
    assert world is not None
    assert float(world.findtext("physics/max_step_size") or "nan") == step
    assert world.findtext("physics/real_time_factor") == "0"
    # The reference humanoid's feet say 0.8 and have the last word; DART takes the smaller of two.
    assert world.findtext(".//surface/friction/ode/mu") == "0.8"


def test_a_real_robot_gets_its_own_plugin_and_the_same_controllers(tmp_path: Path) -> None:
    robot = find_robot("reference")
    gazebo = written(robot, tmp_path / "gazebo")
    real = written(robot, tmp_path / "real", hardware="drives/Drives", meshes="package://robot/meshes")
    assert real.files == ("robot.urdf", "controllers.yaml")
    assert set(gazebo.files) - set(real.files) == {"world.sdf", "bridge.yaml"}
    read = [(tmp_path / name / "controllers.yaml").read_text() for name in ("gazebo", "real")]
    assert read[0] == read[1]
    root = urdf(tmp_path / "real")
    assert root.find("gazebo") is None
    assert root.findtext("ros2_control/hardware/plugin") == "drives/Drives"
    assert root.findtext("ros2_control/hardware/param[@name='command_timeout']") == "0.1"
    knee = robot.joints[3]
    damping = root.findtext(f"ros2_control/joint[@name='{knee.name}']/param[@name='damping']")
    assert float(damping or "nan") == 0.5 * knee.kd
    assert all(mesh.get("filename", "").startswith("package://robot/meshes/") for mesh in root.iter("mesh"))


def test_a_robot_without_a_model_gets_controllers_alone(tmp_path: Path, refuses: Refuses) -> None:
    robot = load_robot(write_robot(tmp_path))
    assert written(robot, tmp_path / "out", hardware="drives/Drives").files == ("controllers.yaml",)
    assert parameters(tmp_path / "out", "joint_effort_controller")["joints"] == ["hip", "knee"]
    with refuses(ModelError, "no physics model"):
        written(robot, tmp_path / "other")


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"state_rate": 333.3}, "found 333.3"),
        ({"state_rate": float("nan")}, "found nan"),
        ({"state_rate": 300.0}, "no whole number of nanoseconds"),
        ({"substeps": -1}, "found -1"),
        ({"real_time_factor": float("inf")}, "found inf"),
        ({"namespace": "a b"}, "'a b' is no ROS namespace"),
        ({"distribution": "kiltd"}, "did you mean 'kilted'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], found: str, tmp_path: Path, refuses: Refuses) -> None:
    with refuses(ConfigError, found):
        ExportOptions(tmp_path, **options)


def test_controllers_of_the_shipped_robot_are_those_of_the_guide() -> None:
    """docs/ros2-control.md shows the head of this file."""
    text = controllers_text(find_robot("reference"), ExportOptions(Path("/nowhere"), state_rate=200.0))
    guide = (Path(__file__).resolve().parents[2] / "docs" / "ros2-control.md").read_text()
    shown = guide.split("```yaml\n")[1].split("```")[0].split("joint_state_broadcaster:\n  ros__parameters")[0]
    assert shown in text


def test_a_robots_own_model_is_not_written_over(tmp_path: Path, refuses: Refuses) -> None:
    written(find_robot("reference"), tmp_path)
    robot = describe(tmp_path / "robot.urdf").robot
    with refuses(ConfigError, "own model"):
        export_robot(robot, ExportOptions(tmp_path), WATCH, overwrite=True)
