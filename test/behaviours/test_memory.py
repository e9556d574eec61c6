"""What a policy does at every state leaves nothing behind."""

from __future__ import annotations

import gc
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

from humanoid_rl_ros.behaviours.walk import PolicyBehaviour
from humanoid_rl_ros.core.state import RobotState, VelocityCommand
from humanoid_rl_ros.resources import find_policy, find_robot


@pytest.mark.slow
def test_more_inferences_take_no_more_memory() -> None:
    robot, bundle = find_robot("reference"), find_policy("walk")
    behaviour = PolicyBehaviour(bundle, robot, bundle.load_network())
    rng = np.random.default_rng(0)
    upright, command = np.array([1.0, 0.0, 0.0, 0.0]), VelocityCommand(0.5, 0.0, 0.1)

    def run(start: int, count: int) -> None:
        for k in range(start, start + count):
            position = robot.default_position + rng.uniform(-0.1, 0.1, robot.n_joints)
            state = RobotState(k * 20_000_000, position, rng.uniform(-1, 1, robot.n_joints), upright, np.zeros(3))
            if k == 0:
                behaviour.enter(state)
            behaviour.update(state, command)

    tracemalloc.start()
    try:
        held = []
        for turn in range(12):
            run(700 * turn, 700)
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    # The pools of NumPy and ONNX Runtime fill up at first.
    assert min(later - before for before, later in pairwise(held[-6:])) < 256, held
