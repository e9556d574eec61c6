"""The policy bundle: a folder with `policy.yaml` and a weights file, and all a runner must know to run it."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from humanoid_rl_ros.core.action import ActionSpec
from humanoid_rl_ros.core.command import CommandSpec
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.gait import GaitSpec
from humanoid_rl_ros.core.hand_targets import HandTargetSpec
from humanoid_rl_ros.core.joints import refuse_repeated
from humanoid_rl_ros.core.observation import ObservationBuilder
from humanoid_rl_ros.core.observation_spec import ObservationSpec
from humanoid_rl_ros.core.observation_terms import HAND_TARGETS
from humanoid_rl_ros.policies.normaliser import NormaliserSpec
from humanoid_rl_ros.policies.policy import Policy

FORMAT = 1
FILE_NAME = "policy.yaml"
MISSING = "???"
"""How a value of a `policy.yaml` begins that somebody still has to find out; behind it stands the question."""
ROBOT_FILES = ("robot.yaml", "robot.xml", "robot.urdf")
"""How a robot file is called that comes with a bundle."""
ESTIMATOR, GROUND_TRUTH = "estimator", "ground_truth"
BASE_VELOCITY_SOURCES = (ESTIMATOR, GROUND_TRUTH)
"""Where a policy that observes the velocity of the base may take it from: on a robot, or only in simulation."""


@dataclass(frozen=True)
class DrivenJoint:
    """Pose and gains of a joint the policy drives.

    Attributes:
        default_position: what its action is an offset to [rad].
        kp, kd: gains the policy was trained with [N·m/rad], [N·m·s/rad].
        effort_limit: bound of the PD effort it was trained with [N·m].
    """

    default_position: float
    kp: float
    kd: float
    effort_limit: float = math.inf


@dataclass(frozen=True)
class HeldJoint:
    """Pose and gains of a joint that is held still while the policy drives the others.

    Attributes:
        position: [rad].
        kp, kd: [N·m/rad], [N·m·s/rad].
        effort_limit: [N·m].
    """

    position: float
    kp: float
    kd: float
    effort_limit: float = math.inf


@dataclass(frozen=True)
class WeightsSpec:
    """Where the network is.

    Attributes:
        path: the ``.onnx`` or ``.pt`` file.
        sha256: digest over the file and its external data; empty for none.
        external_data: files beside it that hold its tensors.
        input_name, output_name: ONNX tensors; empty when there is only one.
        inputs: ONNX tensors that share the observation, in its order, and how many numbers each takes.
        recurrent: ONNX state inputs and the outputs that feed them.
        normaliser: what the observation is normalised by, unless the network does so itself.
    """

    path: Path
    sha256: str = ""
    external_data: tuple[Path, ...] = ()
    input_name: str = ""
    output_name: str = ""
    inputs: Mapping[str, int] = field(default_factory=dict)
    recurrent: Mapping[str, str] = field(default_factory=dict)
    normaliser: NormaliserSpec | None = None

    def digest(self) -> str:
        """SHA-256 over the weights file followed by its external data, in hexadecimal.

        Raises:
            ConfigError: a file is missing.
        """
        sha = hashlib.sha256()
        for path in (self.path, *self.external_data):
            try:
                sha.update(path.read_bytes())
            except OSError as error:
                raise ConfigError(f"weights {path}: {error.strerror or error}") from None
        return sha.hexdigest()


@dataclass(frozen=True)
class PolicyBundle:
    """A policy and its contract.

    Attributes:
        name: short name.
        robot: name of the robot it was trained for; for messages.
        weights: the network.
        joints: the driven joints by name, in the network's order.
        held: joints held still, by name.
        hold_remaining: whether robot joints named nowhere here are held at the robot's own default pose and gains;
            otherwise they are refused.
        observation: what the network sees.
        action: how its output is read.
        control_period: time between two inferences [s].
        pd_rate: rate of joint states the PD law was trained at [Hz].
        target_low_pass: first-order filter weight on the target at the PD rate; 1 for none.
        effort_low_pass: first-order filter weight on the effort at the PD rate; 1 for none.
        soft_effort_limit: share of the effort limit the PD law may use.
        clamp_target_to_joint_limits: whether targets are clamped to the robot's joint range.
        imu: site or body of the model whose orientation and rates it observes; empty for the robot's own choice.
        base_velocity: one of `BASE_VELOCITY_SOURCES`, of a policy that observes ``base_lin_vel``; else empty.
        command: the commands it was trained on.
        hand_targets: the hand targets it was trained on, or None of a policy that observes none.
        gait: its clock, or None.
        entry_blend: time over which it takes over from the measured pose [s].
        origin, licence: where it comes from.
        inferred: what its origin did not say and an import concluded: key of `policy.yaml` to why.
        folder: the folder it was read from.
    """

    name: str
    robot: str
    weights: WeightsSpec
    joints: Mapping[str, DrivenJoint]
    observation: ObservationSpec
    action: ActionSpec
    control_period: float
    pd_rate: float
    held: Mapping[str, HeldJoint] = field(default_factory=dict)
    hold_remaining: bool = False
    target_low_pass: float = 1.0
    effort_low_pass: float = 1.0
    soft_effort_limit: float = 1.0
    clamp_target_to_joint_limits: bool = False
    imu: str = ""
    base_velocity: str = ""
    command: CommandSpec = field(default_factory=CommandSpec)
    hand_targets: HandTargetSpec | None = None
    gait: GaitSpec | None = None
    entry_blend: float = 0.0
    origin: str = ""
    licence: str = ""
    inferred: Mapping[str, str] = field(default_factory=dict)
    folder: Path = Path()

    def __post_init__(self) -> None:
        refuse_repeated([*self.joints, *self.held], f"policy '{self.name}'", ConfigError)
        if not 0.0 < self.soft_effort_limit <= 1.0:
            raise ConfigError(
                f"policy '{self.name}': soft_effort_limit must be in (0, 1], found {self.soft_effort_limit:g}"
            )
        if tuple(self.joints) != self.action.joints:
            raise ConfigError(f"policy '{self.name}': action joints differ from the driven joints")
        if not self.pd_rate * self.control_period >= 1.0 - 1e-9:
            raise ConfigError(
                f"policy '{self.name}': pd_rate {self.pd_rate:g} Hz is slower than the policy, "
                f"{1 / self.control_period:g} Hz"
            )
        uses_clock = any(name.startswith("gait_phase") for name in self.observation.term_names())
        if uses_clock and self.gait is None:
            raise ConfigError(f"policy '{self.name}': it observes a gait phase, but 'gait' is missing")
        if self.observes_hand_targets and self.hand_targets is None:
            raise ConfigError(f"policy '{self.name}': it observes {HAND_TARGETS}, but 'hand_targets' is missing")
        if self.needs_base_linear_velocity and self.base_velocity not in BASE_VELOCITY_SOURCES:
            raise ConfigError(
                f"policy '{self.name}': it observes base_lin_vel; say where that comes from, 'base_velocity': "
                f"{ESTIMATOR} (on a robot) or {GROUND_TRUTH} (only in simulation)"
            )

    def files(self) -> tuple[str, ...]:
        """What it consists of, relative to its folder."""
        weights = (self.weights.path, *self.weights.external_data)
        robot = (name for name in ROBOT_FILES if (self.folder / name).is_file())
        return (FILE_NAME, *robot, *(Path(os.path.relpath(path, self.folder)).as_posix() for path in weights))

    @property
    def observes_hand_targets(self) -> bool:
        """Whether it brings its hands where it is asked to."""
        return HAND_TARGETS in self.observation.term_names()

    @property
    def needs_base_linear_velocity(self) -> bool:
        """Whether it observes what no sensor of a robot gives."""
        return "base_lin_vel" in self.observation.term_names()

    def observation_builder(self, robot_joints: tuple[str, ...]) -> ObservationBuilder:
        """The observation bound to a robot's joint order.

        Raises:
            ContractError, ConfigError: it does not fit.
        """
        n_phases = len(self.gait.phases) if self.gait else 0
        return ObservationBuilder(self.observation, robot_joints, n_actions=len(self.joints), n_phases=n_phases)

    def observation_size(self) -> int:
        """Width of the vector the network sees."""
        return self.observation_builder(self.observation.joints).size

    def load_network(self) -> Policy:
        """See `humanoid_rl_ros.policies.networks.load_network`."""
        from humanoid_rl_ros.policies.networks import load_network  # which needs this module

        return load_network(self)
