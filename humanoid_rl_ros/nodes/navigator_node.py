"""navigator_node: odometry in, velocity commands out, along the way that a policy has learned."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import Twist

from humanoid_rl_ros.core.errors import StateError
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.cdr_messages import read_odometry
from humanoid_rl_ros.interfaces.floor_messages import path_message, planar_pose, twist_message
from humanoid_rl_ros.interfaces.status import diagnostic
from humanoid_rl_ros.navigation.navigator import MOVING, Activity, Decision, Navigator, RobotPlace
from humanoid_rl_ros.navigation.steering import STANDING
from humanoid_rl_ros.nodes.base import ManagedNode, run_node
from humanoid_rl_ros.nodes.parameters import NavigatorParameters, planar_parameter
from humanoid_rl_ros.resources import find_navigation

WATCH_PERIOD_S = 0.1
BASE = "base_link"


class NavigatorNode(ManagedNode):
    """Hands odometry to a `Navigator` and publishes what it says.

    While it is active a command goes out with every odometry message, and a zero ten times a second when none comes;
    deactivated it says zero once and then nothing, so that somebody else may steer.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("navigator", NavigatorParameters, **options)
        self._navigator: Navigator | None = None

    def setup(self, parameters: NavigatorParameters) -> None:
        """Load the bundle and ask its network for every cell."""
        bundle = find_navigation(parameters.navigation)
        policy = bundle.load_policy()
        speeds = {name: value for name in ("linear_speed", "angular_speed") if (value := getattr(parameters, name))}
        self._bundle = bundle
        self._odometry_in_map = planar_parameter("odometry_in_map", parameters.odometry_in_map)
        self._navigator = Navigator(
            policy,
            replace(bundle.steering, **speeds),
            timeout_ns=round(parameters.odometry_timeout * 1e9),
        )
        self._stamped = parameters.command_type != "twist"
        self._told: tuple[object, ...] = ()
        self._shown_state = -1
        self._decision: Decision | None = None
        self._heard_ns = 0
        self._commands = self.publish_on(topics.VELOCITY_COMMAND, kind=None if self._stamped else Twist)
        self._status = self.publish_on(topics.NAVIGATION_STATUS)
        self._path = self.publish_on(topics.NAVIGATION_PATH)
        self.subscribe_to(topics.ODOMETRY, self._on_odometry, name=parameters.odometry_topic, raw=True)
        self.every(WATCH_PERIOD_S, self._watch)
        grid, leading = bundle.grid, int(policy.arrives.sum())
        text = (
            f"navigation '{bundle.name}': {len(grid.states)} cells of {grid.cell:g} m, goal ({grid.goal[0]:g}, "
            f"{grid.goal[1]:g}); the policy leads there from {leading} of them"
        )
        (self.get_logger().info if leading == len(grid.states) else self.get_logger().warning)(text)

    def start(self) -> None:
        """Steer from the next odometry on."""
        assert self._navigator is not None
        self._navigator.forget()
        self._told, self._shown_state = (), -1
        self._say(self._navigator.decide(time.monotonic_ns()))

    def stop(self) -> None:
        """The robot stands, and somebody else may steer."""
        if self._navigator is not None:
            self._navigator.forget()
            self._say(Decision(STANDING, Activity.WAITING, "inactive"))

    def release(self) -> None:
        """Forget the policy."""
        self._navigator = None

    def finish(self) -> bool:
        """The last command is to stand."""
        if self.running:
            self.running = False
            self.stop()
        return True

    def last_word(self) -> None:
        """The same, of a navigator that failed."""
        self.finish()

    def _on_odometry(self, data: bytes) -> None:
        if self._navigator is None or not self.running:
            return
        self._heard_ns = now_ns = time.monotonic_ns()
        try:
            message = read_odometry(data)
            pose, tilt = planar_pose(message)
            place = RobotPlace(message.stamp_ns, self._odometry_in_map.compose(pose), tilt)
        except StateError as error:
            self.warn_about(f"odometry refused: {error}")
            self._say(self._navigator.refuse(f"odometry refused: {error}"))
            return
        self._say(self._navigator.see(place, now_ns))

    def _watch(self) -> None:
        """Where no odometry comes the robot is told to stand, again and again."""
        if self._navigator is not None and self.running and time.monotonic_ns() - self._heard_ns > WATCH_PERIOD_S * 1e9:
            self._say(self._navigator.decide(time.monotonic_ns()))

    def _say(self, decision: Decision) -> None:
        self._decision = decision
        self._publish(decision)
        if decision.state >= 0 and decision.state != self._shown_state:
            self._shown_state = decision.state
            assert self._navigator is not None
            stamp_ns = self.get_clock().now().nanoseconds
            self._path.publish(
                path_message(self._navigator.policy.points(decision.state), stamp_ns, self._bundle.frame)
            )

    def _publish(self, decision: Decision) -> None:
        message = twist_message(decision.command, self.get_clock().now().nanoseconds, BASE)
        self._commands.publish(message if self._stamped else message.twist)
        # What only changes its numbers is told by the diagnostics.
        words = tuple(word for word in decision.reason.split() if word.isalpha())
        told = (decision.activity, decision.state, () if decision.activity in MOVING else words)
        if told != self._told:
            before, self._told = self._told, told
            status = self._line(decision)
            self._status.publish(status)
            if not before or before[0] != decision.activity:
                self.get_logger().info(f"{decision.activity.value}: {decision.reason}")

    def _line(self, decision: Decision) -> DiagnosticStatus:
        assert self._navigator is not None
        stopped = decision.activity is Activity.STOPPED
        level = DiagnosticStatus.ERROR if stopped else DiagnosticStatus.OK
        target = decision.target or ("", "")
        values = {
            "activity": decision.activity.value,
            "reason": decision.reason,
            "left": decision.left,
            "cell": decision.state,
            "target_x": target[0],
            "target_y": target[1],
            "goal_x": self._bundle.grid.goal[0],
            "goal_y": self._bundle.grid.goal[1],
            "refused": self._navigator.refused,
        }
        text = f"{decision.activity.value}: {decision.reason}"
        return diagnostic(self.get_fully_qualified_name(), self._bundle.name, level, text, values)

    def diagnose(self) -> DiagnosticStatus | None:
        """What it does; and whether somebody else steers too."""
        if self._navigator is None or self._decision is None:
            return None
        line = self._line(self._decision)
        others = self.count_publishers(topics.VELOCITY_COMMAND.name) - 1
        if self.running and others > 0:
            line.level = max(line.level, DiagnosticStatus.WARN)
            line.message = f"{others} other publisher(s) on {topics.VELOCITY_COMMAND.name}; {line.message}"
        return line


def main(args: list[str] | None = None) -> int:
    """Entry point of the executable `navigator_node`."""
    return run_node(NavigatorNode, args)


if __name__ == "__main__":
    raise SystemExit(main())
