"""A humanoid in Gazebo, its policy and its safety monitor.

    ros2 launch humanoid_rl_ros gazebo.launch.py
    ros2 launch humanoid_rl_ros gazebo.launch.py robot:=... policy:=... command:='0.5 0 0' gui:=false

World, robot description, controllers and bridge are written into a scratch folder, or taken from folder:=, where
`humanoid_rl robot export` wrote them. Gazebo holds the joints until the monitor is ACTIVE; then the effort controller
starts. The launch ends when Gazebo or the monitor does: nothing in Gazebo damps a robot whose commands have stopped.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction

from humanoid_rl_ros.description.options import sourced_distribution
from humanoid_rl_ros.nodes.gazebo_graph import gazebo_graph, require_packages
from humanoid_rl_ros.nodes.gazebo_launching import effort_at_once, effort_when_active, gazebo_actions
from humanoid_rl_ros.nodes.launch_arguments import GAZEBO_ARGUMENTS, entry_blend, get_up, speed, velocity_command
from humanoid_rl_ros.nodes.launching import (
    declared,
    is_installed,
    local_discovery,
    node_actions,
    recorder,
    scratch_folder,
    teleoperation,
    values,
)


def start(context: LaunchContext) -> list:
    given = values(context, GAZEBO_ARGUMENTS)
    require_packages(is_installed, sourced_distribution())
    namespace = given["namespace"]
    graph = gazebo_graph(
        given["robot"],
        given["policy"],
        scratch_folder,
        folder=given["folder"],
        namespace=namespace,
        real_time_factor=speed(given["real_time_factor"]),
        velocity_command=velocity_command(given["command"]),
        cmd_vel_type=given["cmd_vel_type"],
        base_velocity_topic=given["base_velocity_topic"],
        entry_blend=entry_blend(given["entry_blend"]),
        limits=given["limits"],
        policies=given["policies"].split(),
        get_up=get_up(given["get_up"]),
        arm=given["arm"] == "true",
    )
    if given["train"] == "true":
        return [*gazebo_actions(graph, namespace, gui=given["gui"] == "true"), effort_at_once(namespace)]
    # Gazebo has one clock for all: unlike with the other simulation, /clock stays where it is.
    shared = {"namespace": namespace, "remappings": ()}
    monitor = node_actions("safety_monitor", "safety_monitor_node", graph.safety_monitor, required=True, **shared)
    return [
        *recorder(given["record"], namespace),
        *teleoperation(given, graph.policy_node["policy"]),
        *gazebo_actions(graph, namespace, gui=given["gui"] == "true"),
        effort_when_active(monitor[-1], namespace),
        *monitor,
        *node_actions(
            "policy_node",
            "policy_node",
            graph.policy_node,
            required=False,
            on_loss="the safety monitor damps the robot",
            **shared,
        ),
    ]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declared(GAZEBO_ARGUMENTS), local_discovery(), OpaqueFunction(function=start)])
