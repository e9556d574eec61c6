"""What the three nodes share: a lifecycle that says what went wrong, diagnostics, and a quiet end."""

from __future__ import annotations

import gc
import os
import re
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.logging import get_logger
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from humanoid_rl_ros.core.errors import HumanoidError
from humanoid_rl_ros.interfaces.discovery import RANGE, keep_discovery_local
from humanoid_rl_ros.interfaces.topics import DIAGNOSTICS, Topic
from humanoid_rl_ros.nodes.machine import Claim, claim
from humanoid_rl_ros.nodes.parameters import ControlParameters, declare, read
from humanoid_rl_ros.nodes.quality import qos

SPIN_TIMEOUT_S = 0.1
SHUTDOWN_LIMIT_S = 1.0
LARGEST_KINDS = 100
PARENT_PERIOD_S = 0.5
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end a node."""
_NUMBER = re.compile(r"[-+\d.e]+")


class ManagedNode(LifecycleNode):
    """A lifecycle node whose transitions are four plain methods that raise `HumanoidError` when they cannot.

    Subclasses give `setup`, `start`, `stop`, `release`, `diagnose`, and what they do last in `finish`.

    Args:
        name: node name.
        parameters: the dataclass whose fields are its parameters.
        options: passed on to `rclpy.lifecycle.LifecycleNode`.
    """

    def __init__(self, name: str, parameters: type[Any], **options: Any) -> None:
        super().__init__(name, **options)
        self._parameters_type = parameters
        self._diagnostics: Any = None
        try:
            declare(self, parameters)
        except Exception:
            self.destroy_node()
            raise
        # Of the callbacks the newest is asked first: rclpy's own, which moves the node to the other clock, never hears
        # of what is refused here.
        self.add_on_set_parameters_callback(self._refuse_another_clock)
        self.running = False
        self.steady_clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._entities: list[tuple[Callable[[Any], Any], Any]] = []
        self._given: Any = None
        self._claims: tuple[Claim, ...] = ()
        self._warned: dict[str, float] = {}

    # What a subclass gives.

    def setup(self, parameters: Any) -> None:
        """Load and check everything; create publishers, subscriptions, services, timers."""
        raise NotImplementedError

    def start(self) -> None:
        """Start output."""

    def stop(self) -> None:
        """Stop output; leave the robot damped."""

    def release(self) -> None:
        """Forget what `setup` loaded."""

    def diagnose(self) -> DiagnosticStatus | None:
        """The node's line on /diagnostics."""
        return None

    def finish(self) -> bool:
        """Called again and again at the end, between spins, until it returns True or a second has passed."""
        return True

    def last_word(self) -> None:
        """Said when a callback has failed, before the process ends."""

    # Entities that live from configure to cleanup.

    def publish_on(self, topic: Topic, name: str = "", kind: Any = None) -> Any:
        """A publisher of a topic of the table."""
        publisher = self.create_publisher(kind or topic.type, name or topic.name, qos(topic))
        self._entities.append((self.destroy_publisher, publisher))
        return publisher

    def subscribe_to(
        self, topic: Topic, callback: Callable[[Any], object], *, name: str = "", kind: Any = None, raw: bool = False
    ) -> Any:
        """A subscription to a topic of the table; with `raw` the callback gets the serialised message."""
        subscription = self.create_subscription(kind or topic.type, name or topic.name, callback, qos(topic), raw=raw)
        self._entities.append((self.destroy_subscription, subscription))
        return subscription

    def serve(self, kind: Any, name: str, callback: Callable[[Any, Any], Any]) -> Any:
        """A service."""
        service = self.create_service(kind, name, callback)
        self._entities.append((self.destroy_service, service))
        return service

    def serve_no_more(self, service: Any) -> None:
        """End a service before the node is cleaned up."""
        self._entities.remove((self.destroy_service, service))
        self.destroy_service(service)

    def every(self, period: float, callback: Callable[[], None]) -> None:
        """A timer on the steady clock: simulated time may stand still, a watchdog must not."""
        timer = self.create_timer(period, callback, clock=self.steady_clock)
        self._entities.append((self.destroy_timer, timer))

    def end_with(self, parent: int) -> None:
        """End when another process is no longer this one's parent; 0: with nobody."""
        if parent:
            look = partial(self._look_after, parent)
            look()
            self.every(PARENT_PERIOD_S, look)

    def _look_after(self, parent: int) -> None:
        if os.getppid() != parent:
            self.get_logger().info("the process that started this one has ended")
            os.kill(os.getpid(), signal.SIGTERM)

    def warn_about(self, text: str) -> None:
        """Log a refused message, each kind at most once a second; kinds differ in more than their numbers."""
        kind = _NUMBER.sub("", text)
        now = time.monotonic()
        if now - self._warned.get(kind, -1.0) < 1.0:
            return
        if len(self._warned) >= LARGEST_KINDS:
            self._warned.clear()
        self._warned[kind] = now
        self.get_logger().error(text)

    # Transitions.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load and check; a HumanoidError leaves the node unconfigured with one line in the log."""
        return self._transition("configure", self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Start output."""
        return self._transition("activate", self._activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop output and leave the robot damped."""
        return self._transition("deactivate", self._deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Forget everything loaded."""
        return self._transition("cleanup", self._release)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Leave the robot damped and forget everything."""
        return self._transition("shutdown", self._shut_down)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """After an exception in a transition: back to unconfigured."""
        return self._transition("recover", self._shut_down)

    def _refuse_another_clock(self, changed: list[Parameter]) -> SetParametersResult:
        """The node's clock is taken when it is configured; all other parameters are read-only, or say what they do."""
        now = self.get_parameter_or("use_sim_time").value
        if self._diagnostics is not None and any(p.name == "use_sim_time" and p.value != now for p in changed):
            reason = "use_sim_time is read when the node is configured and stays until it is cleaned up"
            return SetParametersResult(successful=False, reason=reason)
        return SetParametersResult(successful=True)

    def _transition(self, name: str, action: Callable[[], None]) -> TransitionCallbackReturn:
        try:
            action()
        except HumanoidError as error:
            self.get_logger().error(f"cannot {name}: {error}")
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # rclpy would swallow it without a word
            self.get_logger().error(f"cannot {name}: {type(error).__name__}: {error}")
            self.get_logger().debug(traceback.format_exc())
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS

    def _configure(self) -> None:
        self._given = parameters = read(self, self._parameters_type)
        self._diagnostics = self.publish_on(DIAGNOSTICS)
        try:
            self.setup(parameters)
        except Exception:
            self._release()
            raise
        self.every(parameters.diagnostics_period, self.send_diagnostics)

    def _activate(self) -> None:
        self._claim_machine()
        self.start()
        self.running = True
        # Everything loaded so far stays; the collector need not walk it again in the middle of a control step. What is
        # left to it is so little (a young generation every few seconds, 0.1 ms) that to collect by hand takes longer.
        gc.collect()
        gc.freeze()

    def _claim_machine(self) -> None:
        """Ask for what the parameters want of the machine, when the threads of the middleware are there."""
        wanted = self._given
        if not isinstance(wanted, ControlParameters):
            return
        self._claims = claim(
            realtime_priority=wanted.realtime_priority, lock_memory=wanted.lock_memory, cpus=wanted.cpus
        )
        for found in self._claims:
            if found.denial:
                self.get_logger().warning(f"{found.name} {found.asked} is denied, it goes on without: {found.denial}")
        granted = ", ".join(f"{found.name} {found.asked}" for found in self._claims if not found.denial)
        if granted:
            self.get_logger().info(f"granted by the machine: {granted}")

    def _deactivate(self) -> None:
        self.running = False
        self.stop()
        self.send_diagnostics()

    def _release(self) -> None:
        self.release()
        for destroy, entity in reversed(self._entities):
            destroy(entity)
        self._entities.clear()
        self._diagnostics = None
        gc.unfreeze()  # what is no longer needed must be found

    def _shut_down(self) -> None:
        if self.running:
            self._deactivate()
        self._release()

    def destroy_node(self) -> None:
        """As rclpy's, after what was set up is released.

        rclpy leaves the state machine, and with it the participant would stay alive, with all its threads.
        """
        if self._diagnostics is not None:
            with suppress(Exception):  # the context may have ended before
                self._release()
        super().destroy_node()
        self._state_machine.destroy_when_not_in_use()

    def send_diagnostics(self) -> None:
        """Publish the node's line now."""
        line = self.diagnose()
        if line is not None and self._diagnostics is not None:
            line.values.extend(KeyValue(key=found.name, value=found.text) for found in self._claims)
            message = DiagnosticArray(status=[line])
            message.header.stamp = self.get_clock().now().to_msg()
            self._diagnostics.publish(message)

    def autostart(self) -> bool:
        """Configure and activate if the parameter asks for it.

        Returns:
            Whether the node is where it was asked to be.
        """
        if not self.get_parameter("autostart").value:
            self.get_logger().info(
                f"waiting for its lifecycle: ros2 lifecycle set {self.get_fully_qualified_name()} configure, then "
                "activate (or start it with autostart:=true)"
            )
            return True
        success = TransitionCallbackReturn.SUCCESS
        return bool(self.trigger_configure() == success and self.trigger_activate() == success)


def make_executor() -> Any:
    """The fastest executor this rclpy has.

    Only its `spin_once` is used: `spin` of the events executor does not return to Python for signals.
    """
    try:
        from rclpy.experimental import EventsExecutor
    except ImportError:  # Humble, Iron
        return SingleThreadedExecutor()
    return EventsExecutor()


def run_node(make: Callable[[], ManagedNode], args: list[str] | None = None) -> int:
    """Run a node until SIGINT, SIGTERM, or SIGHUP, which comes when the terminal or the connection is closed.

    Signals are handled here and not by rclpy, whose handler would take the publishers away before the last damping
    effort is sent.

    Args:
        make: makes the node.
        args: command line; None for the process's own.

    Returns:
        Exit status: 0 after a signal, 1 when the node could not start.
    """
    ended: list[int] = []
    for number in ENDING:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as nohup leaves it
            signal.signal(number, lambda received, _frame: ended.append(received))
    chosen_for_you = keep_discovery_local()
    try:
        rclpy.init(args=sys.argv if args is None else args, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # a malformed argument or parameter file; rclpy has a type of its own for each
        sys.stderr.write(f"cannot start: {' '.join(str(error).split())}\n")
        return 1
    executor = make_executor()
    node: ManagedNode | None = None
    try:
        try:
            node = make()
        except (
            HumanoidError,
            ValueError,
            ParameterException,
            RuntimeError,
        ) as error:  # the last: a key that is missing
            get_logger("humanoid_rl_ros").error(f"cannot start: {' '.join(str(error).split())}")
            return 1
        executor.add_node(node)
        if chosen_for_you:
            node.get_logger().info(f"discovery stays on this machine; set {RANGE}=SUBNET to be found from others")
        if not node.autostart():
            return 1
        try:
            while not ended:
                executor.spin_once(timeout_sec=SPIN_TIMEOUT_S)
        except ExternalShutdownException:
            return 0
        except Exception as error:  # of a callback: what the node knows now cannot be trusted
            node.get_logger().fatal(f"ended by {type(error).__name__}: {error}")
            node.get_logger().info(traceback.format_exc())
            node.last_word()
            return 1
        until = time.monotonic() + SHUTDOWN_LIMIT_S
        while not node.finish() and time.monotonic() < until:
            executor.spin_once(timeout_sec=0.005)
        return 0
    finally:
        if node is not None:
            executor.remove_node(node)
            node.destroy_node()
        executor.shutdown()
        rclpy.try_shutdown()
        for number in ENDING:
            signal.signal(number, signal.SIG_IGN)  # what had to be said is said: a second Ctrl-C changes nothing
        gc.unfreeze()  # or the participant outlives the interpreter, and its files in /dev/shm everybody
