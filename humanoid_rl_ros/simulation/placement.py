"""A robot put into a given state, in a body of its own: what an episode begins with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray, frozen
from humanoid_rl_ros.core.errors import StateError, did_you_mean


@dataclass(frozen=True, eq=False)
class Placement:
    """What of a simulated robot is to be set; None leaves it as it is.

    Attributes:
        base_position: origin of the root body [m; world; Shape (3,)].
        base_orientation: root body in the world [wxyz, unit; Shape (4,)].
        base_linear_velocity: of that origin [m/s; world; Shape (3,)].
        base_angular_velocity: [rad/s; base frame; Shape (3,)].
        joint_position: in the robot's order [rad; Shape (n,)].
        joint_velocity: [rad/s; Shape (n,)].
        friction: sliding friction of everything that touches; NaN for the model's own [Shape (1,)].
        mass: factor on every mass and inertia of the model [Shape (1,)].
        centre_of_mass: shift of the root body's, from the model's [m; root frame; Shape (3,)].
        kp, kd, effort_limit: of the law by which it follows joint targets; all or none [N·m/rad, N·m·s/rad, N·m; in the
            robot's order; Shape (n,)].

    Raises:
        StateError: an array has a wrong shape, or is not finite.
    """

    base_position: FloatArray | None = None
    base_orientation: FloatArray | None = None
    base_linear_velocity: FloatArray | None = None
    base_angular_velocity: FloatArray | None = None
    joint_position: FloatArray | None = None
    joint_velocity: FloatArray | None = None
    friction: FloatArray | None = None
    mass: FloatArray | None = None
    centre_of_mass: FloatArray | None = None
    kp: FloatArray | None = None
    kd: FloatArray | None = None
    effort_limit: FloatArray | None = None

    def __post_init__(self) -> None:
        for name, value in self.given().items():
            array = frozen(value)
            expected = SIZES.get(name)
            if array.ndim != 1 or (expected is not None and array.size != expected):
                wanted = f"({expected},)" if expected is not None else "one number a joint"
                raise StateError(f"{name} has shape {array.shape}, expected {wanted}")
            if not np.isfinite(array).all() and not (name == "friction" and np.isnan(array).all()):
                raise StateError(f"{name} must be finite, found {array.tolist()}")
            object.__setattr__(self, name, array)
        norm = 1.0 if self.base_orientation is None else float(np.linalg.norm(self.base_orientation))
        if abs(norm - 1.0) > 1e-3:
            raise StateError(f"base_orientation must be a unit quaternion, found the norm {norm:g}")
        for name in ("friction", "mass"):
            value = getattr(self, name)
            if value is not None and value[0] <= 0.0:
                raise StateError(f"{name} must be above 0, found {value[0]:g}")

        law = [getattr(self, name) for name in LAW]
        if 0 < sum(value is not None for value in law) < len(LAW):
            raise StateError(f"{', '.join(LAW)} are given together or not at all")
        for name, value in zip(LAW, law, strict=True):
            if value is not None and (value < 0.0).any():
                raise StateError(f"{name} must be at least 0, found {value.min():g}")

    def given(self) -> dict[str, FloatArray]:
        """What is to be set, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def varies_body(self) -> bool:
        """Whether the body is to be another than before."""
        return any(value is not None for value in (self.friction, self.mass, self.centre_of_mass))


LAW = ("kp", "kd", "effort_limit")
SIZES = {
    "base_position": 3,
    "base_orientation": 4,
    "base_linear_velocity": 3,
    "base_angular_velocity": 3,
    "friction": 1,
    "mass": 1,
    "centre_of_mass": 3,
}
"""Numbers of each that every robot has the same of."""


def placement_of(values: Mapping[str, FloatArray]) -> Placement:
    """A placement by the names of its fields.

    Raises:
        StateError: there is no such field, or a value does not fit.
    """
    known = [field.name for field in fields(Placement)]
    for name in values:
        if name not in known:
            raise StateError(f"no '{name}' to set of a robot; {did_you_mean(name, known)}")
    return Placement(**values)
