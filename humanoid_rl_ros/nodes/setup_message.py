"""Says, latched, what a node was made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from humanoid_rl_ros.control.setup import NodeSetup, PolicySource
from humanoid_rl_ros.control.software import software
from humanoid_rl_ros.core.robot import RobotSpec, dump_robot
from humanoid_rl_ros.interfaces.cdr_writers import write_string
from humanoid_rl_ros.interfaces.topics import Topic
from humanoid_rl_ros.nodes.base import ManagedNode
from humanoid_rl_ros.policies.bundle import FILE_NAME, PolicyBundle
from humanoid_rl_ros.policies.signature import file_digest
from humanoid_rl_ros.safety.limits import SafetyLimits


def policy_source(short_name: str, bundle: PolicyBundle, entry_blend: float | None) -> PolicySource:
    """What there is to say of a bundle.

    Args:
        short_name: under which it is switched to.
        bundle: the bundle.
        entry_blend: as of `PolicySource`.
    """
    files = {name: file_digest(bundle.folder / name) for name in bundle.files()}
    text = (bundle.folder / FILE_NAME).read_text(encoding="utf-8")
    return PolicySource(short_name, bundle.name, str(bundle.folder.absolute()), entry_blend, text, files)


class SetupMessage:
    """The publisher of what a node was made of.

    Args:
        node: the node.
        topic: `topics.POLICY_SETUP` or `topics.SAFETY_SETUP`.
        parameters: the dataclass of its parameters.
    """

    def __init__(self, node: ManagedNode, topic: Topic, parameters: Any) -> None:
        self._name = node.get_fully_qualified_name()
        self._parameters = asdict(parameters)
        self._software = software()
        self._publisher = node.publish_on(topic)

    def say(
        self,
        robot: RobotSpec,
        settings: Any,
        *,
        policies: Sequence[PolicySource] = (),
        limits: SafetyLimits | None = None,
    ) -> None:
        """Publish it.

        Args:
            robot: the robot.
            settings: the dataclass of its control's settings.
            policies: of a policy node.
            limits: of a safety monitor.
        """
        setup = NodeSetup(
            node=self._name,
            software=self._software,
            parameters=self._parameters,
            robot_name=robot.name,
            robot_yaml=dump_robot(robot),
            settings=asdict(settings),
            policies=tuple(policies),
            limits={} if limits is None else asdict(limits),
        )
        self._publisher.publish(write_string(setup.as_text()))
