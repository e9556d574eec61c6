"""The recorder: every topic of the table into a bag, or the last seconds of it when something has happened."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.exceptions import ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import String
from std_srvs.srv import Trigger

from humanoid_rl_ros.bags.bundles import BundleKeeper
from humanoid_rl_ros.bags.disk import free_bytes
from humanoid_rl_ros.bags.facts import DROPPED_KEY, LOST_KEY
from humanoid_rl_ros.bags.flight import FaultWatch, FlightRecording
from humanoid_rl_ros.bags.message_types import MessageTypes
from humanoid_rl_ros.bags.recording import MEGABYTE, Recorder, Recording
from humanoid_rl_ros.bags.records import NANOSECONDS, Record
from humanoid_rl_ros.bags.writer import BagWriter
from humanoid_rl_ros.core.errors import BagError, HumanoidError
from humanoid_rl_ros.interfaces import topics
from humanoid_rl_ros.interfaces.discovery import keep_discovery_local
from humanoid_rl_ros.interfaces.status import diagnostic, values_of
from humanoid_rl_ros.nodes.parameters import declare, read
from humanoid_rl_ros.nodes.quality import qos
from humanoid_rl_ros.nodes.recorder_ears import Ears
from humanoid_rl_ros.nodes.recorder_parameters import RecorderParameters, RecordingSummary
from humanoid_rl_ros.nodes.recorder_topics import offers, share_folder, wanted_topics

TAKE_S = 0.005
GRAPH_S, SERVICES_S, TOLD_S = 0.2, 0.05, 1.0
LAST_WORDS_S = 0.25
LOOK_AROUND_S = 5.0
"""After a signal: the nodes that were sent it too have something to say."""


class RecorderNode(Node):
    """Listens and hands over; what is done with it is the recorder's.

    Args:
        options: passed on to `rclpy.node.Node`.

    Raises:
        HumanoidError: the bag cannot be made, or a parameter is wrong.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__("recorder", **options)
        declare(self, RecorderParameters)
        self.parameters = read(self, RecorderParameters)
        log = self.get_logger()
        distribution = os.environ.get("ROS_DISTRO", "kilted")
        self._ears = Ears(self, MessageTypes(distribution, share_folder), log.warning)
        self._wanted = wanted_topics(self.get_namespace(), self.parameters.topics)
        self._keeper = BundleKeeper()
        self._watch = FaultWatch()
        self._watched = {self.resolve_topic_name(topics.SAFETY_STATUS.name): self._on_safety_status}
        if self.parameters.bundles:
            for setup in (topics.POLICY_SETUP, topics.SAFETY_SETUP):
                self._watched[self.resolve_topic_name(setup.name)] = self._on_setup
        self.flight: FlightRecording | None = None
        self.recorder = self._make_recorder(distribution)
        self._status = self.create_publisher(DiagnosticStatus, topics.RECORDER_STATUS.name, qos(topics.RECORDER_STATUS))
        self._diagnostics = self.create_publisher(DiagnosticArray, topics.DIAGNOSTICS.name, qos(topics.DIAGNOSTICS))
        if self.flight is not None:
            self.create_service(Trigger, topics.RECORDER_KEEP, self._on_keep)
        self._began = time.monotonic()
        self._looked = False

    def _make_recorder(self, distribution: str) -> Recorder:
        given = self.parameters

        def make_writer(folder: Path) -> BagWriter:
            return BagWriter(
                folder,
                compression=given.compression,
                split_bytes=round(given.split_size * MEGABYTE),
                split_ns=round(given.split_time * NANOSECONDS),
                distribution=distribution,
            )

        memory, min_free = round(given.memory * MEGABYTE), round(given.min_free * MEGABYTE)
        if given.flight:
            self.flight = FlightRecording(
                Path(given.output or "flight"),
                seconds=given.flight,
                after=given.after,
                limit_bytes=memory,
                min_free_bytes=min_free,
                make_writer=make_writer,
                finish=self._copy_bundles,
            )
            return self.flight
        moment = datetime.now().astimezone().strftime("%Y%m%d_%H%M%S")
        writer = make_writer(Path(given.output or f"bag_{moment}"))
        return Recording(writer, limit_bytes=memory, min_free_bytes=min_free)

    def hear_new_topics(self) -> None:
        """Look at the graph, and listen to what is new in it."""
        self._say_where_the_robots_are()
        for offer in offers(self, self._wanted, everything=self.parameters.all_topics):
            topic = self._ears.hear(offer)
            if topic is not None:
                self.recorder.add_topic(topic)

    def _say_where_the_robots_are(self) -> None:
        """Once, where none is in this namespace, and some are in others."""
        end = f"/{topics.JOINT_STATES.name}"
        here = self.resolve_topic_name(topics.JOINT_STATES.name)
        if self._looked or time.monotonic() - self._began < LOOK_AROUND_S:
            return
        self._looked = True
        names = [name for name, _ in self.get_topic_names_and_types()]
        others = sorted(name.removesuffix(end) for name in names if name.endswith(end) and name != here)
        if others and here not in names:
            found = ", ".join(others)
            self.get_logger().warning(f"there is no {here}, but robots in {found}: record them with --namespace")

    def take(self) -> None:
        """Hand over what has come."""
        messages = self._ears.take()
        watched = self._watched
        for message in messages:
            if message.topic in watched:
                watched[message.topic](message)
        self.recorder.put(messages)

    def tell(self) -> None:
        """Publish how it goes, and have the bag say what was lost."""
        self.recorder.say(LOST_KEY, json.dumps(self._ears.lost))
        self.recorder.say(DROPPED_KEY, json.dumps(dict(self.recorder.dropped)))
        if self.flight is not None:
            for line in self.flight.news():
                self.get_logger().info(line)
        status = self._status_message()
        self._status.publish(status)
        message = DiagnosticArray(status=[status])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def summary(self) -> RecordingSummary:
        """What it has come to."""
        messages, size = self.recorder.written()
        return RecordingSummary(
            bags=self.recorder.bags(),
            seconds=time.monotonic() - self._began,
            messages=messages,
            bytes=size,
            counts=self._ears.counts,
            lost=self._ears.lost,
            dropped=dict(self.recorder.dropped),
            failure=self.recorder.failure(),
        )

    def close(self) -> None:
        """Take the last words of the others, write them, end."""
        try:
            until = time.monotonic() + LAST_WORDS_S
            while time.monotonic() < until and self.recorder.failure() is None:
                self.take()
                time.sleep(TAKE_S)
            self.take()
            self.tell()
        finally:
            self.recorder.close()
        if self.flight is not None:
            for line in self.flight.news():
                self.get_logger().info(line)

    def _status_message(self) -> DiagnosticStatus:
        summary = self.summary()
        lost, dropped = sum(summary.lost.values()), sum(summary.dropped.values())
        bags = ", ".join(map(str, summary.bags[-1:]))
        level = DiagnosticStatus.ERROR if summary.failure else DiagnosticStatus.OK
        if not summary.failure and (lost or dropped):
            level = DiagnosticStatus.WARN
        text = str(summary.failure or ("keeping the last seconds" if self.flight is not None else f"recording {bags}"))
        values: dict[str, object] = {
            "bag": bags,
            "topics": len(self._ears),
            "heard": sum(summary.counts.values()),
            "written": summary.messages,
            "written_MB": summary.bytes / MEGABYTE,
            "lost": lost,
            "dropped": dropped,
            "free_MB": free_bytes(Path(self.parameters.output or ".")) / MEGABYTE,
            **{f"lost {name}": count for name, count in summary.lost.items()},
            **{f"dropped {name}": count for name, count in summary.dropped.items()},
        }
        return diagnostic(self.get_fully_qualified_name(), "", level, text, values)

    def _on_safety_status(self, message: Record) -> None:
        status = _decoded(message, DiagnosticStatus)
        reason = self._watch.see(values_of(status)) if status is not None else ""
        if reason and self.flight is not None:
            self.get_logger().warning(f"the safety monitor says '{reason}': keeping the last seconds")
            self.flight.keep(reason)

    def _on_setup(self, message: Record) -> None:
        setup = _decoded(message, String)
        if setup is not None and self._keeper.see(setup.data) and self.flight is None:
            (bag,) = self.recorder.bags()
            threading.Thread(target=self._copy_bundles, args=(bag,), name="bundles", daemon=True).start()

    def _copy_bundles(self, bag: Path) -> None:
        for line in self._keeper.copy_into(bag):
            self.get_logger().warning(line)

    def _on_keep(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        assert self.flight is not None
        self.flight.keep("request")
        response.success, response.message = True, f"a bag is written in {self.parameters.after:g} s"
        return response


def _decoded(message: Record, kind: Any) -> Any:
    """The message, or None where its bytes are none: anyone can publish anything."""
    try:
        return deserialize_message(message.data, kind)
    except Exception:  # rclpy has no type of its own for it
        return None


def record(
    parameters: Mapping[str, Any] | None = None, namespace: str = "", args: list[str] | None = None
) -> RecordingSummary:
    """Record until SIGINT, SIGTERM, the end of the time, or a failure.

    Args:
        parameters: of `RecorderParameters`, by name; the others have their defaults.
        namespace: of the topics.
        args: command line for ROS; None: nothing.

    Returns:
        What it has come to.

    Raises:
        HumanoidError: it could not start.
    """
    ended: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _frame: ended.append(received))
    keep_discovery_local()
    try:
        rclpy.init(args=args or [], signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # a malformed argument or parameter file; rclpy has a type of its own for each
        raise BagError(f"cannot start: {' '.join(str(error).split())}") from None
    node: RecorderNode | None = None
    executor = SingleThreadedExecutor()
    try:
        overrides = [Parameter(name, value=value) for name, value in (parameters or {}).items()]
        try:
            node = RecorderNode(namespace=namespace or None, parameter_overrides=overrides)
        except (ValueError, ParameterException, RuntimeError) as error:  # the last: a key that is missing
            raise BagError(f"cannot start: {' '.join(str(error).split())}") from None
        executor.add_node(node)
        try:
            _run(node, executor, ended)
        finally:
            node.close()
        return node.summary()
    finally:
        if node is not None:
            executor.remove_node(node)
            node.destroy_node()
        executor.shutdown()
        rclpy.try_shutdown()
        gc.unfreeze()  # or the participant outlives the interpreter, and its files in /dev/shm everybody


def _run(node: RecorderNode, executor: SingleThreadedExecutor, ended: list[int]) -> None:
    began = time.monotonic()
    seconds = node.parameters.seconds
    due = {"graph": began, "services": began, "told": began}
    gc.collect()
    gc.freeze()
    while not ended and node.recorder.failure() is None:
        now = time.monotonic()
        if seconds and now - began >= seconds:
            return
        if now >= due["graph"]:
            node.hear_new_topics()
            due["graph"] = now + GRAPH_S
        node.take()
        if now >= due["services"]:
            try:
                executor.spin_once(timeout_sec=0.0)
            except ExternalShutdownException:
                return
            due["services"] = now + SERVICES_S
        if now >= due["told"]:
            node.tell()
            due["told"] = now + TOLD_S
        time.sleep(max(0.0, TAKE_S - (time.monotonic() - now)))


def main() -> int:
    """Run as a ROS executable, with the parameters of `RecorderParameters`."""
    log = get_logger("recorder")
    try:
        summary = record(args=sys.argv)
    except HumanoidError as error:
        log.error(str(error) if str(error).startswith("cannot start") else f"cannot start: {error}")
        return 1
    if summary.failure is not None:
        log.error(str(summary.failure))
    log.info(f"wrote {summary.line()}")
    return 0 if summary.failure is None else 2


if __name__ == "__main__":
    sys.exit(main())
