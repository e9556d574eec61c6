"""The policy as a controller: observation, network, action at the policy's period; the PD law at every state."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from humanoid_rl_ros.core.action import ActionProcessor, ActionSpec
from humanoid_rl_ros.core.arrays import BoolArray, Float32Array, FloatArray, IndexArray
from humanoid_rl_ros.core.command import CommandFilter
from humanoid_rl_ros.core.controller import EntryBlend, PDController, PDGains, TargetFilter
from humanoid_rl_ros.core.errors import HumanoidError, StateError
from humanoid_rl_ros.core.gait import GaitClock
from humanoid_rl_ros.core.hand_targets import SIZE, HandTargetFilter
from humanoid_rl_ros.core.joints import indices_of
from humanoid_rl_ros.core.observation_terms import ObservationInput
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import JointEffort, JointTarget, RobotState, VelocityCommand
from humanoid_rl_ros.policies.bundle import PolicyBundle
from humanoid_rl_ros.policies.policy import Policy

_NO_PHASE = np.zeros(0)


@dataclass(frozen=True, eq=False)
class ControlStep:
    """What one inference saw and said.

    Attributes:
        stamp_ns: stamp of the state it saw [ns].
        observation: [Shape (obs,)].
        action: the network's output as it came [Shape (act,)].
        target: of all joints of the robot, before the entry blend.
    """

    stamp_ns: int
    observation: Float32Array
    action: Float32Array
    target: JointTarget


class PolicyBehaviour:
    """Runs one bundle on one robot.

    Args:
        bundle: the policy; must fit the robot (`humanoid_rl_ros.policies.contract`).
        robot: the robot, whose joint order states and efforts have.
        network: the bundle's network.
        entry_blend: time to take over from the measured pose [s]; None for the bundle's own.

    `enter` with the first state, then `update` with every state. An inference is due when a control period of the
    states' own clock has passed; the efforts between follow from its target by the PD law.
    """

    def __init__(
        self, bundle: PolicyBundle, robot: RobotSpec, network: Policy, *, entry_blend: float | None = None
    ) -> None:
        self.bundle = bundle
        self.robot = robot
        self._network = network
        self._period_ns = round(bundle.control_period * 1e9)
        self._observation = bundle.observation_builder(robot.joint_names)
        self._command = CommandFilter(bundle.command, bundle.control_period)
        self._hands = HandTargetFilter(bundle.hand_targets, bundle.control_period) if bundle.hand_targets else None
        self._gait = GaitClock(bundle.gait, bundle.control_period) if bundle.gait else None
        self._driven = indices_of(tuple(bundle.joints), robot.joint_names, what="driven joint", where="the robot")
        self._action = ActionProcessor(_bound_action(bundle, robot, self._driven))
        self._pose, gains = pose_and_gains(bundle, robot)
        self._pd = PDController(gains, robot.joint_names)
        self._filter = TargetFilter(bundle.target_low_pass)
        self._zero_effort = np.zeros(robot.n_joints)
        self._blend = EntryBlend(bundle.entry_blend if entry_blend is None else entry_blend)
        self._entered = False
        self._due_ns = 0
        self._previous_ns: int | None = None
        self.last_step: ControlStep | None = None
        self.last_target: JointTarget | None = None
        self.steps = 0
        self.late_steps = 0

    @property
    def observation_labels(self) -> list[str]:
        """A name for every element of the observation."""
        return self._observation.labels()

    @property
    def start_position(self) -> FloatArray:
        """The pose the policy starts from: its default pose, and the held joints' [rad; Shape (n,)]."""
        return self._pose

    def twin(self) -> PolicyBehaviour:
        """Another of the same bundle, robot and network, as it was made."""
        return PolicyBehaviour(self.bundle, self.robot, self._network, entry_blend=self.entry_blend)

    def reset_network(self) -> None:
        """Forget the recurrent state, as before the first `enter`."""
        self._network.reset()

    @property
    def entry_blend(self) -> float:
        """Time to take over from the measured pose [s]."""
        return self._blend.usual

    @property
    def pulled(self) -> BoolArray:
        """Which joints the PD law pulls to a position; the network says the effort of the others [Shape (n,)]."""
        return self._pd.gains.kp > 0.0

    def enter(self, state: RobotState, *, blend: float | None = None) -> None:
        """Forget everything (history, last action, clock, recurrent state, filters) and start at this state.

        Args:
            state: the first to be answered.
            blend: time to take over from its pose [s]; None for that of the behaviour.
        """
        self._network.reset()
        self._observation.reset()
        self._action.reset()
        self._command.reset()
        if self._hands is not None:
            self._hands.reset()
        self._pd.reset()
        self._filter.reset()
        if self._gait is not None:
            self._gait.reset()
        self._blend.enter(state, blend)
        self._due_ns = state.stamp_ns
        self._previous_ns = None
        self.last_step = self.last_target = None
        self._entered = True

    @property
    def target_position(self) -> FloatArray | None:
        """What the last effort is to reach [rad; Shape (n,)]; None of a policy that says efforts itself."""
        if self.last_target is None or self.bundle.action.kind == "effort":
            return None
        return self.last_target.position

    @property
    def entered(self) -> bool:
        """Whether `update` may be called."""
        return self._entered

    def leave(self) -> None:
        """The next `update` must be preceded by `enter`."""
        self._entered = False

    def update(self, state: RobotState, command: VelocityCommand, hands: FloatArray | None = None) -> JointEffort:
        """The effort for a state.

        Args:
            state: newer than the one before, in the robot's joint order.
            command: the velocity asked for now.
            hands: where the hands are asked to be now [m; frame of the bundle's hand targets; Shape (2, 3)]; None for
                the neutral targets. A bundle without hand targets does not look at it.

        Returns:
            The effort that answers this state.

        Raises:
            StateError: `enter` was not called, the stamp is not newer, or a measured quantity is not finite.
            PolicyError: the network failed or gave what is not an action.
            After an error `enter` must be called again.
        """
        if not self._entered:
            raise StateError("update before enter")
        try:
            return self._update(state, command, hands)
        except HumanoidError:
            self.leave()  # what was computed half must not be followed
            raise

    def _update(self, state: RobotState, command: VelocityCommand, hands: FloatArray | None) -> JointEffort:
        if self._previous_ns is not None and state.stamp_ns <= self._previous_ns:
            raise StateError(f"state stamp went back from {self._previous_ns} to {state.stamp_ns} ns")
        interval_ns = 0 if self._previous_ns is None else state.stamp_ns - self._previous_ns
        self._previous_ns = state.stamp_ns
        # Jitter must not push a step to the next state: it is due at the state nearest to its time.
        if self.last_step is None or state.stamp_ns >= self._due_ns - min(interval_ns, self._period_ns) // 2:
            self._step(state, command, hands)
        assert self.last_step is not None
        self.last_target = self._blend.apply(self._filter.apply(self.last_step.target), state.stamp_ns)
        return JointEffort(state.stamp_ns, self._pd.effort(self.last_target, state))

    def _step(self, state: RobotState, command: VelocityCommand, hands: FloatArray | None) -> None:
        late_ns = state.stamp_ns - self._due_ns
        if late_ns > self._period_ns // 2:
            self.late_steps += 1
            self._due_ns = state.stamp_ns
        self._due_ns += self._period_ns
        asked = self._command.apply(command)
        sine, cosine = self._gait.sine_cosine(asked) if self._gait else (_NO_PHASE, _NO_PHASE)
        targets = () if self._hands is None else (self._hands.apply(hands).reshape(SIZE),)
        seen = ObservationInput(state, asked, self._action.last_action, sine, cosine, *targets)
        observation = self._observation.build(seen)
        action = self._network.infer(observation)
        self.last_step = ControlStep(state.stamp_ns, observation, action, self._target(action, state))
        self.steps += 1
        if self._gait is not None:
            self._gait.advance(asked)

    def _target(self, action: Float32Array, state: RobotState) -> JointTarget:
        lower = upper = None
        if self._action.spec.last_action == "after_effort_clip":
            low, high = self._pd.reachable(state)
            lower, upper = low[self._driven], high[self._driven]
        driven = self._action.apply(np.asarray(action, dtype=np.float64), lower=lower, upper=upper)
        if self._action.spec.kind == "effort":
            effort = self._zero_effort.copy()
            effort[self._driven] = driven
            return JointTarget(self._pose, effort)
        position = self._pose.copy()
        position[self._driven] = driven
        return JointTarget(position, self._zero_effort)


def _bound_action(bundle: PolicyBundle, robot: RobotSpec, driven: IndexArray) -> ActionSpec:
    if not bundle.clamp_target_to_joint_limits:
        return bundle.action
    lower, upper = robot.lower[driven], robot.upper[driven]
    return replace(bundle.action, target_lower=tuple(map(float, lower)), target_upper=tuple(map(float, upper)))


def pose_and_gains(bundle: PolicyBundle, robot: RobotSpec) -> tuple[FloatArray, PDGains]:
    """The pose a policy starts from and the gains of its PD law, for all joints of the robot.

    Driven joints have the bundle's, held joints too, and what remains is held at the robot's own. An effort limit is
    the smaller of the bundle's and the robot's.

    Returns:
        Pose [rad; Shape (n,)] and gains.
    """
    pose = robot.default_position.copy()
    kp, kd, limit = robot.kp.copy(), robot.kd.copy(), robot.effort_limit.copy()
    for i, name in enumerate(robot.joint_names):
        driven, held = bundle.joints.get(name), bundle.held.get(name)
        if driven is not None:
            pose[i], kp[i], kd[i] = driven.default_position, driven.kp, driven.kd
            limit[i] = min(limit[i], driven.effort_limit)
            if bundle.action.kind == "effort":
                kp[i] = 0.0  # the network says the effort itself; kd may still damp
        elif held is not None:
            pose[i], kp[i], kd[i] = held.position, held.kp, held.kd
            limit[i] = min(limit[i], held.effort_limit)
    return pose, PDGains(kp, kd, limit * bundle.soft_effort_limit, bundle.effort_low_pass)
