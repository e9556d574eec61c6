"""A game controller or a keyboard steers a robot that runs already, here or on another computer.

    ros2 launch humanoid_rl_ros teleoperation.launch.py
    ros2 launch humanoid_rl_ros teleoperation.launch.py teleop:=keyboard policy:=walk namespace:=a

The nodes are those of joy, teleop_twist_joy, joy_teleop and teleop_twist_keyboard. A shoulder button that is let go, a
pad that is unplugged and a keyboard whose terminal is closed all mean that the robot stands still half a second later.

Discovery stays on this computer. For a robot on another one, set ROS_AUTOMATIC_DISCOVERY_RANGE=SUBNET before.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction

from humanoid_rl_ros.nodes.launch_arguments import TELEOPERATION_ARGUMENTS
from humanoid_rl_ros.nodes.launching import declared, local_discovery, teleoperation, values


def start(context: LaunchContext) -> list:
    given = values(context, TELEOPERATION_ARGUMENTS)
    return teleoperation(given, given["policy"])


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declared(TELEOPERATION_ARGUMENTS), local_discovery(), OpaqueFunction(function=start)])
