"""Several simulated humanoids in one world, each with its policy and its safety monitor in a namespace of its own.

    ros2 launch humanoid_rl_ros team.launch.py
    ros2 launch humanoid_rl_ros team.launch.py robots:=left,middle,right command:='0.5 0 0'
    ros2 topic pub /left/cmd_vel geometry_msgs/msg/TwistStamped '{twist: {linear: {x: 0.3}}}' -r 10
    ros2 launch humanoid_rl_ros team.launch.py robots:=a,b,c spacing:=1.2 formation:=wedge command:='0.4 0 0'

The launch ends when the world dies. When a robot's policy dies, its monitor damps it; when its monitor dies, the world
does; the others go on.
"""

from datetime import datetime

from launch import LaunchContext, LaunchDescription
from launch.actions import OpaqueFunction

from humanoid_rl_ros.nodes.launch_arguments import (
    TEAM_ARGUMENTS,
    entry_blend,
    get_up,
    numbers,
    one_each,
    team_record,
    velocity_command,
    words,
)
from humanoid_rl_ros.nodes.launching import declared, local_discovery, node_actions, recorder, values
from humanoid_rl_ros.nodes.team_graph import TeamRobot, formation_parameters, team_parameters


def start(context: LaunchContext) -> list:
    given = values(context, TEAM_ARGUMENTS)
    names = words(given["robots"], "robots")
    kinds, policies = (one_each(given[name], name, names) for name in ("robot", "policy"))
    command = velocity_command(given["command"])
    formation = given["formation"].strip()
    own = None if formation else command
    robots = [TeamRobot(*one, command=own) for one in zip(names, kinds, policies, strict=True)]
    team = team_parameters(
        robots,
        given["mode"],
        spacing=numbers(given["spacing"], "spacing")[0] if not given["poses"].strip() else 1.5,
        poses=numbers(given["poses"], "poses"),
        arm=given["arm"] == "true",
        get_up=get_up(given["get_up"]),
        policies=given["policies"].split(),
        entry_blend=entry_blend(given["entry_blend"]),
        cmd_vel_type=given["cmd_vel_type"],
        limits=given["limits"],
    )
    keepers = {}
    if formation:
        keepers = formation_parameters(
            robots,
            formation,
            given["mode"],
            spacing=numbers(given["spacing"], "spacing")[0],
            policy=given["team"],
            on_silence=given["on_silence"],
            command=command,
            cmd_vel_type=given["cmd_vel_type"],
        )
    how = {"remappings": (), "required": False, "respawn": given["respawn"] == "true"}
    began = datetime.now()
    actions = node_actions(
        "world_bridge", "world_bridge_node", team.world_bridge, namespace="", remappings=(), required=True
    )
    for name, graph in team.robots.items():
        actions += recorder(team_record(given["record"], name, began), name)
        actions += node_actions(
            "safety_monitor",
            "safety_monitor_node",
            graph.safety_monitor,
            namespace=name,
            on_loss=f"the world damps robot '{name}'",
            **how,
        )
        actions += node_actions(
            "policy_node",
            "policy_node",
            graph.policy_node,
            namespace=name,
            on_loss=f"the safety monitor damps robot '{name}'",
            **how,
        )
        if name in keepers:
            actions += node_actions(
                "formation",
                "formation_node",
                keepers[name],
                namespace=name,
                on_loss=f"robot '{name}' stands, and the others wait for it",
                **how,
            )
    return actions


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declared(TEAM_ARGUMENTS), local_discovery(), OpaqueFunction(function=start)])
