"""What an operator says to a safety monitor that runs, and what it answers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from std_srvs.srv import SetBool, Trigger

from humanoid_rl_ros.core.errors import HumanoidError
from humanoid_rl_ros.core.ros_names import namespace_of
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.discovery import LOCALHOST_ONLY, RANGE, keep_discovery_local
from humanoid_rl_ros.nodes.quality import qos

PATIENCE_S = 5.0
"""For discovery, and again for an answer."""


def operator_node(context: Any = None) -> Node:
    """A node that serves nothing: the operator's key allows no more than to ask and to hear.

    Args:
        context: of rclpy; None: the default one.
    """
    silent = [Parameter("start_type_description_service", value=False)]
    name = f"humanoid_rl_operator_{os.getpid()}"
    return Node(name, context=context, start_parameter_services=False, parameter_overrides=silent)


class Operator:
    """Talks to the safety monitor of one namespace; use it as a context manager.

    Args:
        namespace: of the robot's nodes; empty for none.

    Raises:
        ConfigError: it is no namespace.
    """

    def __init__(self, namespace: str) -> None:
        space = namespace_of(namespace)
        self._head = f"/{space}/" if space else "/"
        self._node: Node | None = None

    def __enter__(self) -> Operator:
        keep_discovery_local()
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)  # Ctrl-C ends the command, not a wait
        self._node = operator_node()
        return self

    def __exit__(self, *_: object) -> None:
        if self._node is not None:
            self._node.destroy_node()
        rclpy.try_shutdown()

    def arm(self, wanted: bool) -> tuple[bool, str]:
        """Arm or disarm; whether it was done, and what the monitor says."""
        return self._ask(SetBool, topics.SAFETY_ARM, SetBool.Request(data=wanted))

    def reset(self) -> tuple[bool, str]:
        """Leave a latched state."""
        return self._ask(Trigger, topics.SAFETY_RESET, Trigger.Request())

    def stop(self) -> tuple[bool, str]:
        """The emergency stop."""
        return self._ask(Trigger, topics.SAFETY_EMERGENCY_STOP, Trigger.Request())

    def diagnostics(self) -> DiagnosticStatus:
        """The monitor's line on /diagnostics.

        Raises:
            HumanoidError: none came.
        """
        assert self._node is not None
        found: list[DiagnosticStatus] = []
        name = f"{self._head}safety_monitor"

        def hear(message: DiagnosticArray) -> None:
            found.extend(status for status in message.status if status.name == name)

        self._node.create_subscription(DiagnosticArray, topics.DIAGNOSTICS.name, hear, qos(topics.DIAGNOSTICS))
        self._until(lambda: bool(found), f"'{name}' on {topics.DIAGNOSTICS.name}")
        return found[-1]

    def _ask(self, kind: Any, service: str, request: Any) -> tuple[bool, str]:
        assert self._node is not None
        name = self._head + service
        client = self._node.create_client(kind, name)
        self._until(client.service_is_ready, f"the service {name}")
        answer = client.call_async(request)
        self._until(answer.done, f"an answer of {name}")
        response = answer.result()
        return bool(response.success), str(response.message)

    def _until(self, done: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE_S
        while not done():
            if time.monotonic() > end:
                domain = os.environ.get("ROS_DOMAIN_ID", "0")
                chosen = LOCALHOST_ONLY if os.environ.get(LOCALHOST_ONLY) else RANGE
                raise HumanoidError(
                    f"waited {PATIENCE_S:g} s in vain for {what}; is a safety monitor running there? Looked in "
                    f"ROS_DOMAIN_ID={domain} with {chosen}={os.environ[chosen]}"
                )
            rclpy.spin_once(self._node, timeout_sec=0.05)
