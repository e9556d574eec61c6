"""Every topic of the graph: name, type, quality of service. Names are relative, so that namespaces apply."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Topic:
    """One topic.

    Attributes:
        name: relative to the node's namespace; absolute where ROS fixes it.
        type_name: of its messages, such as ``sensor_msgs/msg/Imu``.
        reliable: reliable or best effort.
        latched: transient local: a late subscriber gets the last message.
        depth: messages kept.
    """

    name: str
    type_name: str
    reliable: bool = True
    latched: bool = False
    depth: int = 1

    @property
    def type(self) -> Any:
        """The message class; imported when it is asked for, so that the table can be read without ROS."""
        package, kind, name = self.type_name.split("/")
        return getattr(import_module(f"{package}.{kind}"), name)


JOINT_STATES = Topic("joint_states", "sensor_msgs/msg/JointState", reliable=False)
IMU = Topic("imu/data", "sensor_msgs/msg/Imu", reliable=False)
VELOCITY_COMMAND = Topic("cmd_vel", "geometry_msgs/msg/TwistStamped")
HAND_TARGETS = Topic("hand_targets", "geometry_msgs/msg/PoseArray")
"""Where the hands are to be: two poses, of the left hand and of the right one, in the frame that the policy names.

Orientations are not read.
"""
POLICY_EFFORT = Topic("policy/joint_effort", "sensor_msgs/msg/JointState")
POLICY_OBSERVATION = Topic("policy/observation", "std_msgs/msg/Float32MultiArray", reliable=False, depth=10)
POLICY_ACTION = Topic("policy/action", "std_msgs/msg/Float32MultiArray", reliable=False, depth=10)
JOINT_COMMAND = Topic("joint_effort_controller/commands", "std_msgs/msg/Float64MultiArray")
SAFETY_STATUS = Topic("safety/status", "diagnostic_msgs/msg/DiagnosticStatus", latched=True)
DIAGNOSTICS = Topic("/diagnostics", "diagnostic_msgs/msg/DiagnosticArray", depth=10)
CLOCK = Topic("/clock", "rosgraph_msgs/msg/Clock", reliable=False)
ODOMETRY = Topic("odom", "nav_msgs/msg/Odometry", depth=10)
SIMULATED_VELOCITY = Topic("simulation/base_velocity", "nav_msgs/msg/Odometry")
"""The true velocity of the base, in the IMU's frame, with every state: for policies that cannot do without."""
FOOT_CONTACTS = Topic("simulation/foot_contacts", "std_msgs/msg/Float32MultiArray", depth=10)
"""Vertical force of the ground on each foot [N], with each odometry message and of its instant.

One number for each foot, 0 while the robot is held. The label of the only dimension names the feet by their bodies, in
order, with `NAME_SEPARATOR` between: ``left_ankle_roll_link,right_ankle_roll_link``.
"""
ROOT_STATE = Topic("simulation/root_state", "sensor_msgs/msg/MultiDOFJointState")
"""The root body with every state, exactly as the physics goes on from it: pose in the world, linear velocity of its
origin in the world, angular velocity in the body. Velocities are NaN once the physics has diverged.
"""
JOINT_TARGET = Topic("simulation/joint_target", "trajectory_msgs/msg/JointTrajectory")
"""Joint positions that a simulation in lock-step reaches for by a PD law of its own, each point up to its time from the
stamp of the state that it answers, before it publishes its next state.
"""
POLICY_JOURNAL = Topic("policy/journal", "std_msgs/msg/UInt8MultiArray", depth=200)
SAFETY_JOURNAL = Topic("safety/journal", "std_msgs/msg/UInt8MultiArray", depth=200)
"""What a node consumed and when, and what it said to it: enough to do it again to the bit."""
POLICY_SETUP = Topic("policy/setup", "std_msgs/msg/String", latched=True)
SAFETY_SETUP = Topic("safety/setup", "std_msgs/msg/String", latched=True)
"""What a node was made of, as JSON: parameters, robot, policies with their digests, limits, software."""
RECORDER_STATUS = Topic("recorder/status", "diagnostic_msgs/msg/DiagnosticStatus", latched=True)
"""What is recorded, and what was lost on the way."""
MAP = Topic("map", "nav_msgs/msg/OccupancyGrid", latched=True)
"""The floor whose obstacles stand in a simulated world."""
NAVIGATION_STATUS = Topic("navigation/status", "diagnostic_msgs/msg/DiagnosticStatus", latched=True)
"""What the navigator does, why, and how far it is to the goal."""
NAVIGATION_PATH = Topic("navigation/path", "nav_msgs/msg/Path", latched=True)
"""The way that the learned policy leads from where the robot is."""
TEAM_COMMAND = Topic("/team/cmd_vel", "geometry_msgs/msg/TwistStamped")
"""Velocity of a formation along its own axes; under whatever its robots' namespaces have in common."""
FORMATION_STATUS = Topic("formation/status", "diagnostic_msgs/msg/DiagnosticStatus", latched=True)
"""What a robot of a team does, why, and whom it misses."""

REPLAYED_COMMAND = f"replay/{JOINT_COMMAND.name}"
"""Where the joint commands go of nodes that are driven by a bag: no driver listens there."""

SAFETY_ARM = "safety/arm"
SAFETY_RESET = "safety/reset"
SAFETY_EMERGENCY_STOP = "safety/emergency_stop"
SWITCH_POLICY = "policy/switch_to/"
"""Before the short name of a policy: the service that makes it the one that runs."""
RECORDER_KEEP = "recorder/keep"
"""The service that makes a flight recorder write what it has in memory."""
SIMULATION_RESET = "simulation/reset"
SIMULATION_STEP = "simulation/step"
SIMULATION_PAUSE = "simulation/pause"
SIMULATION_PLACE = "simulation/place"
"""The service that puts the robot into a state; see `humanoid_rl_ros.interfaces.placement_messages`."""

STANDBY = "standby"
"""`header.frame_id` of a policy effort that shows the policy alive and is not to be sent on."""
STANDBY_CAN_GET_UP = "standby_can_get_up"
"""The same, of a policy node that can get the robot up."""
STANDBY_FRAMES = (STANDBY, STANDBY_CAN_GET_UP)
_STANDBY_BUT = ": "
LONGEST_REFUSAL = 300
"""Of what stands behind one of `STANDBY_FRAMES`: why the policy may not take over as the robot is [characters]."""
# All other efforts and commands have in `header.frame_id` the safety state that they are for.

NAME_SEPARATOR = ","
"""Between the names in the label of an array."""


def standby_frame(standby: str, refusal: str) -> str:
    """One of `STANDBY_FRAMES`, and behind it why the policy may not take over; an empty refusal: it may."""
    return f"{standby}{_STANDBY_BUT}{refusal}" if refusal else standby


def read_standby(frame_id: str) -> tuple[str, str] | None:
    """What `standby_frame` wrote, in one line; None where the effort is no standby."""
    standby, _, refusal = frame_id.partition(_STANDBY_BUT)
    return (standby, " ".join(refusal.split())[:LONGEST_REFUSAL]) if standby in STANDBY_FRAMES else None
