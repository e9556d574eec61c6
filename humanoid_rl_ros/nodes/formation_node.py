"""formation_node: the odometry of a team in, the velocity command of one of its robots out."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Twist
from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter

from humanoid_rl_ros.control.formation_deciders import Decide, by_law, by_policy
from humanoid_rl_ros.control.formation_keeper import LAW, Activity, FormationKeeper, KeeperDecision, KeeperSettings
from humanoid_rl_ros.core.errors import ConfigError, HumanoidError, StateError
from humanoid_rl_ros.core.state import VelocityCommand
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.cdr_messages import read_odometry
from humanoid_rl_ros.interfaces.floor_messages import twist_message
from humanoid_rl_ros.interfaces.status import diagnostic
from humanoid_rl_ros.interfaces.team_messages import motion_of
from humanoid_rl_ros.nodes.base import ManagedNode, run_node
from humanoid_rl_ros.nodes.parameters import FormationParameters
from humanoid_rl_ros.policies.team_bundle import TeamBundle
from humanoid_rl_ros.resources import find_policy, find_team

WATCH_PERIOD_S, STATUS_PERIOD_S = 0.1, 1.0
BASE = "base_link"


class FormationNode(ManagedNode):
    """Hands odometry to a `FormationKeeper` and publishes what it says.

    While it is active a command goes out with every odometry of its own robot, and ten times a second when none comes;
    deactivated it says zero once and then nothing, so that somebody else may steer.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("formation", FormationParameters, **options)
        self._keeper: FormationKeeper | None = None
        self.add_on_set_parameters_callback(self._on_parameters)

    def setup(self, parameters: FormationParameters) -> None:
        """Load the team's policy and listen to every member."""
        parent, _, namespace = self.get_namespace().rpartition("/")
        own = parameters.own or namespace
        if not own:
            raise ConfigError(
                "which robot of the team is this? Start the node in its namespace, or set parameter 'own'"
            )
        if len(parameters.members) < 2:
            raise ConfigError("parameter 'members' names fewer than two robots; such as members:=[robot_1, robot_2]")
        bundle = None if parameters.team == LAW else find_team(parameters.team)
        decide, settings = _decider(parameters, bundle), _settings(parameters, bundle)
        self._keeper = FormationKeeper(parameters.members, own, decide, settings)
        self._stamped = parameters.command_type != "twist"
        self._decision: KeeperDecision | None = None
        self._told: tuple[object, ...] = ()
        self._own, self._heard_ns = own, 0
        self._commands = self.publish_on(topics.VELOCITY_COMMAND, kind=None if self._stamped else Twist)
        self._status = self.publish_on(topics.FORMATION_STATUS)
        kind = None if self._stamped else Twist
        team_command = f"{parent}{topics.TEAM_COMMAND.name}"
        self.subscribe_to(topics.TEAM_COMMAND, self._on_team_command, name=team_command, kind=kind)
        for member in parameters.members:
            name = f"{parent}/{member}/{parameters.odometry_topic}"
            self.subscribe_to(topics.ODOMETRY, partial(self._on_odometry, member), name=name, raw=True)
        self.every(WATCH_PERIOD_S, self._watch)
        self.every(STATUS_PERIOD_S, self._tell)
        who = "the hand-written law" if bundle is None else f"team policy '{bundle.name}', walking by '{bundle.walk}'"
        self.get_logger().info(
            f"'{own}' in a {parameters.shape} of {len(parameters.members)}, {parameters.spacing:g} m apart, by {who}; "
            f"the team follows {team_command}"
        )

    def start(self) -> None:
        """Steer from the next odometry on."""
        assert self._keeper is not None
        self._keeper.forget()
        self._told = ()
        self._say()

    def stop(self) -> None:
        """The robot stands, and somebody else may steer."""
        if self._keeper is not None:
            self._keeper.forget()
            self._publish(KeeperDecision(VelocityCommand(), Activity.WAITING, "inactive"))

    def release(self) -> None:
        """Forget the policy."""
        self._keeper = None

    def finish(self) -> bool:
        """The last command is to stand."""
        if self.running:
            self.running = False
            self.stop()
        return True

    def last_word(self) -> None:
        """The same, of a node that failed."""
        self.finish()

    def diagnose(self) -> DiagnosticStatus | None:
        """What the robot does in its team."""
        return None if self._decision is None else self._line(self._decision)

    def _on_odometry(self, member: str, data: bytes) -> None:
        if self._keeper is None or not self.running:
            return
        now_ns = time.monotonic_ns()
        try:
            self._keeper.hear(member, motion_of(read_odometry(data)), now_ns)
        except StateError as error:
            self.warn_about(f"odometry of {member} refused: {error}")
            return
        if member == self._own:
            self._heard_ns = now_ns
            self._say()

    def _on_team_command(self, message: Any) -> None:
        if self._keeper is not None and self.running:
            twist = message.twist if self._stamped else message
            command = VelocityCommand(twist.linear.x, twist.linear.y, twist.angular.z)
            self._keeper.command_team(command, time.monotonic_ns())

    def _on_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        """Another shape or spacing while the team walks."""
        values = {p.name: p.value for p in changed if p.name in ("shape", "spacing")}
        if values and self._keeper is not None:
            now = {name: self.get_parameter(name).value for name in ("shape", "spacing")} | values
            try:
                self._keeper.take_shape(now["shape"], now["spacing"])
            except HumanoidError as error:
                return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _watch(self) -> None:
        """Where no odometry comes the robot is told to stand, again and again."""
        if self._keeper is not None and self.running and time.monotonic_ns() - self._heard_ns > WATCH_PERIOD_S * 1e9:
            self._say()

    def _tell(self) -> None:
        """Its status: at every change, and once a second, for its slot error changes all the time."""
        if self._decision is not None:
            self._status.publish(self._line(self._decision))

    def _say(self) -> None:
        assert self._keeper is not None
        self._publish(self._keeper.update(time.monotonic_ns()))

    def _publish(self, decision: KeeperDecision) -> None:
        self._decision = decision
        message = twist_message(decision.command, self.get_clock().now().nanoseconds, BASE)
        self._commands.publish(message if self._stamped else message.twist)
        told = (decision.activity, decision.reason)
        if told != self._told:
            self._told = told
            self._tell()
            self.get_logger().info(f"{decision.activity.value}: {decision.reason}")

    def _line(self, decision: KeeperDecision) -> DiagnosticStatus:
        stopped = decision.activity is Activity.STOPPED
        level = DiagnosticStatus.ERROR if stopped else DiagnosticStatus.WARN if decision.absent else DiagnosticStatus.OK
        values = {
            "activity": decision.activity.value,
            "absent": ", ".join(decision.absent),
            "slot_error": decision.slot_error,
        }
        return diagnostic(self.get_fully_qualified_name(), self._own, level, decision.reason, values)


def _decider(parameters: FormationParameters, bundle: TeamBundle | None) -> Decide:
    if bundle is None:
        return by_law(find_policy(parameters.walk).command)
    return by_policy(bundle.load_network(), bundle.action_scale, bundle.command)


def _settings(parameters: FormationParameters, bundle: TeamBundle | None) -> KeeperSettings:
    usual = KeeperSettings()
    return KeeperSettings(
        shape=parameters.shape,
        spacing=parameters.spacing,
        period=usual.period if bundle is None else bundle.period,
        averaging=usual.averaging if bundle is None else bundle.averaging,
        odometry_timeout_ns=round(parameters.odometry_timeout * 1e9),
        command_timeout_ns=round(parameters.command_timeout * 1e9),
        on_silence=parameters.on_silence,
        team_command=tuple(parameters.velocity_command),
    )


def main(args: list[str] | None = None) -> int:
    """Entry point of the executable `formation_node`."""
    return run_node(FormationNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
