"""A world behind its ROS service and its clock: the way that `WorldControl` takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from humanoid_rl_ros.core.errors import MissingDependencyError
from humanoid_rl_ros.envs.world_control import WorldRequest
from humanoid_rl_ros.interfaces.conversions import stamp_to_ns
from humanoid_rl_ros.interfaces.topics import CLOCK

ASK_AGAIN_S = 1.0
"""Wall time after which a question that may be put twice is put again [s]."""


@dataclass(frozen=True)
class WorldService:
    """A type of world-control service.

    Attributes:
        type: the service class.
        fill: makes its request of one of ours.
        accepted: whether its response says that the request was accepted.
    """

    type: Any
    fill: Callable[[WorldRequest], Any]
    accepted: Callable[[Any], bool]


def gazebo_service() -> WorldService:
    """The service of Gazebo, as ros_gz_bridge offers it: ros_gz_interfaces/srv/ControlWorld.

    Raises:
        MissingDependencyError: ros_gz_interfaces is not installed.
    """
    try:
        kind = import_module("ros_gz_interfaces.srv").ControlWorld
    except ModuleNotFoundError:
        raise MissingDependencyError(
            "stepping Gazebo needs the ROS package ros_gz_interfaces, which is not installed; "
            "sudo apt install ros-$ROS_DISTRO-ros-gz-interfaces"
        ) from None
    return WorldService(kind, lambda request: fill_control_world(kind.Request(), request), lambda r: bool(r.success))


def fill_control_world(message: Any, request: WorldRequest) -> Any:
    """Fill a request of ros_gz_interfaces/srv/ControlWorld.

    `reset.model_only` and `seed` are left alone: Gazebo accepts them and does nothing.
    """
    control = message.world_control
    control.pause, control.multi_step, control.reset.all = request.pause, request.steps, request.reset
    return message


class RosWorld:
    """A `WorldPort` over ROS.

    Args:
        node: whose executor runs the callbacks.
        service: its type.
        name: of the service, such as ``/world/humanoid/control``.
        spin: lets the executor work for at most so long [s].
        clock: topic of the simulated time.
    """

    def __init__(
        self, node: Node, service: WorldService, name: str, spin: Callable[[float], None], clock: str = CLOCK.name
    ) -> None:
        self._node, self._service, self._spin = node, service, spin
        self._client = node.create_client(service.type, name)
        qos = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._subscription = node.create_subscription(CLOCK.type, clock, self._on_clock, qos)
        self._future: Any = None
        self._asked = 0.0
        self._waiting = WorldRequest(pause=True)
        self._time_ns: int | None = None

    def ask(self, request: WorldRequest) -> None:
        """See `WorldPort.ask`; a service that is not there yet hears it when it comes."""
        if self._future is not None:
            self._client.remove_pending_request(self._future)
        self._future = None
        self._waiting = request

    def answer(self) -> bool | None:
        """See `WorldPort.answer`."""
        asks_again = self._waiting.pause and self._waiting.steps <= 1 and not self._waiting.reset
        if self._future is not None and asks_again and time.monotonic() - self._asked > ASK_AGAIN_S:
            # The answer to a client that the server has not found yet gets lost; to pause twice is to pause.
            self.ask(self._waiting)
        if self._future is None:
            if self._client.service_is_ready():
                self._future = self._client.call_async(self._service.fill(self._waiting))
                self._asked = time.monotonic()
            return None
        return self._service.accepted(self._future.result()) if self._future.done() else None

    def time_ns(self) -> int | None:
        """See `WorldPort.time_ns`."""
        return self._time_ns

    def wait(self, seconds: float) -> None:
        """See `WorldPort.wait`."""
        self._spin(seconds)

    def close(self) -> None:
        """Leave service and clock."""
        self._node.destroy_client(self._client)
        self._node.destroy_subscription(self._subscription)

    def _on_clock(self, message: Any) -> None:
        self._time_ns = stamp_to_ns(message.clock)
