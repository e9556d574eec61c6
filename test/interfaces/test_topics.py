"""The topic table, against the table of the design."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.topics import Topic

pytestmark = pytest.mark.ros


def test_a_standby_says_why_the_policy_may_not_take_over() -> None:
    for standby in topics.STANDBY_FRAMES:
        assert topics.read_standby(topics.standby_frame(standby, "")) == (standby, "")
        assert topics.read_standby(topics.standby_frame(standby, "hip: too\nfar")) == (standby, "hip: too far")
    assert topics.read_standby("ACTIVE") is None
    assert topics.read_standby("standby_of_another") is None
    assert len(topics.read_standby("standby: " + "x" * 10_000)[1]) == topics.LONGEST_REFUSAL


# name, type, reliable, latched, depth
TABLE = [
    (topics.JOINT_STATES, "joint_states", "sensor_msgs/JointState", False, False, 1),
    (topics.IMU, "imu/data", "sensor_msgs/Imu", False, False, 1),
    (topics.VELOCITY_COMMAND, "cmd_vel", "geometry_msgs/TwistStamped", True, False, 1),
    (topics.HAND_TARGETS, "hand_targets", "geometry_msgs/PoseArray", True, False, 1),
    (topics.POLICY_EFFORT, "policy/joint_effort", "sensor_msgs/JointState", True, False, 1),
    (topics.JOINT_COMMAND, "joint_effort_controller/commands", "std_msgs/Float64MultiArray", True, False, 1),
    (topics.SAFETY_STATUS, "safety/status", "diagnostic_msgs/DiagnosticStatus", True, True, 1),
    (topics.POLICY_OBSERVATION, "policy/observation", "std_msgs/Float32MultiArray", False, False, 10),
    (topics.POLICY_ACTION, "policy/action", "std_msgs/Float32MultiArray", False, False, 10),
    (topics.DIAGNOSTICS, "/diagnostics", "diagnostic_msgs/DiagnosticArray", True, False, 10),
    (topics.CLOCK, "/clock", "rosgraph_msgs/Clock", False, False, 1),
    (topics.ODOMETRY, "odom", "nav_msgs/Odometry", True, False, 10),
    (topics.SIMULATED_VELOCITY, "simulation/base_velocity", "nav_msgs/Odometry", True, False, 1),
    (topics.FOOT_CONTACTS, "simulation/foot_contacts", "std_msgs/Float32MultiArray", True, False, 10),
    (topics.ROOT_STATE, "simulation/root_state", "sensor_msgs/MultiDOFJointState", True, False, 1),
    (topics.JOINT_TARGET, "simulation/joint_target", "trajectory_msgs/JointTrajectory", True, False, 1),
    (topics.POLICY_JOURNAL, "policy/journal", "std_msgs/UInt8MultiArray", True, False, 200),
    (topics.SAFETY_JOURNAL, "safety/journal", "std_msgs/UInt8MultiArray", True, False, 200),
    (topics.POLICY_SETUP, "policy/setup", "std_msgs/String", True, True, 1),
    (topics.SAFETY_SETUP, "safety/setup", "std_msgs/String", True, True, 1),
    (topics.RECORDER_STATUS, "recorder/status", "diagnostic_msgs/DiagnosticStatus", True, True, 1),
    (topics.MAP, "map", "nav_msgs/OccupancyGrid", True, True, 1),
    (topics.NAVIGATION_STATUS, "navigation/status", "diagnostic_msgs/DiagnosticStatus", True, True, 1),
    (topics.NAVIGATION_PATH, "navigation/path", "nav_msgs/Path", True, True, 1),
    (topics.TEAM_COMMAND, "/team/cmd_vel", "geometry_msgs/TwistStamped", True, False, 1),
    (topics.FORMATION_STATUS, "formation/status", "diagnostic_msgs/DiagnosticStatus", True, True, 1),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[1])
def test_topic(row: tuple[Topic, str, str, bool, bool, int]) -> None:
    topic, name, kind, reliable, latched, depth = row
    package = topic.type.__module__.split(".")[0]
    assert (topic.name, f"{package}/{topic.type.__name__}") == (name, kind)
    assert (topic.reliable, topic.latched, topic.depth) == (reliable, latched, depth)


def test_the_table_has_no_other_topic() -> None:
    listed = {row[1] for row in TABLE}
    assert {topic.name for topic in vars(topics).values() if isinstance(topic, Topic)} == listed


def test_services_are_where_an_operator_looks_for_them() -> None:
    assert (topics.SAFETY_ARM, topics.SAFETY_RESET, topics.SAFETY_EMERGENCY_STOP) == (
        "safety/arm",
        "safety/reset",
        "safety/emergency_stop",
    )
    simulation = (topics.SIMULATION_RESET, topics.SIMULATION_STEP, topics.SIMULATION_PAUSE, topics.SIMULATION_PLACE)
    assert simulation == ("simulation/reset", "simulation/step", "simulation/pause", "simulation/place")


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row[1])
def test_the_profile_says_what_the_table_says(row: tuple[Topic, str, str, bool, bool, int]) -> None:
    from rclpy.qos import DurabilityPolicy, HistoryPolicy, ReliabilityPolicy

    from humanoid_rl_ros.nodes.quality import qos

    topic, _, _, reliable, latched, depth = row
    profile = qos(topic)
    assert profile.history is HistoryPolicy.KEEP_LAST
    assert profile.depth == depth
    assert profile.reliability is (ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT)
    assert profile.durability is (DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE)
