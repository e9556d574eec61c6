"""A model whose bodies weigh, slide and balance otherwise than its author wrote."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.simulation.layout import ModelLayout
from humanoid_rl_ros.simulation.model_file import mujoco
from humanoid_rl_ros.simulation.payload import add_payload


def vary_body(
    model: mujoco.MjModel,
    nominal: mujoco.MjModel,
    place: ModelLayout,
    scratch: mujoco.MjData,
    *,
    friction: float,
    mass: float,
    centre_of_mass: FloatArray,
    payload: tuple[int, float, FloatArray] | None = None,
) -> None:
    """Make a model differ from the nominal one; what it differed in before is forgotten.

    Args:
        model: changed in place; a copy of `nominal`.
        nominal: as compiled.
        place: its layout.
        scratch: data of the model; what is in it is lost.
        friction: sliding friction of everything that touches; NaN for the model's own.
        mass: factor on every mass and inertia.
        centre_of_mass: shift of the root body's [m; root frame; Shape (3,)].
        payload: body that carries a load, its mass [kg] and its place, from that body's centre of mass [m; body frame;
            Shape (3,)]; None for none. A body that carried one before must be named again, if only with 0 kg.
    """
    model.geom_friction[:, 0] = nominal.geom_friction[:, 0] if np.isnan(friction) else friction
    # Contact pairs that the model names have both tangential frictions of their own.
    model.pair_friction[:, :2] = nominal.pair_friction[:, :2] if np.isnan(friction) else friction
    model.body_mass[:] = nominal.body_mass * mass
    model.body_inertia[:] = nominal.body_inertia * mass
    model.body_ipos[place.root_body] = nominal.body_ipos[place.root_body] + centre_of_mass
    if payload is not None:
        body, load, place_on_body = payload
        model.body_iquat[body] = nominal.body_iquat[body]
        if body != place.root_body:
            model.body_ipos[body] = nominal.body_ipos[body]
        if load > 0.0:
            add_payload(model, body, load, place_on_body)
    mujoco.mj_setConst(model, scratch)
