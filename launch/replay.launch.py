"""A recording drives the policy and the safety monitor in simulated time; no motor is in reach.

    ros2 launch humanoid_rl_ros replay.launch.py bag:=...
    ros2 launch humanoid_rl_ros replay.launch.py bag:=... policy:=... robot:=... rate:=0.5 record:=answers

Robot, policy and limits are those of the recording unless others are named. The monitor is armed when the recorded one
was, or by itself where that was not recorded. Its joint commands go to replay/joint_effort_controller/commands, where
no driver listens; actuators:=true undoes that. The launch ends with the bag.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import LogInfo, OpaqueFunction

from humanoid_rl_ros.interfaces.topics import JOINT_COMMAND, REPLAYED_COMMAND
from humanoid_rl_ros.nodes.launch_arguments import REPLAY_ARGUMENTS, rate, recorder_parameters
from humanoid_rl_ros.nodes.launching import declared, local_discovery, node_actions, recorder, scratch_folder, values
from humanoid_rl_ros.nodes.replay_graph import replay_parameters


def start(context: LaunchContext) -> list:
    given = values(context, REPLAY_ARGUMENTS)
    actuators = given["actuators"] == "true"
    graph = replay_parameters(
        given["bag"],
        scratch_folder(),
        robot=given["robot"],
        policy=given["policy"],
        get_up=given["get_up"],
        limits=given["limits"],
        base_velocity_topic=given["base_velocity_topic"],
        rate=rate(given["rate"]),
        namespace=given["namespace"],
        actuators=actuators,
        recorded=recorder_parameters(given["record"]) is not None,
    )
    shared = {"namespace": graph.namespace, "remappings": graph.remappings, "required": True}
    warning = f"WARNING: the answers to the bag go to {JOINT_COMMAND.name}: a driver that listens moves the robot"
    return [
        *([LogInfo(msg=warning)] if actuators else []),
        *recorder(given["record"], graph.namespace, () if actuators else (REPLAYED_COMMAND,)),
        *node_actions("safety_monitor", "safety_monitor_node", graph.safety_monitor, **shared),
        *node_actions("policy_node", "policy_node", graph.policy_node, **shared),
        *node_actions("bag_player", "player_node", graph.player, namespace="", remappings=(), required=True, last=True),
    ]


def generate_launch_description() -> LaunchDescription:
    return LaunchDescription([*declared(REPLAY_ARGUMENTS), local_discovery(), OpaqueFunction(function=start)])
