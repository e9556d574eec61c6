"""What the nodes are told that are driven by a bag: the player, the policy and its safety monitor.

Robot, policy and limits are those of the recording unless others are named. Nothing of ROS is imported.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from humanoid_rl_ros.bags.arming import armings
from humanoid_rl_ros.bags.bundles import BUNDLES
from humanoid_rl_ros.bags.journals import read_setups
from humanoid_rl_ros.bags.namespaces import full_name
from humanoid_rl_ros.bags.playing import Selection, select
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.rebuild import find_recorded_bundle, recorded_robot
from humanoid_rl_ros.behaviours.start_gate import ANY_DISTANCE
from humanoid_rl_ros.control.setup import NodeSetup
from humanoid_rl_ros.core.errors import BagError, ConfigError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.topics import Topic
from humanoid_rl_ros.policies.bundle import ESTIMATOR, GROUND_TRUTH
from humanoid_rl_ros.policies.contract import require_contract
from humanoid_rl_ros.resources import find_policy, find_robot, robot_of, safety_file
from humanoid_rl_ros.safety.limits import FORMAT, load_safety_limits

START_LIMIT_S = 30.0
"""How long the player waits for the nodes, which load networks and start on a busy machine."""
LOWEST_RATE, HIGHEST_RATE = 0.01, 100.0
_KEPT = (
    "use_cmd_vel",
    "velocity_command",
    "command_type",
    "command_timeout",
    "base_velocity_topic",
    "base_velocity_source",
    "base_velocity_timeout",
    "entry_blend",
    "switch_blend",
    "resume_blend",
)
"""Parameters of a policy node that a recording passes on; the others are of the place where it ran."""


@dataclass(frozen=True)
class ReplayParameters:
    """Parameters of each node, by node name, and what is the same for the driven ones.

    Attributes:
        player: of `player_node`.
        policy_node, safety_monitor: of the nodes that it drives.
        namespace: of those, as recorded.
        remappings: of those, as pairs (from, to).
    """

    player: Mapping[str, Any]
    policy_node: Mapping[str, Any]
    safety_monitor: Mapping[str, Any]
    namespace: str
    remappings: tuple[tuple[str, str], ...]


def replay_parameters(
    bag: str,
    folder: Path,
    *,
    robot: str = "",
    policy: str = "",
    get_up: str = "",
    limits: str = "",
    base_velocity_topic: str = "",
    rate: float = 1.0,
    namespace: str = "",
    actuators: bool = False,
    recorded: bool = False,
) -> ReplayParameters:
    """The nodes that a bag drives, in simulated time, their joint commands where no driver listens.

    The monitor is armed when the recorded one was; where none was recorded, or none was armed, it arms itself.

    Args:
        bag: the recording.
        folder: where the recorded robot and limits are written as files; must exist as long as the nodes start.
        robot: as `find_robot` takes it; empty: the recorded one, or the policy's own.
        policy: as `find_policy` takes it; empty: the recorded one.
        get_up: bundle that gets the robot up, as `policy`; empty: the recorded one, if there is one.
        limits: safety YAML; empty: those recorded, or the shipped ones.
        base_velocity_topic: odometry in the bag, for policies that observe the base's velocity; empty: as recorded.
        rate: how fast.
        namespace: of the robot in the bag; empty: the only one there is.
        actuators: whether the monitor's joint commands go where a driver listens.
        recorded: whether a recorder listens too.

    Returns:
        The parameters of the three nodes.

    Raises:
        HumanoidError: the bag does not say what ran and nothing is named, or what is named does not fit.
    """
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise ConfigError(f"argument 'rate' must be from {LOWEST_RATE:g} to {HIGHEST_RATE:g}, found {rate:g}")
    with Bag(bag) as opened:
        selection = select(opened, namespace or None)
        was_armed = bool(armings(opened, selection.namespace))
        setups = {
            topic: _last_setup(opened, topic, selection.namespace)
            for topic in (topics.POLICY_SETUP, topics.SAFETY_SETUP)
        }
        told = _Told(opened, selection, setups[topics.POLICY_SETUP], setups[topics.SAFETY_SETUP], folder)
        robot_file, spec = told.robot(robot, policy)
        shared = {"robot": robot_file, "mode": "realtime", "use_sim_time": True, "autostart": True}
        # Where no motor is in reach, a recorded robot may begin wherever it did.
        start = {} if actuators else {"start_distance": ANY_DISTANCE}
        policy_node = {**shared, **start, **told.policy(spec, policy, get_up, base_velocity_topic)}
        safety_monitor = {**shared, **told.safety(limits, rate), "auto_arm": not was_armed}
    remappings = [(topics.CLOCK.name, selection.clock)] if selection.clock != topics.CLOCK.name else []
    if not actuators:
        remappings.append((topics.JOINT_COMMAND.name, topics.REPLAYED_COMMAND))
    player = {
        "bag": bag,
        "rate": rate,
        "robot_namespace": selection.namespace or "/",
        "wait": START_LIMIT_S,
        "listeners": 3 if recorded else 2,  # the driven nodes and the recorder
        "answers_may_move": actuators,
        "arm": was_armed,
    }
    return ReplayParameters(player, policy_node, safety_monitor, selection.namespace, tuple(remappings))


def _last_setup(bag: Bag, topic: Topic, namespace: str) -> NodeSetup | None:
    found = read_setups(bag, topic, namespace)
    return found[-1][1] if found else None


@dataclass(frozen=True)
class _Told:
    """What a bag says of the nodes that ran, and what is used of it."""

    bag: Bag
    selection: Selection
    policy_setup: NodeSetup | None
    safety_setup: NodeSetup | None
    folder: Path

    def robot(self, robot: str, policy: str) -> tuple[str, RobotSpec]:
        """Where the robot is described, and the robot."""
        setup = self.policy_setup or self.safety_setup
        if not robot and setup is not None:
            file = self.folder / "robot.yaml"
            file.write_text(setup.robot_yaml, encoding="utf-8")
            return str(file), recorded_robot(setup)
        if not robot and not policy:
            raise BagError(
                f"{self.bag.path}: it does not say which robot and policy ran; name them with robot:= and policy:="
            )
        robot = robot or robot_of(find_policy(policy))
        return robot, find_robot(robot)

    def policy(self, robot: RobotSpec, policy: str, get_up: str, base_velocity_topic: str) -> dict[str, Any]:
        """Of the policy node."""
        setup = self.policy_setup
        kept = {name: setup.parameters[name] for name in _KEPT if name in setup.parameters} if setup else {}
        if not setup:
            kept["command_type"] = self._command_type()
        if base_velocity_topic:
            kept |= {"base_velocity_topic": base_velocity_topic, "base_velocity_source": ESTIMATOR}
        elif not kept.get("base_velocity_topic"):
            kept |= self._true_velocity()
        given = self._policies(policy, get_up)
        source = kept.get("base_velocity_source", ESTIMATOR) if kept.get("base_velocity_topic") else ""
        for name in (given["policy"], *given.get("policies", ()), given.get("get_up", "")):
            if name:
                require_contract(find_policy(name), robot, base_velocity=source)
        return {**kept, **given}

    def safety(self, limits: str, rate: float) -> dict[str, Any]:
        """Of the safety monitor."""
        setup = self.safety_setup
        if limits or setup is None:
            load_safety_limits(safety_file(limits))
        else:
            limits = str(self.folder / "safety.yaml")
            text = yaml.safe_dump({"format": FORMAT, **setup.limits}, sort_keys=False)
            Path(limits).write_text(text, encoding="utf-8")
            load_safety_limits(limits)
        states = full_name(topics.JOINT_STATES, self.selection.namespace)
        counted = self.bag.topics[states].count / max(self.bag.duration, 1e-3) if states in self.bag.topics else 0.0
        meant = float(setup.parameters.get("state_rate", 0.0)) if setup else 0.0
        return {"limits": limits, "state_rate": (meant or counted) * max(rate, 1.0)}

    def _policies(self, policy: str, get_up: str) -> dict[str, Any]:
        """The bundles that are named; for the others those that ran, from the bag or where they were."""
        places = [self.bag.folder / BUNDLES]
        recorded = {source.short_name: source for source in (self.policy_setup.policies if self.policy_setup else ())}
        rises = recorded.pop("", None)
        if not get_up and rises is not None:
            get_up = str(find_recorded_bundle(rises, places).folder)
        if policy:
            return {"policy": policy, "get_up": get_up}
        if not recorded:
            raise BagError(f"{self.bag.path}: it does not say which policy ran; name one with policy:=")
        first, *others = [str(find_recorded_bundle(source, places).folder) for source in recorded.values()]
        return {"policy": first, "get_up": get_up, **({"policies": others} if others else {})}

    def _command_type(self) -> str:
        command = full_name(topics.VELOCITY_COMMAND, self.selection.namespace)
        recorded = self.bag.topics.get(command)
        return "twist" if recorded is not None and recorded.type == "geometry_msgs/msg/Twist" else "twist_stamped"

    def _true_velocity(self) -> dict[str, Any]:
        """The truth that a simulation published, if it did."""
        truth = self.bag.topics.get(full_name(topics.SIMULATED_VELOCITY, self.selection.namespace))
        if truth is None or not truth.count:
            return {}
        return {"base_velocity_topic": topics.SIMULATED_VELOCITY.name, "base_velocity_source": GROUND_TRUTH}
