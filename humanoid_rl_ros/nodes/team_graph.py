"""What the nodes of several robots in one world are told. Nothing of ROS is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from humanoid_rl_ros.control.formation_keeper import LAW, KeeperSettings
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.formation import slots
from humanoid_rl_ros.nodes.graph import GraphParameters, graph_parameters
from humanoid_rl_ros.resources import DEFAULT_ROBOT, find_team

STANDSTILL_S = 10.0
"""In lock-step, wall time for which the world may wait for a robot, and those for the machine, before a robot of a
formation counts as silent."""
MONITOR_TIMEOUT_S = 3.0
"""In lock-step, wall time without a policy effort after which a robot's own monitor damps it: before the world gives
the robot up, which takes `lockstep_timeout` of the world."""


@dataclass(frozen=True)
class TeamRobot:
    """One robot of a team.

    Attributes:
        name: its namespace.
        robot: what it is: a shipped robot's name, a robot YAML, or a model file.
        policy: a shipped bundle's name, or a folder; empty for the one shipped for this robot.
        command: linear x, y [m/s], angular z [rad/s] to follow all the time; None to listen to its cmd_vel.
    """

    name: str
    robot: str = DEFAULT_ROBOT
    policy: str = ""
    command: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class TeamParameters:
    """Parameters of each node.

    Attributes:
        world_bridge: of `world_bridge`.
        robots: of `policy_node` and `safety_monitor` of each robot, by its name.
    """

    world_bridge: Mapping[str, Any]
    robots: Mapping[str, GraphParameters]


def team_parameters(
    robots: Sequence[TeamRobot],
    mode: str = "realtime",
    *,
    spacing: float = 1.5,
    poses: Sequence[float] = (),
    arm: bool = True,
    stop_after: float = 0.0,
    seed: int | None = None,
    **shared: Any,
) -> TeamParameters:
    """Robots in one world, each with a policy and a safety monitor in its namespace.

    Args:
        robots: the team.
        mode: ``realtime`` or ``lockstep``.
        spacing: of robots that start side by side [m].
        poses: where they start instead, three numbers for each: x, y [m], yaw [rad].
        arm: whether the monitors arm themselves when they are ready.
        stop_after: simulated time after release at which the simulation pauses [s]; 0: never.
        seed: of the small perturbations at reset; None for none.
        shared: for all robots, as of `graph_parameters`: limits, get_up, cmd_vel_type, entry_blend and so on.

    Raises:
        HumanoidError: as of `graph_parameters`, or two policies want states at different rates.
    """
    if not robots:
        raise ConfigError("a team needs robots; name them, such as left,right")
    graphs = {
        member.name: graph_parameters(
            member.robot, member.policy, mode, velocity_command=member.command, arm=arm, **shared
        )
        for member in robots
    }
    if len(graphs) < len(robots):
        raise ConfigError(f"two robots of the team have one name: {', '.join(member.name for member in robots)}")
    bridges = [graph.simulation_bridge for graph in graphs.values()]
    rates = {name: graph.simulation_bridge["state_rate"] for name, graph in graphs.items()}
    if len(set(rates.values())) > 1:
        said = ", ".join(f"{name}: {rate:g} Hz" for name, rate in rates.items())
        raise ConfigError(f"a world has one rate of states, and the policies of its robots want several: {said}")
    world: dict[str, Any] = {
        **{name: value for name, value in bridges[0].items() if name not in ("robot", "initial_position")},
        "robots": [member.name for member in robots],
        "kinds": [member.robot for member in robots],
        "initial_position": [number for bridge in bridges for number in bridge["initial_position"]],
        "stop_after": float(stop_after),
        "publish_base_velocity": any(bridge["publish_base_velocity"] for bridge in bridges),
    }
    world |= {"poses": [float(number) for number in poses]} if poses else {"spacing": float(spacing)}
    if seed is not None:
        world["seed"] = seed
    return TeamParameters(world, {name: _of_team(graph) for name, graph in graphs.items()})


def formation_parameters(
    robots: Sequence[TeamRobot],
    shape: str,
    mode: str = "realtime",
    *,
    spacing: float,
    policy: str = "formation",
    on_silence: str = "stop",
    command: Sequence[float] | None = None,
    cmd_vel_type: str = "twist_stamped",
) -> dict[str, dict[str, Any]]:
    """Of the `formation_node` of each robot, by its name.

    Args:
        robots: the team, in the order of the slots; none of them with a command of its own.
        shape: of the formation.
        mode: ``realtime`` or ``lockstep``, in which time may stand still, and nobody is silent because of that.
        spacing: between neighbours [m].
        policy: team bundle, or ``law``.
        on_silence: ``stop`` or ``go_on``.
        command: velocity of the formation while nobody says another, x, y, yaw [m/s, m/s, rad/s]; None: zero.
        cmd_vel_type: ``twist_stamped`` or ``twist``.

    Raises:
        HumanoidError: there is no such shape or policy, a word is none of its choices, or a robot follows a command of
            its own.
    """
    if commanded := [member.name for member in robots if member.command is not None]:
        raise ConfigError(f"robot '{commanded[0]}' follows a command of its own, so it can keep no formation")
    slots(shape, len(robots), spacing)
    KeeperSettings(on_silence=on_silence)
    if policy != LAW:
        find_team(policy)
    shared: dict[str, Any] = {
        "members": [member.name for member in robots],
        "team": policy,
        "shape": shape,
        "spacing": float(spacing),
        "on_silence": on_silence,
        "command_type": cmd_vel_type,
        "velocity_command": [float(number) for number in command or (0.0, 0.0, 0.0)],
        "use_sim_time": True,
        "autostart": True,
    }
    if mode == "lockstep":
        shared |= {"odometry_timeout": STANDSTILL_S, "command_timeout": STANDSTILL_S}
    return {member.name: dict(shared) for member in robots}


def _of_team(graph: GraphParameters) -> GraphParameters:
    """Without a simulation of its own, and with the clock and the transforms of all."""
    monitor = {**graph.safety_monitor, "lockstep_timeout": MONITOR_TIMEOUT_S}
    return GraphParameters(policy_node=graph.policy_node, safety_monitor=monitor)
