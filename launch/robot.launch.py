"""The policy and the safety monitor of a real robot, for its own computer; the robot's driver is started elsewhere.

    ros2 launch humanoid_rl_ros robot.launch.py robot:=... policy:=...
    ros2 service call /safety/arm std_srvs/srv/SetBool '{data: true}'

The monitor comes up DISARMED: nothing but damping leaves it until an operator arms it. It is started again when it
dies, DISARMED, because damping is better than whatever the driver does without commands. The policy is not: what
made it die is to be looked at first, and the monitor damps the robot meanwhile.

The profile says which real-time priority, memory lock and CPUs the nodes ask for, how long the policy's entry blend
is, and how fast it may move a joint there. What must hold before the robot can be armed, the monitor logs and shows on
/diagnostics (gate_*).

Discovery stays on this computer. For an operator on another one, set ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET before.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import LogInfo, OpaqueFunction

from humanoid_rl_ros.nodes.graph import robot_parameters
from humanoid_rl_ros.nodes.launch_arguments import ROBOT_ARGUMENTS, entry_blend
from humanoid_rl_ros.nodes.launching import declared, local_discovery, node_actions, recorder, teleoperation, values
from humanoid_rl_ros.nodes.onboard_profile import find_profile


def start(context: LaunchContext) -> list:
    given = values(context, ROBOT_ARGUMENTS)
    graph = robot_parameters(
        given["robot"],
        given["policy"],
        command_type=given["command_type"],
        cmd_vel_type=given["cmd_vel_type"],
        base_velocity_topic=given["base_velocity_topic"],
        entry_blend=entry_blend(given["entry_blend"]),
        limits=given["limits"],
        policies=given["policies"].split(),
        get_up=given["get_up"],
        profile=find_profile(given["profile"]),
    )
    shared = {"namespace": given["namespace"], "remappings": graph.remappings, "required": False}
    space = given["namespace"].strip("/")
    arm = f"{'/' + space if space else ''}/safety/arm"
    how = f"the robot is damped until somebody arms it: ros2 service call {arm} std_srvs/srv/SetBool '{{data: true}}'"
    return [
        LogInfo(msg=how),
        *recorder(given["record"], given["namespace"]),
        *teleoperation(given, given["policy"]),
        *node_actions(
            "safety_monitor",
            "safety_monitor_node",
            graph.safety_monitor,
            respawn=True,
            on_loss="starting it again, DISARMED",
            **shared,
        ),
        *node_actions(
            "policy_node",
            "policy_node",
            graph.policy_node,
            on_loss="the safety monitor damps the robot; end the launch and look at what happened",
            **shared,
        ),
    ]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declared(ROBOT_ARGUMENTS), local_discovery(), OpaqueFunction(function=start)])
