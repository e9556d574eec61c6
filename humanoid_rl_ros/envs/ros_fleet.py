"""Simulated robots behind ROS topics, advanced together one state period at a time."""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any, Protocol

import numpy as np
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import SimulatorError
from humanoid_rl_ros.core.robot import RobotSpec
from humanoid_rl_ros.envs.ros_robot import MUST_WAIT, RosRobot
from humanoid_rl_ros.interfaces.cdr_joint_targets import Point
from humanoid_rl_ros.interfaces.discovery import keep_discovery_local
from humanoid_rl_ros.interfaces.placement_messages import placement_request

LOOK_S = 0.1
"""Wall time between two looks at whether simulators still run [s]."""
ASK_AGAIN_S = 1.0
"""Wall time after which a question is put again [s]."""
MOST_WAITING = 50
"""Messages that may have come before somebody looks."""
STILL_S = 0.1
"""Wall time for which a simulator is watched, once, to stand still [s]."""


_SERIAL = count()
MakeRobot = Callable[[Node, str, RobotSpec, int, Callable[[float], None]], RosRobot]
"""Node, namespace, joints, period of the states [ns], and what lets the executor work for at most so long [s]."""


class SimulatorOwner(Protocol):
    """Who started the simulators of a fleet."""

    def check(self) -> None:
        """Look whether all still run.

        Raises:
            SimulatorError: one has ended; says why.
        """

    def has_ended(self, row: int) -> bool:
        """Whether a simulator runs no more."""

    def renew(self, row: int) -> str:
        """End what is left of a simulator and start another; its namespace."""

    def close(self) -> None:
        """End them all."""


class RosFleet:
    """n robots, each in a namespace of its own, on one ROS node of this process.

    Args:
        robot: every one of them.
        namespaces: one for each robot; an empty one for none.
        period_ns: time from one state to the next [ns].
        timeout: wall time within which a simulator must answer [s].
        start_timeout: wall time within which it must be there [s].
        owner: who started the simulators, if that is known.
        make: makes what stands for one robot, by default a `RosRobot`.
    """

    def __init__(
        self,
        robot: RobotSpec,
        namespaces: Sequence[str],
        *,
        period_ns: int,
        timeout: float = 5.0,
        start_timeout: float = 30.0,
        owner: SimulatorOwner | None = None,
        make: MakeRobot | None = None,
    ) -> None:
        self._period_ns, self._timeout, self._start_timeout = period_ns, timeout, start_timeout
        self._robot, self._owner = robot, owner
        keep_discovery_local()
        self._context = Context()
        self._context.init(args=[])
        self._speakers: dict[int, tuple[bytes, ...]] = {}
        self._node = Node(
            f"ros_env_{os.getpid()}_{next(_SERIAL)}",
            context=self._context,
            use_global_arguments=False,
            start_parameter_services=False,
            enable_rosout=False,
        )
        self._executor = _executor(self._context)
        self._executor.add_node(self._node)
        self._make = make or (lambda node, name, robot, period_ns, spin: RosRobot(node, name, robot, period_ns))
        try:
            self.robots = [self._made(name) for name in namespaces]
        except BaseException:
            self._leave()
            raise
        self._lost = np.zeros(len(self.robots), dtype=bool)
        self._seen_still = np.zeros(len(self.robots), dtype=bool)

    @property
    def can_place(self) -> bool:
        """Whether robots can be put into states."""
        return all(robot.can_place for robot in self.robots)

    def require(self, rows: Iterable[int]) -> None:
        """Wait until the simulators of some robots are there.

        Raises:
            SimulatorError: one is not, within the time-out for the start; says what is missing.
        """
        robots = [self.robots[row] for row in rows]

        def missing() -> str:
            return next((f"{r.title} is not there: {lacks}" for r in robots if (lacks := r.lacks())), "")

        self._until(lambda: not missing(), missing, self._start_timeout)

    def reset(self, rows: Sequence[int]) -> None:
        """Put some robots into their initial pose at time 0, and wait for its state; what was lost is found again.

        Raises:
            SimulatorError: a simulator is not there, refuses, or does not answer in time.
        """
        self._revive([row for row in rows if self._lost[row] or (self._owner and self._owner.has_ended(row))])
        self._lost[rows] = True
        self.require(rows)
        for row in rows:
            self.robots[row].forget()
        self._call(rows, lambda robot: robot.ask_reset(), "a reset", lambda answer: (answer.success, answer.message))
        self._wait_for_state(rows, lambda robot: robot.is_at(0))
        self._require_still([row for row in rows if not self._seen_still[row]])
        self._speakers |= {row: self.robots[row].speaker() for row in rows}
        self._lost[rows] = False

    def place(self, rows: Sequence[int], values: Sequence[Mapping[str, FloatArray]]) -> None:
        """Put some robots into states, by the names of `humanoid_rl_ros.simulation.placement.Placement`'s fields.

        Raises:
            SimulatorError: a simulator refuses, or does not answer in time.
        """
        self._require_found(rows)
        requests = {id(self.robots[row]): placement_request(v) for row, v in zip(rows, values, strict=True)}
        self._call(
            rows,
            lambda robot: robot.ask_place(requests[id(robot)]),
            "to be placed",
            lambda answer: (answer.result.successful, answer.result.reason),
        )

    def advance(self, effort: FloatArray) -> None:
        """Answer the last state of every robot, and wait for the next [N·m; Shape (n, joints)].

        Raises:
            SimulatorError: a simulator is gone, hangs, was started anew, or went on by itself.
        """
        self._answer(lambda row: self.robots[row].command(effort[row]), self._period_ns)

    def follow(self, points: Sequence[Sequence[Point]]) -> None:
        """Answer the last state of every robot by what it is to reach for, and wait until it has.

        Args:
            points: of each robot, what to reach for, and until when from its last state; all end at the same time.

        Raises:
            SimulatorError: a simulator is gone, hangs, was started anew, or went on by itself.
        """
        self._answer(lambda row: self.robots[row].follow(points[row]), points[0][-1][1])

    def _answer(self, say: Callable[[int], None], duration_ns: int) -> None:
        rows = [row for row in range(len(self.robots)) if not self.robots[row].diverged]
        self._require_found(rows)
        for row in [row for row in rows if row in self._speakers]:
            # At its very beginning a simulator that was started anew looks like the one before, but for what it is.
            if self._speakers.pop(row) != self.robots[row].speaker():
                self._lost[row] = True
                raise SimulatorError(f"{self.robots[row].title} was started anew; reset the environment")
        since = {id(self.robots[row]): self.robots[row].stamp_ns for row in rows}
        try:
            for row in rows:
                say(row)
        except SimulatorError:
            self._lost[rows] = True
            raise
        self._wait_for_state(rows, lambda robot: robot.has_reached(since[id(robot)] + duration_ns, since[id(robot)]))

    def close(self) -> None:
        """Leave the graph, and have the simulators ended by who started them."""
        self._leave()
        if self._owner is not None:
            self._owner.close()

    def _leave(self) -> None:
        self._executor.remove_node(self._node)
        self._node.destroy_node()
        self._executor.shutdown()
        self._context.try_shutdown()

    def _revive(self, rows: Sequence[int]) -> None:
        """Have simulators that failed started anew, by who started them."""
        if self._owner is None:
            return
        for row in rows:
            self._seen_still[row] = False
            self.robots[row].close()
            self.robots[row] = self._made(self._owner.renew(row))

    def _made(self, namespace: str) -> RosRobot:
        return self._make(self._node, namespace, self._robot, self._period_ns, self._spin)

    def _spin(self, seconds: float) -> None:
        self._executor.spin_once(timeout_sec=seconds)

    def _require_still(self, rows: Sequence[int]) -> None:
        """Look once whether simulators wait for a command; one that does not might keep pace by chance."""
        if not rows:
            return
        self._seen_still[rows] = True
        end = time.monotonic() + STILL_S
        while (left := end - time.monotonic()) > 0.0:
            self._executor.spin_once(timeout_sec=left)
        for row in rows:
            if not self.robots[row].is_at(0):
                self._seen_still[row] = False
                raise SimulatorError(f"{self.robots[row].title} {MUST_WAIT}")

    def _require_found(self, rows: Iterable[int]) -> None:
        lost = [self.robots[row].title for row in rows if self._lost[row]]
        if lost:
            raise SimulatorError(f"{lost[0]} was lost; reset the environment before the next step")

    def _wait_for_state(self, rows: Sequence[int], reached: Callable[[RosRobot], bool]) -> None:
        waited = [self.robots[row] for row in rows]

        def done() -> bool:
            waited[:] = [robot for robot in waited if not reached(robot)]
            return not waited

        def missing() -> str:
            robot = waited[0]
            lacks = robot.lacks()
            why = lacks if "nodes" in lacks else f"it is gone: {lacks}" if lacks else "it hangs, or is stopped"
            last = f"; its last state is of {robot.stamp_ns * 1e-9:.3f} s" if robot.stamp_ns >= 0 else ""
            return f"no state from {robot.title} within {self._timeout:g} s: {why}{last}; reset the environment"

        try:
            self._until(done, missing, self._timeout)
        except SimulatorError:
            self._lost[list(rows)] = True
            raise

    def _call(
        self,
        rows: Sequence[int],
        ask: Callable[[RosRobot], Any],
        what: str,
        outcome: Callable[[Any], tuple[bool, str]],
    ) -> None:
        robots = [self.robots[row] for row in rows]
        futures = [ask(robot) for robot in robots]
        asked = time.monotonic()

        def done() -> bool:
            nonlocal asked
            if time.monotonic() - asked > ASK_AGAIN_S:
                # An answer to a client that the server has not found yet gets lost. Asked twice is as good as once, and
                # the answer to the last question says that those before it have been dealt with.
                asked = time.monotonic()
                for i, robot in enumerate(robots):
                    if not futures[i].done():
                        robot.withdraw(futures[i])
                        futures[i] = ask(robot)
            return all(future.done() for future in futures)

        def missing() -> str:
            silent = next((r.title for r, f in zip(robots, futures, strict=True) if not f.done()), "")
            return (
                silent and f"no answer from {silent} within {self._timeout:g} s, asked for {what}: it hangs or is gone"
            )

        try:
            self._until(done, missing, self._timeout)
            for robot, future in zip(robots, futures, strict=True):
                agreed, reason = outcome(future.result())
                if not agreed:
                    raise SimulatorError(f"{robot.title}, asked for {what}: {reason}")
        except SimulatorError:
            self._lost[list(rows)] = True
            for robot, future in zip(robots, futures, strict=True):
                robot.withdraw(future)
            raise

    def _until(self, done: Callable[[], bool], missing: Callable[[], str], timeout: float) -> None:
        began = time.monotonic()
        checked = began
        while not done():
            now = time.monotonic()
            if self._owner is not None and now - checked > LOOK_S:
                self._owner.check()
                checked = now
            left = began + timeout - now
            if left <= 0.0:
                # A process that was stopped itself finds the answers when it goes on.
                for _ in range(MOST_WAITING):
                    self._executor.spin_once(timeout_sec=0.0)
                    if done():
                        return
                raise SimulatorError(missing() or "the simulator did not answer in time")
            self._executor.spin_once(timeout_sec=min(left, LOOK_S))


def _executor(context: Context) -> Any:
    """The fastest executor this rclpy has; only its `spin_once` is used."""
    try:
        from rclpy.experimental import EventsExecutor

        return EventsExecutor(context=context)
    except (ImportError, io.UnsupportedOperation):
        # Humble and Iron have none; and it wants a stderr that is a file, which a notebook has not.
        return SingleThreadedExecutor(context=context)
