"""Every topic of the graph: name, type, quality of service. Names are relative, so that namespaces apply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import TwistStamped
from nav_msgs.msg import Odometry
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Imu, JointState
from std_msgs.msg import Float32MultiArray, Float64MultiArray


@dataclass(frozen=True)
class Topic:
    """One topic.

    Attributes:
        name: relative to the node's namespace; absolute where ROS fixes it.
        type: message class.
        reliable: reliable or best effort.
        latched: transient local: a late subscriber gets the last message.
        depth: messages kept.
    """

    name: str
    type: Any  # message classes of rosidl share no base
    reliable: bool = True
    latched: bool = False
    depth: int = 1


JOINT_STATES = Topic("joint_states", JointState, reliable=False)
IMU = Topic("imu/data", Imu, reliable=False)
VELOCITY_COMMAND = Topic("cmd_vel", TwistStamped)
POLICY_EFFORT = Topic("policy/joint_effort", JointState)
POLICY_OBSERVATION = Topic("policy/observation", Float32MultiArray, reliable=False, depth=10)
POLICY_ACTION = Topic("policy/action", Float32MultiArray, reliable=False, depth=10)
JOINT_COMMAND = Topic("joint_effort_controller/commands", Float64MultiArray)
SAFETY_STATUS = Topic("safety/status", DiagnosticStatus, latched=True)
DIAGNOSTICS = Topic("/diagnostics", DiagnosticArray, depth=10)
CLOCK = Topic("/clock", Clock, reliable=False)
ODOMETRY = Topic("odom", Odometry, depth=10)

SAFETY_ARM = "safety/arm"
SAFETY_RESET = "safety/reset"
SAFETY_EMERGENCY_STOP = "safety/emergency_stop"
SIMULATION_RESET = "simulation/reset"
SIMULATION_STEP = "simulation/step"
SIMULATION_PAUSE = "simulation/pause"

STANDBY = "standby"
"""`header.frame_id` of a policy effort that shows the policy alive and is not to be sent on."""
STANDBY_CAN_GET_UP = "standby_can_get_up"
"""The same, of a policy node that can get the robot up."""
# All other efforts and commands have in `header.frame_id` the safety state that they are for.
