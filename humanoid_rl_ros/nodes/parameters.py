"""Parameters of the nodes: declared with text, range and read-only flag, read into frozen dataclasses."""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from humanoid_rl_ros.behaviours.start_gate import ANY_DISTANCE
from humanoid_rl_ros.control.formation_keeper import ON_SILENCE
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.planar import PlanarPose
from humanoid_rl_ros.nodes.choices import CMD_VEL_TYPES, COMMAND_TYPES, MODES
from humanoid_rl_ros.policies.bundle import BASE_VELOCITY_SOURCES, ESTIMATOR

Parameters = TypeVar("Parameters")
_LISTS = {
    float: Parameter.Type.DOUBLE_ARRAY,
    int: Parameter.Type.INTEGER_ARRAY,
    str: Parameter.Type.STRING_ARRAY,
}


def parameter(
    default: Any,
    description: str,
    *,
    least: float | None = None,
    most: float | None = None,
    choices: tuple[str, ...] = (),
    read_only: bool = True,
    each: type = float,
) -> Any:
    """A dataclass field that becomes a ROS parameter.

    Args:
        default: value when nobody sets it.
        description: what `ros2 param describe` shows.
        least, most: range of a number; both or neither.
        choices: words allowed.
        read_only: whether it is fixed when the node starts.
        each: of what a list is one: float, int or str.

    Returns:
        The field.
    """
    metadata = {
        "description": description,
        "least": least,
        "most": most,
        "choices": choices,
        "read_only": read_only,
        "each": each,
    }
    return field(default=default, metadata=metadata)


def _descriptor(item: Field[Any]) -> ParameterDescriptor:
    meta = item.metadata
    text = meta["description"] + (f" One of: {', '.join(meta['choices'])}." if meta["choices"] else "")
    descriptor = ParameterDescriptor(description=text, read_only=meta["read_only"])
    if meta["choices"]:
        descriptor.additional_constraints = f"one of {', '.join(meta['choices'])}"
    if meta["least"] is not None:
        if isinstance(item.default, int):
            descriptor.integer_range = [IntegerRange(from_value=int(meta["least"]), to_value=int(meta["most"]), step=1)]
        else:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(meta["least"]), to_value=float(meta["most"]), step=0.0)
            ]
    return descriptor


def declare(node: Node, kind: type[Any]) -> None:
    """Declare every field of a parameter dataclass on a node.

    Raises:
        rclpy's own errors, naming the parameter, when a value given at start has the wrong type or is out of range.
    """
    for item in fields(kind):
        # An empty list has no element type to infer; unset means empty.
        default = list(item.default) if isinstance(item.default, tuple) else item.default
        empty = _LISTS[item.metadata["each"]]
        node.declare_parameter(item.name, empty if default == [] else default, _descriptor(item))


def read(node: Node, kind: type[Parameters]) -> Parameters:
    """The values now.

    Raises:
        ConfigError: a word is not among the choices.
    """
    values: dict[str, Any] = {}
    for item in fields(kind):  # type: ignore[arg-type]  # a dataclass by contract of this module
        unset = Parameter(item.name, value=item.default)
        value = node.get_parameter_or(item.name, unset).value
        if item.metadata["choices"] and value not in item.metadata["choices"]:
            raise ConfigError(
                f"parameter '{item.name}' must be one of {', '.join(item.metadata['choices'])}, found '{value}'"
            )
        values[item.name] = tuple(value) if isinstance(item.default, tuple) else value
    return kind(**values)


def planar_parameter(name: str, numbers: tuple[float, ...]) -> PlanarPose:
    """A list parameter as x, y [m] and yaw [rad]; empty: the origin, without yaw: 0.

    Raises:
        ConfigError: there are not two or three numbers, or one is not finite.
    """
    if len(numbers) not in (0, 2, 3):
        raise ConfigError(f"parameter '{name}' needs x y, or x y yaw; found {len(numbers)} numbers")
    try:
        return PlanarPose(*numbers)
    except ConfigError as error:
        raise ConfigError(f"parameter '{name}': {error}") from None


@dataclass(frozen=True)
class NodeParameters:
    """Parameters of every node."""

    robot: str = parameter("", "Robot: name of a shipped robot, a robot YAML, or a model file (MJCF, URDF).")
    diagnostics_period: float = parameter(1.0, "Time between diagnostics [s].", least=0.05, most=60.0)
    autostart: bool = parameter(False, "Whether the node configures and activates itself.")


@dataclass(frozen=True)
class ControlParameters(NodeParameters):
    """Parameters of the nodes between a robot's sensors and its motors: what they ask of the machine."""

    realtime_priority: int = parameter(
        0, "Real-time priority (SCHED_FIFO) from activation on; 0: none. Denied, the node says so.", least=0, most=98
    )
    lock_memory: bool = parameter(False, "Whether memory is locked from activation on. Denied, the node says so.")
    cpus: tuple[int, ...] = parameter(
        (),
        "CPUs that the node runs on from activation on; empty: any. Where one is missing, the node says so.",
        each=int,
    )


@dataclass(frozen=True)
class PolicyParameters(ControlParameters):
    """Parameters of `policy_node`."""

    policy: str = parameter("", "Policy bundle: a folder with policy.yaml, or the name of a shipped bundle.")
    policies: tuple[str, ...] = parameter(
        (),
        "Further bundles, as `policy`, each with a service policy/switch_to/NAME that makes it the one that runs. Set "
        "at run time, they are loaded in the background; what cannot be loaded is refused by its service.",
        read_only=False,
        each=str,
    )
    switch_blend: float = parameter(
        0.5,
        "Time in which a policy takes over from another that runs [s]; 0: only while disarmed.",
        least=0.0,
        most=60.0,
    )
    get_up: str = parameter(
        "", "Policy bundle that gets the robot up after a fall: a folder, or the name of a shipped bundle; empty: none."
    )
    mode: str = parameter("realtime", "How joint states and IMU messages are paired.", choices=MODES)
    entry_blend: float = parameter(
        -1.0, "Time to take over from the measured pose [s]; negative: the bundle's own.", least=-1.0, most=60.0
    )
    resume_blend: float = parameter(
        0.3, "Time in which the policy takes over from the robot that has got up [s].", least=0.0, most=60.0
    )
    start_speed: float = parameter(
        2.0,
        "Joint speed towards its start pose above which a policy does not take over: longer blends are slower [rad/s].",
        least=0.1,
        most=100.0,
    )
    start_distance: float = parameter(
        0.1, "Distance of a joint from that pose that needs no blend [rad].", least=0.0, most=ANY_DISTANCE
    )
    warm_up: int = parameter(
        20,
        "Inferences, with their PD ticks, before the node is configured, of which nothing remains.",
        least=0,
        most=10000,
    )
    velocity_command: tuple[float, ...] = parameter(
        (0.0, 0.0, 0.0), "Velocity followed while cmd_vel is not used: linear x, y [m/s], angular z [rad/s]."
    )
    use_cmd_vel: bool = parameter(True, "Whether to follow the cmd_vel topic; otherwise velocity_command is followed.")
    command_type: str = parameter("twist_stamped", "Message type of cmd_vel.", choices=CMD_VEL_TYPES)
    command_timeout: float = parameter(
        0.5, "Age of the last cmd_vel after which zero velocity is followed [s].", least=0.05, most=10.0
    )
    base_velocity_topic: str = parameter(
        "",
        "nav_msgs/Odometry topic of the base's velocity, for policies that observe it; empty for none.",
    )
    base_velocity_source: str = parameter(
        ESTIMATOR, "What speaks there: an estimator, or a simulation that knows.", choices=BASE_VELOCITY_SOURCES
    )
    base_velocity_timeout: float = parameter(
        0.1, "Age of the last estimate of the base's velocity after which no effort is given [s].", least=0.01, most=2.0
    )
    publish_observation: bool = parameter(True, "Whether to publish what the network saw and said.")


@dataclass(frozen=True)
class SafetyParameters(ControlParameters):
    """Parameters of `safety_monitor_node`."""

    limits: str = parameter("", "Safety YAML; empty for the shipped one.")
    mode: str = parameter("realtime", "How joint states and IMU messages are paired.", choices=MODES)
    command_type: str = parameter(
        "float64_multi_array", "Message type of the joint commands; lock-step needs joint_state.", choices=COMMAND_TYPES
    )
    state_rate: float = parameter(
        0.0,
        "Rate of joint states that is meant [Hz]: twice that is no flood, whatever the limits say; 0: they alone.",
        least=0.0,
        most=5000.0,
    )
    records: str = parameter(
        "", "Folder for what happened in the minute before a fault or a reset; empty: humanoid_rl_safety in ROS_HOME."
    )
    auto_arm: bool = parameter(False, "Arm by itself the first time it is READY. For simulation only.")
    lockstep_timeout: float = parameter(
        5.0, "In lock-step, wall time without a policy effort after which damping begins [s].", least=0.1, most=600.0
    )


@dataclass(frozen=True)
class PhysicsParameters(NodeParameters):
    """Parameters of the nodes that simulate."""

    mode: str = parameter("realtime", "Step by the wall clock, or wait for each command.", choices=MODES)
    command_type: str = parameter(
        "float64_multi_array", "Message type of the joint commands; lock-step needs joint_state.", choices=COMMAND_TYPES
    )
    state_rate: float = parameter(500.0, "Rate of joint states in simulated time [Hz].", least=10.0, most=5000.0)
    physics_timestep: float = parameter(
        0.0, "Physics time step [s]; 0: the largest up to 2 ms that divides the state period.", least=0.0, most=0.02
    )
    initial_position: tuple[float, ...] = parameter(
        (), "Pose at reset, in the robot's joint order [rad]; empty: its default pose."
    )
    hold_until_armed: bool = parameter(
        True, "Whether the robot is held where it stands, as by a gantry, until a command comes from an armed monitor."
    )
    command_timeout: float = parameter(
        0.1, "Age of the last command after which the motors damp by themselves [s].", least=0.005, most=10.0
    )
    lockstep_timeout: float = parameter(
        5.0,
        "In lock-step, wall time without the awaited command after which the motors damp [s]; 1e9: never.",
        least=0.1,
        most=1e9,
    )
    stop_after: float = parameter(
        0.0,
        "Simulated time after release at which the simulation pauses, or in real time holds the robot [s]; 0: never.",
        least=0.0,
        most=1e6,
    )
    publish_clock: bool = parameter(True, "Whether to publish /clock.")
    publish_tf: bool = parameter(True, "Whether to publish the base's transform, where tf2_msgs is installed.")
    odometry_rate: float = parameter(
        50.0, "Rate of the ground-truth odometry in simulated time [Hz].", least=1.0, most=5000.0
    )
    publish_base_velocity: bool = parameter(
        False, "Whether to publish the true velocity of the base with every state, for policies that observe it."
    )
    publish_foot_contacts: bool = parameter(
        True, "Whether to publish the force of the ground on each foot with every odometry message."
    )
    parent: int = parameter(
        0, "Process without which the node ends: the one that started it; 0: none.", least=0, most=2**31 - 1
    )
    base_frame: str = parameter("base_link", "Frame id of the robot's base.")
    odometry_frame: str = parameter("odom", "Frame id of the world.")
    seed: int = parameter(-1, "Seed of the small perturbation at reset; negative: none.", least=-1, most=2**31 - 1)


@dataclass(frozen=True)
class SimulationParameters(PhysicsParameters):
    """Parameters of `simulation_bridge_node`."""

    pushes: tuple[float, ...] = parameter(
        (),
        "Shoves of the base, four numbers each: simulated time after release [s], and what they add to its velocity "
        "in the world [m/s].",
    )
    terrain: float = parameter(
        0.0, "Height of hills around the place where the robot starts [m]; 0: an even floor.", least=0.0, most=0.5
    )
    payload: float = parameter(0.0, "Load, as a share of the robot's mass.", least=0.0, most=2.0)
    payload_on: str = parameter("*torso*", "Pattern of the name of the body that carries the load; empty: the root.")
    weak_joint: str = parameter("", "Joint that gives a share of the effort it is asked for alone; empty: none.")
    weak_share: float = parameter(0.5, "That share.", least=0.0, most=1.0)
    publish_root_state: bool = parameter(
        False, "Whether to publish the exact state of the root body with every state, for environments that learn."
    )
    map: str = parameter(
        "", "Map of the floor whose obstacles stand in the world: a shipped map, or its YAML; empty: an empty floor."
    )
    start: tuple[float, ...] = parameter(
        (), "Where the robot stands at reset, x, y [m], yaw [rad] in the world; empty: where its model puts it."
    )


@dataclass(frozen=True)
class WorldParameters(PhysicsParameters):
    """Parameters of `world_bridge_node`."""

    robots: tuple[str, ...] = parameter((), "Names of the robots; each is the namespace of one.", each=str)
    kinds: tuple[str, ...] = parameter(
        (), "What the robots are, one for each, as parameter robot; empty: all are what that says.", each=str
    )
    spacing: float = parameter(
        1.5, "Distance of the robots, which start side by side along y [m].", least=0.1, most=100.0
    )
    poses: tuple[float, ...] = parameter(
        (), "Where the robots start instead, three numbers for each: x, y [m], yaw [rad]; empty: side by side."
    )
    initial_position: tuple[float, ...] = parameter(
        (),
        "Poses at reset, one robot after the other, each in its joint order [rad]; empty: their default poses.",
    )
    start_timeout: float = parameter(
        60.0,
        "In lock-step, wall time for which the first robot that may move waits for the others [s]; 1e9: for ever.",
        least=0.1,
        most=1e9,
    )


@dataclass(frozen=True)
class NavigatorParameters(NodeParameters):
    """Parameters of `navigator_node`."""

    navigation: str = parameter("", "Navigation bundle: a folder with navigation.yaml, or the name of a shipped one.")
    command_type: str = parameter("twist_stamped", "Message type of cmd_vel.", choices=CMD_VEL_TYPES)
    odometry_topic: str = parameter("odom", "nav_msgs/Odometry topic of the robot's pose.")
    odometry_in_map: tuple[float, ...] = parameter(
        (0.0, 0.0, 0.0), "Pose of the odometry's frame in the map's: x, y [m], yaw [rad]."
    )
    odometry_timeout: float = parameter(
        0.5, "Age of the last odometry after which the robot is told to stand [s].", least=0.05, most=10.0
    )
    linear_speed: float = parameter(0.0, "Largest speed forward [m/s]; 0: the bundle's.", least=0.0, most=5.0)
    angular_speed: float = parameter(0.0, "Largest rate of turning [rad/s]; 0: the bundle's.", least=0.0, most=5.0)


@dataclass(frozen=True)
class FormationParameters(NodeParameters):
    """Parameters of `formation_node`."""

    members: tuple[str, ...] = parameter(
        (), "All robots of the team by their namespaces, in the order of the slots.", each=str
    )
    own: str = parameter("", "Which of them this is; empty: the one in whose namespace the node is.")
    team: str = parameter("formation", "Team bundle: a folder with team.yaml, a shipped one's name, or law: no policy.")
    walk: str = parameter("walk", "Walking policy within whose command ranges the hand-written law stays.")
    shape: str = parameter("line", "Formation: line, column, wedge or ring.", read_only=False)
    spacing: float = parameter(1.2, "Distance of neighbours in it [m].", least=0.5, most=10.0, read_only=False)
    on_silence: str = parameter(
        "stop", "What the robot does while another is silent or lies: stop, or go on without it.", choices=ON_SILENCE
    )
    odometry_topic: str = parameter("odom", "nav_msgs/Odometry topic in each member's namespace; all in one frame.")
    odometry_timeout: float = parameter(
        0.5, "Age of the last odometry after which a robot counts as silent [s].", least=0.05, most=10.0
    )
    command_type: str = parameter("twist_stamped", "Message type of all cmd_vel.", choices=CMD_VEL_TYPES)
    command_timeout: float = parameter(
        0.5, "Age of the team's last cmd_vel after which velocity_command is followed [s].", least=0.05, most=10.0
    )
    velocity_command: tuple[float, ...] = parameter(
        (0.0, 0.0, 0.0), "Velocity of the formation while its cmd_vel is silent: linear x, y [m/s], angular z [rad/s]."
    )
