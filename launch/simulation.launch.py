"""A simulated humanoid, its policy and its safety monitor.

    ros2 launch humanoid_rl_ros simulation.launch.py
    ros2 launch humanoid_rl_ros simulation.launch.py robot:=... policy:=... command:='0.5 0 0'
    ros2 launch humanoid_rl_ros simulation.launch.py teleop:=joystick
    ros2 launch humanoid_rl_ros simulation.launch.py navigation:=rooms start:='0.6 0.6 0.8'
    ros2 launch humanoid_rl_ros simulation.launch.py policy:=walk_adaptive command:='0.5 0 0' terrain:=0.08

The launch ends when the simulation or the monitor dies. When the policy dies, the monitor damps the robot.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction

from humanoid_rl_ros.nodes.graph import graph_parameters
from humanoid_rl_ros.nodes.launch_arguments import (
    SIMULATION_ARGUMENTS,
    entry_blend,
    get_up,
    hardship,
    place,
    pushes,
    velocity_command,
)
from humanoid_rl_ros.nodes.launching import (
    declared,
    local_discovery,
    navigator,
    node_actions,
    recorder,
    teleoperation,
    values,
)


def start(context: LaunchContext) -> list:
    given = values(context, SIMULATION_ARGUMENTS)
    graph = graph_parameters(
        given["robot"],
        given["policy"],
        given["mode"],
        velocity_command=velocity_command(given["command"]),
        cmd_vel_type=given["cmd_vel_type"],
        base_velocity_topic=given["base_velocity_topic"],
        entry_blend=entry_blend(given["entry_blend"]),
        limits=given["limits"],
        policies=given["policies"].split(),
        get_up=get_up(given["get_up"]),
        pushes=pushes(given["pushes"]),
        arm=given["arm"] == "true",
        floor=given["map"],
        start=place(given["start"], "start"),
        navigation=given["navigation"],
        hardship=hardship(given["terrain"], given["payload"], given["weak_joint"]),
    )
    shared = {"namespace": given["namespace"], "remappings": graph.remappings}
    return [
        *recorder(given["record"], given["namespace"]),
        *teleoperation(given, graph.policy_node["policy"]),
        *navigator(graph.navigator, **shared),
        *node_actions("simulation_bridge", "simulation_bridge_node", graph.simulation_bridge, required=True, **shared),
        *node_actions("safety_monitor", "safety_monitor_node", graph.safety_monitor, required=True, **shared),
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
    return LaunchDescription([*declared(SIMULATION_ARGUMENTS), local_discovery(), OpaqueFunction(function=start)])
