"""Everything that the policy node decides: messages in, efforts out. Time comes in as an argument."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from humanoid_rl_ros.behaviours.conductor import Conductor, Task
from humanoid_rl_ros.behaviours.start_gate import StartGate
from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.control.behaviour_messages import BehaviourMessages
from humanoid_rl_ros.control.entries import Entry
from humanoid_rl_ros.control.outlet import Outlet
from humanoid_rl_ros.control.safety_goal import state_and_goal
from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import HumanoidError, PolicyError, StateError, did_you_mean
from humanoid_rl_ros.core.joints import JointMatcher
from humanoid_rl_ros.core.pairing import StatePairing
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.core.state import JointEffort, RobotState, VelocityCommand
from humanoid_rl_ros.interfaces import measurements, topics
from humanoid_rl_ros.interfaces.cdr import JointStateReader, read_imu
from humanoid_rl_ros.interfaces.cdr_messages import (
    read_diagnostic_status,
    read_odometry,
    read_pose_array,
    read_twist,
    read_twist_stamped,
)
from humanoid_rl_ros.safety.status import SafetyState


@dataclass(frozen=True)
class PolicySettings:
    """How a policy is run.

    Attributes:
        lockstep: whether each state is waited for and answered, or the latest measurements are taken.
        clock_may_reset: whether stamps that go back mean that the simulation was reset.
        use_cmd_vel: whether velocity commands are followed; otherwise `velocity_command`.
        stamped_commands: whether velocity commands are `TwistStamped`, or `Twist`.
        velocity_command: linear x, y [m/s], angular z [rad/s].
        command_timeout_ns: age of the last command after which zero velocity is followed [ns].
        base_velocity_timeout_ns: age of the last estimate of the base's velocity after which no effort is given [ns].
        switch_blend: time in which a policy takes over from another that runs [s].
        resume_blend: time in which the policy takes over from the robot that has got up [s].
        start_speed: joint speed towards its start pose above which a policy does not take over [rad/s].
        start_distance: distance from that pose that needs no blend [rad].
    """

    lockstep: bool = False
    clock_may_reset: bool = False
    use_cmd_vel: bool = True
    stamped_commands: bool = True
    velocity_command: tuple[float, float, float] = (0.0, 0.0, 0.0)
    command_timeout_ns: int = 500_000_000
    base_velocity_timeout_ns: int = 100_000_000
    switch_blend: float = 0.5
    resume_blend: float = 0.3
    start_speed: float = math.inf  # recordings from before there was such a limit
    start_distance: float = 0.1


class PolicyControl:
    """Runs policies on one robot, as the safety monitor's status wants it.

    While the monitor lets no effort pass it stands by: once a control period it shows what it would send if it took
    over now, marked so that the monitor does not pass it on. When the monitor becomes ACTIVE the behaviour is entered
    afresh. Where the policy may not take over from the pose that the robot is in, it says so, and the monitor does not
    become READY. In RECOVERING the robot is got up; then the policy stands, and follows velocity commands again once
    the monitor is ACTIVE.

    Args:
        robot: the robot.
        settings: how it is run.
        policies: by the short names under which they are switched to; the first is the one that runs.
        get_up: what gets the robot up, or None.
        outlet: takes what it says: `topics.POLICY_EFFORT`, `POLICY_OBSERVATION`, `POLICY_ACTION`.

    Attributes:
        policies: by short name; `add` adds more.
        conductor: which of them answers.
        pairing: makes states of the sensors' messages.
        refused: messages refused, and states that got no effort.
        answers: states answered.
        inferences: those of them for which the network was run.
    """

    NOT_STATE = frozenset({"_outlet", "_reader", "_matcher"})

    def __init__(
        self,
        robot: RobotSpec,
        settings: PolicySettings,
        policies: Mapping[str, PolicyBehaviour],
        get_up: PolicyBehaviour | None,
        outlet: Outlet,
    ) -> None:
        self.policies: dict[str, PolicyBehaviour] = {}
        self._get_up = get_up
        self._messages: dict[str, BehaviourMessages] = {}
        if get_up is not None:
            self._messages[""] = BehaviourMessages(get_up)
        for name, policy in policies.items():
            self.add(name, policy)
        self._settings = settings
        self._outlet = outlet
        self._reader = JointStateReader()
        self._matcher = JointMatcher(robot.joint_names, robot.ignored_joints)
        first = next(iter(self.policies.values()))
        self.conductor = Conductor(first, get_up, resume_blend=settings.resume_blend)
        self._gate = StartGate(settings.start_speed, settings.start_distance)
        self._standby = topics.STANDBY if get_up is None else topics.STANDBY_CAN_GET_UP
        self._fixed_command = VelocityCommand(*settings.velocity_command)
        self._command = VelocityCommand()
        self._command_seen_ns: int | None = None
        self._hands: FloatArray | None = None
        self._base_velocity_ns: int | None = None
        self.pairing = StatePairing(exact=settings.lockstep, clock_may_reset=settings.clock_may_reset)
        self.pairing.with_velocity = self._needs_velocity()
        self._safety_state: SafetyState | None = None
        self._answer: bytes | None = None
        self._answered: tuple[PolicyBehaviour, JointEffort, FloatArray | None] | None = None
        self._state: RobotState | None = None
        self._running = False
        self.refused = self.answers = self.inferences = 0

    def take(self, entry: Entry, now_ns: int, data: bytes = b"") -> tuple[bool, str] | None:
        """Consume something.

        Args:
            entry: what it is.
            now_ns: monotonic time of its arrival [ns].
            data: the serialised message; for a switch the short name of the policy, and behind a zero which it is.

        Returns:
            Of a switch: whether it was done, and what to tell who asked.
        """
        if entry is Entry.JOINT_STATES:
            self._on_joint_state(now_ns, data)
        elif entry is Entry.IMU:
            self._on_imu(now_ns, data)
        elif entry is Entry.VELOCITY_COMMAND:
            self._on_command(now_ns, data)
        elif entry is Entry.HAND_TARGETS:
            self._on_hand_targets(data)
        elif entry is Entry.BASE_VELOCITY:
            self._on_base_velocity(now_ns, data)
        elif entry is Entry.SAFETY_STATUS:
            self._on_safety_status(now_ns, data)
        elif entry is Entry.SWITCH:
            return self._switch(data.partition(b"\0")[0].decode(errors="replace"))
        elif entry is Entry.START:
            self._running = True
            self.conductor.leave()
            self._hands = None
            self._answer = self._answered = None
        elif entry is Entry.STOP:
            self._running = False
        else:
            raise StateError(f"a policy has no use for {entry.name}")
        return None

    def add(self, name: str, policy: PolicyBehaviour) -> None:
        """A policy that can be switched to by that short name."""
        if self.policies.get(name) is not policy:
            self.policies[name] = policy
            self._messages[name] = BehaviourMessages(policy)

    def behaviours(self) -> list[PolicyBehaviour]:
        """All that may answer."""
        return [messages.behaviour for messages in self._messages.values()]

    @property
    def answered_ns(self) -> int | None:
        """Stamp of the state that was answered last [ns]."""
        return None if self._answered is None else self._answered[1].stamp_ns

    def _needs_velocity(self) -> bool:
        running = (self.conductor.policy, self._get_up)
        return any(behaviour.bundle.needs_base_linear_velocity for behaviour in running if behaviour)

    def _switch(self, name: str) -> tuple[bool, str]:
        conductor = self.conductor
        before = conductor.policy.bundle.name
        try:
            if name not in self.policies:
                raise PolicyError(f"no policy '{name}'; {did_you_mean(name, self.policies)}")
            policy = self.policies[name]
            conductor.switch(policy, blend=self._settings.switch_blend)
        except HumanoidError as error:
            text = f"'{before}' stays: {error}"
            self._outlet.error(f"cannot change to '{name}': {text}")
            return False, text
        self._hands = None
        self.pairing.with_velocity = self._needs_velocity()
        within = f" within {self._settings.switch_blend:g} s" if conductor.goal.task is Task.POLICY else ""
        text = f"'{policy.bundle.name}' takes over from '{before}'{within}"
        self._outlet.info(text)
        return True, text

    # Messages in.

    def _on_joint_state(self, now_ns: int, message: bytes) -> None:
        try:
            state = self.pairing.add_joints(measurements.joint_sample(self._reader.read(message), self._matcher))
        except StateError as error:
            self._refuse_state(error, "joint state")
            return
        self._on_state(now_ns, state)

    def _on_imu(self, now_ns: int, message: bytes) -> None:
        try:
            state = self.pairing.add_imu(measurements.imu_sample(read_imu(message)))
        except StateError as error:
            self._refuse_state(error, "IMU message")
            return
        self._on_state(now_ns, state)

    def _on_command(self, now_ns: int, message: bytes) -> None:
        read = read_twist_stamped if self._settings.stamped_commands else read_twist
        try:
            self._command = measurements.velocity_command(read(message))
            self._command_seen_ns = now_ns
        except StateError as error:
            self._refuse(str(error))

    def _on_hand_targets(self, message: bytes) -> None:
        """A target is held until the next one: a hand that stays where it was asked to be does no harm.

        One that comes while the policy does not run is not kept: what was asked of it before it took over, or before
        the robot fell, must not move a hand now.
        """
        bundle = self.conductor.policy.bundle
        try:
            if bundle.hand_targets is None:
                raise StateError(f"policy '{bundle.name}' takes none")
            targets = measurements.hand_targets(read_pose_array(message), bundle.hand_targets.frame)
        except StateError as error:
            self._refuse(f"hand targets refused: {error}")
            return
        goal = self.conductor.goal
        if goal.task is Task.POLICY and not goal.resumes:
            self._hands = targets

    def _on_base_velocity(self, now_ns: int, message: bytes) -> None:
        try:
            sample = measurements.velocity_sample(read_odometry(message))
        except StateError as error:
            self._refuse(f"base velocity refused: {error}")
            return
        self._base_velocity_ns = now_ns
        state = self.pairing.add_velocity(sample)
        self._on_state(now_ns, state)

    def _on_safety_status(self, now_ns: int, message: bytes) -> None:
        conductor = self.conductor
        try:
            values = read_diagnostic_status(message).values
        except StateError as error:
            self._refuse(f"safety status refused: {error}")
            return
        state, goal = state_and_goal(values)
        if state is self._safety_state and goal.entry == conductor.goal.entry:
            return
        self._safety_state = state
        if conductor.follow(goal):
            # The simulation waits for the same answer, said to be for the state that is.
            if self._settings.lockstep and self._answered is not None and goal.task is not Task.STAND_BY:
                self._say(*self._answered)
            return
        self._hands = None
        self._answer = self._answered = None
        self._outlet.info(f"the safety monitor is {values.get('state')}: {goal.task.value}")
        if self._settings.lockstep and self._state is not None:
            # The simulation waits for the answer to this very state, now of another kind.
            self._on_state(now_ns, self._state)

    # States in, efforts out.

    def _on_state(self, now_ns: int, state: RobotState | None) -> None:
        if state is None or not self._running:
            return
        conductor, lockstep = self.conductor, self._settings.lockstep
        previous, self._state = self._state, state
        if previous is not None and state.stamp_ns == previous.stamp_ns:
            if not lockstep:
                return  # a repeated measurement is no new one
            if self._answer is not None:
                # The simulation asks again: the same answer.
                self._outlet.publish(topics.POLICY_EFFORT, self._answer)
                return
        elif previous is not None and state.stamp_ns < previous.stamp_ns:
            self._outlet.info(f"simulation reset: time went back to {state.stamp_ns * 1e-9:.3f} s")
            self._begin_anew()
        behaviour = conductor.due(state)
        if behaviour is None:
            return
        steps = behaviour.steps
        try:
            self._check_base_velocity(now_ns)
            effort = conductor.update(behaviour, state, self._velocity_command(now_ns), self._hands)
        except HumanoidError as error:
            conductor.leave()
            self._answer = self._answered = None
            self._refuse(f"no effort: {error}")
            return
        self.answers += 1
        self.inferences += behaviour.steps != steps
        refusal = self._gate.refusal(behaviour, state) if conductor.goal.task is Task.STAND_BY else ""
        self._say(behaviour, effort, conductor.target_position, refusal)
        self._show_step(behaviour)

    def _begin_anew(self) -> None:
        """Time has gone back: what holds, holds from now on."""
        self._hands = None
        self.conductor.leave()
        self.conductor.goal = replace(self.conductor.goal, since_ns=0)
        self._answer = self._answered = None

    def _say(
        self, behaviour: PolicyBehaviour, effort: JointEffort, target: FloatArray | None, refusal: str = ""
    ) -> None:
        frame = topics.standby_frame(self._standby, refusal)
        if self._safety_state is not None and self.conductor.goal.task is not Task.STAND_BY:
            frame = self._safety_state.value
        self._answered = behaviour, effort, target
        self._answer = self._messages_of(behaviour).effort(effort, target, frame)
        self._outlet.publish(topics.POLICY_EFFORT, self._answer)

    def _show_step(self, behaviour: PolicyBehaviour) -> None:
        shown = self._messages_of(behaviour).step()
        if shown is not None:
            self._outlet.publish(topics.POLICY_OBSERVATION, shown[0])
            self._outlet.publish(topics.POLICY_ACTION, shown[1])

    def _messages_of(self, behaviour: PolicyBehaviour) -> BehaviourMessages:
        found = (messages for messages in self._messages.values() if messages.behaviour is behaviour)
        return next(found, None) or BehaviourMessages(behaviour)  # of one that another has taken the name of

    def _velocity_command(self, now_ns: int) -> VelocityCommand:
        settings, seen_ns = self._settings, self._command_seen_ns
        if not settings.use_cmd_vel:
            return self._fixed_command
        if seen_ns is None or now_ns - seen_ns > settings.command_timeout_ns:
            return VelocityCommand()
        return self._command

    def _check_base_velocity(self, now_ns: int) -> None:
        """In lock-step simulated time stands still while an answer is waited for, so nothing grows old."""
        settings, seen_ns = self._settings, self._base_velocity_ns
        if not settings.lockstep and seen_ns is not None and now_ns - seen_ns > settings.base_velocity_timeout_ns:
            self.pairing.forget_velocity()
            self._base_velocity_ns = None
            raise StateError("the estimate of the base's velocity has fallen silent")

    def _refuse_state(self, error: StateError, what: str) -> None:
        self._refuse(f"{what} refused: {error}")
        if error.code == "clock_jump" and self.conductor.goal.task is Task.STAND_BY:
            # The monitor has noticed: the source's clock was set, and what it says now is the time.
            self.pairing.reset()
            self._state = None
            self._begin_anew()

    def _refuse(self, text: str) -> None:
        self.refused += 1
        self._outlet.refused(text)
