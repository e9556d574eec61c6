"""What the nodes of the running graph are told, worked out once from a robot and a policy.

Whoever starts them, launch files or the command line, takes it from here. Nothing of ROS is imported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from humanoid_rl_ros.behaviours.walk import pose_and_gains
from humanoid_rl_ros.core.errors import ConfigError, ContractError, did_you_mean
from humanoid_rl_ros.nodes.choices import MODES
from humanoid_rl_ros.nodes.onboard_profile import OnboardProfile
from humanoid_rl_ros.policies.bundle import ESTIMATOR, GROUND_TRUTH
from humanoid_rl_ros.policies.contract import require_contract
from humanoid_rl_ros.resources import (
    default_get_up,
    default_policy,
    find_map,
    find_navigation,
    find_policy,
    find_robot,
    map_file,
    safety_file,
)
from humanoid_rl_ros.safety.limits import load_safety_limits

TRUE_VELOCITY = "simulation/base_velocity"
REMAPPINGS = (("/clock", "clock"), ("/tf", "tf"))
"""Absolute names that follow the namespace, so that two robots in one graph have each its own time and transforms."""


@dataclass(frozen=True)
class GraphParameters:
    """Parameters of each node, by node name, and what is the same for all.

    Attributes:
        simulation_bridge: of `simulation_bridge`; empty when a robot takes its place.
        policy_node: of `policy_node`.
        safety_monitor: of `safety_monitor`.
        navigator: of `navigator`; empty where none runs.
        remappings: topic names as pairs (from, to), for every node.
    """

    policy_node: Mapping[str, Any]
    safety_monitor: Mapping[str, Any]
    simulation_bridge: Mapping[str, Any] = field(default_factory=dict)
    navigator: Mapping[str, Any] = field(default_factory=dict)
    remappings: tuple[tuple[str, str], ...] = ()


def graph_parameters(
    robot: str,
    policy: str,
    mode: str = "realtime",
    *,
    velocity_command: Sequence[float] | None = None,
    cmd_vel_type: str = "twist_stamped",
    base_velocity_topic: str = "",
    entry_blend: float | None = None,
    limits: str = "",
    get_up: str | None = None,
    policies: Sequence[str] = (),
    arm: bool = True,
    stop_after: float = 0.0,
    pushes: Sequence[float] = (),
    seed: int | None = None,
    floor: str = "",
    start: Sequence[float] = (),
    navigation: str = "",
    hardship: Mapping[str, Any] | None = None,
) -> GraphParameters:
    """The simulated robot, its policy and its safety monitor.

    The simulation sends joint states at the rate the PD law was trained at, and the robot stands in the pose the policy
    starts from.

    Args:
        robot: a shipped robot's name, a robot YAML, or a model file.
        policy: a shipped bundle's name, or a folder; empty for the one shipped for this robot.
        mode: ``realtime`` or ``lockstep``.
        velocity_command: linear x, y [m/s], angular z [rad/s] to follow all the time; None to listen to cmd_vel.
        cmd_vel_type: ``twist_stamped`` or ``twist``.
        base_velocity_topic: odometry of an estimator, for policies that observe the base's velocity; empty: the
            simulation's own, which is the truth.
        entry_blend: time to take over from the measured pose [s]; None for the bundle's own.
        limits: safety YAML; empty for the shipped one.
        get_up: bundle that gets the robot up after a fall, as `policy`; empty: none; None: the one shipped for this
            robot, if there is one.
        policies: further bundles, as `policy`, that the node can change to.
        arm: whether the monitor arms itself when it is ready.
        stop_after: simulated time after release at which the simulation pauses [s]; 0: never.
        pushes: shoves of the base, four numbers each: simulated time after release [s], what they add to its velocity
            in the world [m/s].
        seed: of the small perturbation at reset; None for none.
        floor: map whose obstacles stand in the world; empty: those of the navigation bundle, if any.
        start: where the robot stands at reset: x, y [m], yaw [rad]; empty: where its model puts it.
        navigation: navigation bundle that a navigator follows by cmd_vel; empty: no navigator.
        hardship: the bridge's parameters of hills, load and weak joint; None for none.

    Returns:
        The parameters of the three nodes, and of the navigator.

    Raises:
        HumanoidError: robot, policy or limits are not there or malformed, or do not fit each other.
    """
    if mode not in MODES:
        raise ConfigError(f"no mode '{mode}'; {did_you_mean(mode, MODES)}")
    policy = policy or default_policy(find_robot(robot))
    source = ESTIMATOR if base_velocity_topic else GROUND_TRUTH
    pose, rate = _checked(robot, [policy, *policies], limits, source)
    needing = [name for name in (policy, *policies) if find_policy(name).needs_base_linear_velocity]
    needs_truth = source == GROUND_TRUTH and bool(needing)
    if needs_truth:
        base_velocity_topic = TRUE_VELOCITY
    command_type = "joint_state" if mode == "lockstep" else "float64_multi_array"
    shared = {"robot": robot, "mode": mode, "use_sim_time": True, "autostart": True}
    bridge = {
        **shared,
        "command_type": command_type,
        "state_rate": rate,
        "initial_position": pose,
        "stop_after": stop_after,
        "publish_base_velocity": needs_truth,
    }
    if pushes:
        bridge["pushes"] = [float(number) for number in pushes]
    if seed is not None:
        bridge["seed"] = seed
    if start:
        bridge["start"] = [float(number) for number in start]
    if navigation and velocity_command is not None:
        raise ConfigError("a navigator steers by cmd_vel, which a fixed velocity command overrules: leave one out")
    navigator = navigator_parameters(navigation, cmd_vel_type=cmd_vel_type) if navigation else {}
    if floor:
        find_map(floor)
    if floor or navigation:
        bridge["map"] = str((map_file(floor) if floor else find_navigation(navigation).map_file).absolute())
    bridge |= hardship or {}
    return GraphParameters(
        simulation_bridge=bridge,
        policy_node={
            **shared,
            **_policy(policy, velocity_command, cmd_vel_type, base_velocity_topic, entry_blend),
            "base_velocity_source": source,
            **_further(policies),
            "get_up": _shipped_get_up(robot) if get_up is None else _fitting_get_up(robot, get_up),
        },
        safety_monitor={
            **shared,
            "command_type": command_type,
            "limits": limits,
            "auto_arm": arm,
            "state_rate": rate,
        },
        navigator=navigator,
        remappings=REMAPPINGS,
    )


def robot_parameters(
    robot: str,
    policy: str,
    *,
    command_type: str = "float64_multi_array",
    cmd_vel_type: str = "twist_stamped",
    base_velocity_topic: str = "",
    entry_blend: float | None = None,
    limits: str = "",
    get_up: str = "",
    policies: Sequence[str] = (),
    profile: OnboardProfile | None = None,
) -> GraphParameters:
    """The policy and the safety monitor of a real robot: its own clock, and armed by nobody but the operator.

    Args:
        robot, policy, cmd_vel_type, entry_blend, limits, policies: as of `graph_parameters`.
        base_velocity_topic: odometry of an estimator, for policies that observe the base's velocity; empty: what the
            robot's YAML names, if anything.
        get_up: bundle that gets the robot up after a fall; empty: none. A real robot does not get up unasked.
        command_type: ``float64_multi_array`` or ``joint_state``: what the robot's driver takes.
        profile: how the nodes run on the robot's computer; its entry blend is that of policies of which none was said.

    Returns:
        The parameters of the two nodes.

    Raises:
        HumanoidError: as of `graph_parameters`.
    """
    base_velocity_topic = base_velocity_topic or find_robot(robot).base_velocity_topic
    _checked(robot, [policy, *policies], limits, ESTIMATOR if base_velocity_topic else "")
    shared = {"robot": robot, "mode": "realtime", "use_sim_time": False, "autostart": True}
    return GraphParameters(
        policy_node={
            **shared,
            **(profile.policy_parameters() if profile else {}),
            **_policy(policy, None, cmd_vel_type, base_velocity_topic, entry_blend),
            "get_up": _fitting_get_up(robot, get_up),
            **_further(policies),
        },
        safety_monitor={
            **shared,
            **(profile.monitor_parameters() if profile else {}),
            "command_type": command_type,
            "limits": limits,
            "auto_arm": False,
        },
    )


def navigator_parameters(
    navigation: str,
    *,
    cmd_vel_type: str = "twist_stamped",
    odometry_topic: str = "odom",
    odometry_in_map: Sequence[float] = (),
    use_sim_time: bool = True,
) -> dict[str, Any]:
    """Of a navigator alone.

    Args:
        navigation: navigation bundle.
        cmd_vel_type: ``twist_stamped`` or ``twist``.
        odometry_topic: of the robot's pose.
        odometry_in_map: where the odometry's frame stands in the map's: x, y [m], yaw [rad]; empty: they are one.
        use_sim_time: whether time is a simulation's.

    Raises:
        HumanoidError: the bundle is not there, malformed, or its network does not fit its grid.
    """
    bundle = find_navigation(navigation)
    bundle.load_policy()
    return {
        "navigation": str(bundle.folder.absolute()),
        "command_type": cmd_vel_type,
        "odometry_topic": odometry_topic,
        **({"odometry_in_map": [float(number) for number in odometry_in_map]} if odometry_in_map else {}),
        "use_sim_time": use_sim_time,
        "autostart": True,
    }


def _further(policies: Sequence[str]) -> dict[str, Any]:
    return {"policies": list(policies)} if policies else {}


def _checked(robot_name: str, policies: Sequence[str], limits: str, base_velocity: str) -> tuple[list[float], float]:
    """Pose and PD rate of the first; what a node would refuse is refused here, before anything has started."""
    robot = find_robot(robot_name)
    bundles = [find_policy(policy) for policy in policies]
    for bundle in bundles:
        require_contract(bundle, robot, base_velocity=base_velocity)
    bundle = bundles[0]
    load_safety_limits(safety_file(limits))
    pose, _ = pose_and_gains(bundle, robot)
    return [float(value) for value in pose], float(bundle.pd_rate)


def _fitting_get_up(robot: str, get_up: str) -> str:
    """The bundle asked for, or none; refused where it does not fit."""
    if get_up:
        require_contract(find_policy(get_up), find_robot(robot))
    return get_up


def _shipped_get_up(robot: str) -> str:
    """The one that is shipped for a robot of this name, if it fits the robot that is there."""
    try:
        return _fitting_get_up(robot, default_get_up(find_robot(robot)))
    except ContractError:
        return ""


def _policy(
    policy: str,
    velocity_command: Sequence[float] | None,
    cmd_vel_type: str,
    base_velocity_topic: str,
    blend: float | None,
) -> dict[str, Any]:
    parameters: dict[str, Any] = {
        "policy": policy,
        "use_cmd_vel": velocity_command is None,
        "command_type": cmd_vel_type,
        "base_velocity_topic": base_velocity_topic,
    }
    if velocity_command is not None:
        if len(velocity_command) != 3:
            raise ConfigError(f"a velocity command is 3 numbers, x y yaw; found {len(velocity_command)}")
        parameters["velocity_command"] = [float(value) for value in velocity_command]
    if blend is not None:
        parameters["entry_blend"] = float(blend)
    return parameters
