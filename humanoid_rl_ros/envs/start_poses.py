"""How robots stand or lie when an episode begins."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray, IndexArray
from humanoid_rl_ros.core.rotations import from_axis_angle, multiply, projected_gravity
from humanoid_rl_ros.envs.randomisation import RandomisationSpec
from humanoid_rl_ros.simulation.batch_simulation import BatchSimulation

# A start that differs from the start pose begins with the base so much higher, so that few feet start in the floor [m].
_CLEARANCE = 0.02
_DROP_HEIGHT = 0.25
_SETTLE_TIME = 2.0
_JOINT_SPREAD = 0.5
# Of those that fall limp: how long they are given, how hard they are shoved at most, how often each robot falls.
_FALL_TIME = 2.5  # [s]
_SHOVE = 2.5  # [m/s, rad/s]
_FALLS_PER_ROBOT = 3
_CAUGHT = 1.0  # [s]
# Cosine of the angle by which a robot may have tipped from the side it was dropped on.
_ON_ITS_SIDE = 0.8
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
        Generalised positions [Shape (n, nq)]; prone, supine, on the left, on the right by turns. They are settled, or,
        of those that roll over, what they were when they last lay where they were dropped: most robots do not stay on
        a narrow side by themselves.
    """
    n, place = simulation.n, simulation.layout
    side = np.stack(list(LYING.values()))[np.arange(n) % len(LYING)]
    qpos = _turned(simulation, start_position, side, rng)
    qpos[:, place.root_qpos + 2] = _DROP_HEIGHT
    simulation.place(np.arange(n), qpos, np.zeros((n, simulation.model.nv)))
    target, down = qpos[:, place.qpos], projected_gravity(side)
    found = qpos.copy()
    for _ in range(round(_SETTLE_TIME / (simulation.timestep * simulation.substeps))):
        _step(simulation, target, qpos)
        on_it = (projected_gravity(simulation.base_orientation) * down).sum(axis=1) > _ON_ITS_SIDE
        found[on_it] = simulation.qpos[on_it]
    # Some were in the air when they turned.
    found[:, place.root_qpos + 2] -= np.maximum(simulation.lowest_point(found), 0.0)
    return found


def fallen_states(simulation: BatchSimulation, start_position: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Shove every robot while it stands, limp from then on, and wait until it lies as it happened to fall.

    Args:
        simulation: its robots are moved; place them afterwards.
        start_position: pose near which they stand [rad; Shape (n_joints,)].
        rng: the source of chance.

    Returns:
        Generalised positions [Shape (n, nq)]. Half of them are settled; of the others it is how they were at some
        moment of the fall: kneeling, sitting, half way down, from where standing up is sooner found.
    """
    n, place = simulation.n, simulation.layout
    upright = np.tile([1.0, 0.0, 0.0, 0.0], (n, 1))
    qpos = _turned(simulation, start_position, upright, rng)
    qpos[:, place.root_qpos + 2] -= simulation.lowest_point(qpos)
    qvel = np.zeros((n, simulation.model.nv))
    along, speed = rng.uniform(-np.pi, np.pi, n), rng.uniform(0.5, _SHOVE, n)
    qvel[:, place.root_dof] = speed * np.cos(along)
    qvel[:, place.root_dof + 1] = speed * np.sin(along)
    qvel[:, place.root_dof + 3 : place.root_dof + 6] = rng.uniform(-_SHOVE, _SHOVE, (n, 3))
    simulation.place(np.arange(n), qpos, qvel)
    period = simulation.timestep * simulation.substeps
    steps = round(_FALL_TIME / period)
    caught = np.where(np.arange(n) % 2 == 1, rng.integers(0, round(_CAUGHT / period), n), steps - 1)
    found = qpos.copy()
    for step in range(steps):
        # A target that follows the joints leaves nothing of the law but its damping.
        _step(simulation, simulation.joint_position, qpos)
        now = caught == step
        found[now] = simulation.qpos[now]
    return found


def _turned(
    simulation: BatchSimulation, start_position: FloatArray, orientation: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Every robot near a pose, its base turned by chance about the vertical, at the height it starts with."""
    n, place, robot = simulation.n, simulation.layout, simulation.robot
    qpos = np.tile(simulation.initial_qpos, (n, 1))
    spread = rng.uniform(-_JOINT_SPREAD, _JOINT_SPREAD, size=(n, robot.n_joints))
    qpos[:, place.qpos] = np.clip(start_position + spread, robot.lower, robot.upper)
    vertical = np.array([0.0, 0.0, 1.0])
    turns = np.stack([from_axis_angle(vertical, float(yaw)) for yaw in rng.uniform(-np.pi, np.pi, n)])
    qpos[:, place.root_qpos + 3 : place.root_qpos + 7] = multiply(turns, orientation)
    return qpos


def _step(simulation: BatchSimulation, target: FloatArray, qpos: FloatArray) -> None:
    """One control period; whoever leaves the finite begins anew, at rest."""
    simulation.step(target)
    broken = np.flatnonzero(simulation.diverged())
    simulation.place(broken, qpos[broken], np.zeros((len(broken), simulation.model.nv)))


def down_states(
    start: str, simulation: BatchSimulation, start_position: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """What robots that are to get up start from: `lying_states`, and where the start is ``fallen`` thrice as many more.

    Returns:
        Generalised positions [Shape (n, nq) or (4 n, nq)].
    """
    found = [lying_states(simulation, start_position, rng)]
    if start == "fallen":
        found += [fallen_states(simulation, start_position, rng) for _ in range(_FALLS_PER_ROBOT)]
    return np.concatenate(found)


def standing_states(
    simulation: BatchSimulation, start_position: FloatArray, k: int, spec: RandomisationSpec, rng: np.random.Generator
) -> FloatArray:
    """k robots in the start pose, or near it [Shape (k, nq)]."""
    place, robot = simulation.layout, simulation.robot
    qpos = np.tile(simulation.initial_qpos, (k, 1))
    if spec.start_position > 0.0:
        noise = rng.uniform(-spec.start_position, spec.start_position, (k, robot.n_joints))
        qpos[:, place.qpos] = np.clip(start_position + noise, robot.lower, robot.upper)
        qpos[:, place.root_qpos + 2] += _CLEARANCE
        # Straighter legs and pointed toes may reach further down than that.
        qpos[:, place.root_qpos + 2] -= np.minimum(simulation.lowest_point(qpos), 0.0)
    return qpos


def put_at_start(
    simulation: BatchSimulation,
    which: IndexArray,
    start_position: FloatArray,
    lying: FloatArray | None,
    spec: RandomisationSpec,
    rng: np.random.Generator,
) -> None:
    """Place some robots where their episodes begin.

    Args:
        simulation: the robots.
        which: rows [Shape (k,)].
        start_position: pose [rad; Shape (n_joints,)].
        lying: states of `down_states` to draw from, or None for robots that stand.
        spec: how far from the pose and how fast they may begin.
        rng: the source of chance.
    """
    k, place = len(which), simulation.layout
    if lying is None:
        qpos = standing_states(simulation, start_position, k, spec, rng)
    else:
        qpos = lying[rng.integers(0, len(lying), k)]
    if simulation.terrain is not None:
        base, size = slice(place.root_qpos, place.root_qpos + 2), simulation.terrain.shape.size
        qpos[:, base] = rng.uniform(-0.5 * size, 0.5 * size, (k, 2))
        qpos[:, place.root_qpos + 2] += simulation.terrain.highest_under(qpos[:, base], which)
    qvel = np.zeros((k, simulation.model.nv))
    if spec.start_velocity > 0.0:
        base = slice(place.root_dof, place.root_dof + 6)
        qvel[:, base] = rng.uniform(-spec.start_velocity, spec.start_velocity, (k, 6))
    simulation.place(which, qpos, qvel)
