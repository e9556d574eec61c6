"""What a demo asks of the hands, and what it makes of where they were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("rclpy")
pytest.importorskip("mujoco")

import rclpy
from geometry_msgs.msg import PoseArray
from rclpy.context import Context

from humanoid_rl_ros.cli.hand_demo import PERIOD_S, HandOperator
from humanoid_rl_ros.cli.observer import Recording
from humanoid_rl_ros.core.hand_targets import HandTargetBounds, HandTargetSpec
from humanoid_rl_ros.envs.hand_score import REACH_S
from humanoid_rl_ros.envs.tasks import task_for
from humanoid_rl_ros.resources import find_robot
from humanoid_rl_ros.simulation.hands import hand_positions

pytestmark = pytest.mark.ros
ROBOT = find_robot("reference")
SAMPLING = task_for("reach", ROBOT).hand_targets
assert SAMPLING is not None
SPEC: HandTargetSpec = SAMPLING.full


class _Heard:
    """A publisher that keeps what it is given."""

    def __init__(self) -> None:
        self.messages: list[PoseArray] = []

    def publish(self, message: PoseArray) -> None:
        self.messages.append(message)


@pytest.fixture
def operator() -> Iterator[HandOperator]:
    context = Context()
    rclpy.init(context=context, args=[])
    node = rclpy.create_node("operator", context=context, use_global_arguments=False)
    yield HandOperator(node, SPEC)
    node.destroy_node()
    context.try_shutdown()


def test_it_asks_for_something_else_every_period_and_repeats_it(operator: HandOperator) -> None:
    heard = operator._publisher = _Heard()
    for simulated in (-1.0, 0.0, 1.0, PERIOD_S, PERIOD_S + 1.0, 3.5 * PERIOD_S):
        operator.follow(simulated, 10.0 + simulated)
    assert [time for time, _ in operator.asked] == [10.0, 10.0 + PERIOD_S, 10.0 + 3.5 * PERIOD_S]
    assert len(heard.messages) == 5
    assert all(m.header.frame_id == "pelvis" and len(m.poses) == 2 for m in heard.messages)
    said = [[[p.position.x, p.position.y, p.position.z] for p in m.poses] for m in heard.messages]
    assert said[0] == said[1] == operator.asked[0][1].tolist()
    assert said[2] == said[3] != said[0]
    assert HandTargetBounds(SPEC).contain(np.array(said)).all()


def test_distances_are_of_what_was_asked_then_and_scored_once_a_hand_may_be_there(operator: HandOperator) -> None:
    down = hand_positions(ROBOT, ROBOT.default_position[None])[0]
    operator.asked = [(1.0, down), (4.0, down + np.array([0.0, 0.0, 0.3]))]
    times = [0.5, 1.5, 1.0 + REACH_S, 4.5, 4.0 + REACH_S]
    backwards = list(reversed(ROBOT.joint_names))
    record = replace(
        Recording(),
        effort_time=times,
        joint_names=backwards,
        position=[ROBOT.default_position[::-1].copy() for _ in times],
    )
    found, scored = operator.distances(record, ROBOT)
    expected = [np.nan, 0.0, 0.0, 0.3, 0.3]
    np.testing.assert_allclose(found, np.tile(expected, (2, 1)).T, atol=1e-9)
    np.testing.assert_allclose(scored[:, 0], [np.nan, np.nan, 0.0, np.nan, 0.3], atol=1e-9)
    assert operator.distances(Recording(), ROBOT)[0].shape == (0, 2)
