"""A load fixed to a body of the robot."""

from __future__ import annotations

import fnmatch

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.simulation.model_file import mujoco


def add_payload(model: mujoco.MjModel, body: int, mass: float, place: FloatArray) -> None:
    """Fix a point mass to a body; call `mj_setConst` afterwards.

    Mass, centre of mass and inertia become those of both together (parallel axis theorem).

    Args:
        model: changed in place; the body as it is without the load.
        body: its id.
        mass: [kg].
        place: of the load, from the body's centre of mass [m; body frame; Shape (3,)].
    """
    own = float(model.body_mass[body])
    share = mass / (own + mass)
    turn = np.empty(9)
    mujoco.mju_quat2Mat(turn, model.body_iquat[body])
    axes = turn.reshape(3, 3)
    inertia = (axes * model.body_inertia[body]) @ axes.T
    # Both masses about the common centre: μ(|d|²1 − d dᵀ) with μ the reduced mass.
    inertia += own * share * (place @ place * np.eye(3) - np.outer(place, place))
    moments, axes = np.linalg.eigh(inertia)
    if np.linalg.det(axes) < 0.0:
        axes[:, 0] *= -1.0
    mujoco.mju_mat2Quat(model.body_iquat[body], axes.ravel())
    model.body_inertia[body] = moments
    model.body_mass[body] = own + mass
    model.body_ipos[body] = model.body_ipos[body] + share * place


def payload_body(model: mujoco.MjModel, pattern: str, root: int) -> int:
    """The body that carries the load.

    Args:
        model: the robot's.
        pattern: of its name (``*torso*``); empty for the root.
        root: the root body.

    Raises:
        ConfigError: no body of the robot matches it, or several do.
    """
    if not pattern:
        return root
    names = {b: model.body(b).name for b in range(model.nbody) if model.body_rootid[b] == root}
    found = [b for b, name in names.items() if fnmatch.fnmatchcase(name, pattern)]
    if len(found) != 1:
        what = "no body" if not found else f"{len(found)} bodies"
        raise ConfigError(
            f"'payload_on': {what} of the robot match '{pattern}', and one must; its bodies: "
            f"{', '.join(name for name in names.values() if name)}"
        )
    return found[0]
