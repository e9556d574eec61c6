"""How robots lie on the floor before they get up."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.rotations import from_axis_angle, multiply
from humanoid_rl_ros.simulation.batch_simulation import BatchSimulation

_DROP_HEIGHT = 0.25
_SETTLE_TIME = 2.0
_JOINT_SPREAD = 0.5
LYING = {
    "prone": from_axis_angle(np.array([0.0, 1.0, 0.0]), np.pi / 2),
    "supine": from_axis_angle(np.array([0.0, 1.0, 0.0]), -np.pi / 2),
    "left": from_axis_angle(np.array([1.0, 0.0, 0.0]), -np.pi / 2),
    "right": from_axis_angle(np.array([1.0, 0.0, 0.0]), np.pi / 2),
}


def lying_states(simulation: BatchSimulation, start_position: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Drop every robot from low above the floor, a quarter of them on each side, and wait until they lie.

    Args:
        simulation: its robots are moved; place them afterwards.
        start_position: pose that the PD law holds weakly while they fall [rad; Shape (n_joints,)].
        rng: the source of chance.

    Returns:
        Settled generalised positions [Shape (n, nq)]; prone, supine, left, right by turns.
    """
    n, place, robot = simulation.n, simulation.layout, simulation.robot
    qpos = np.tile(simulation.initial_qpos, (n, 1))
    spread = rng.uniform(-_JOINT_SPREAD, _JOINT_SPREAD, size=(n, robot.n_joints))
    target = np.clip(start_position + spread, robot.lower, robot.upper)
    qpos[:, place.qpos] = target
    sides = list(LYING.values())
    yaw = rng.uniform(-np.pi, np.pi, n)
    for i in range(n):
        turn = from_axis_angle(np.array([0.0, 0.0, 1.0]), float(yaw[i]))
        qpos[i, place.root_qpos + 3 : place.root_qpos + 7] = multiply(turn, sides[i % len(sides)])
    qpos[:, place.root_qpos + 2] = _DROP_HEIGHT
    simulation.place(np.arange(n), qpos, np.zeros((n, simulation.model.nv)))
    for _ in range(round(_SETTLE_TIME / (simulation.timestep * simulation.substeps))):
        simulation.step(target)
        broken = np.flatnonzero(simulation.diverged())
        simulation.place(broken, qpos[broken], np.zeros((len(broken), simulation.model.nv)))
    return simulation.qpos.copy()
