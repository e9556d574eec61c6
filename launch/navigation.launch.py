"""A navigator steers a robot that runs already, here or on another computer, over a floor that it has learned.

    ros2 launch humanoid_rl_ros navigation.launch.py navigation:=my_floor odometry_topic:=odometry/filtered
    ros2 launch humanoid_rl_ros navigation.launch.py navigation:=rooms namespace:=a use_sim_time:=true

The pose comes from the odometry, whose frame stands in the map's at odometry_in_map. When the navigator ends, the robot
stands still.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction

from humanoid_rl_ros.nodes.graph import navigator_parameters
from humanoid_rl_ros.nodes.launch_arguments import NAVIGATION_ARGUMENTS, place
from humanoid_rl_ros.nodes.launching import declared, local_discovery, navigator, values


def start(context: LaunchContext) -> list:
    given = values(context, NAVIGATION_ARGUMENTS)
    parameters = navigator_parameters(
        given["navigation"],
        cmd_vel_type=given["cmd_vel_type"],
        odometry_topic=given["odometry_topic"],
        odometry_in_map=place(given["odometry_in_map"], "odometry_in_map"),
        use_sim_time=given["use_sim_time"] == "true",
    )
    return navigator(parameters, namespace=given["namespace"])


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declared(NAVIGATION_ARGUMENTS), local_discovery(), OpaqueFunction(function=start)])
