"""Quaternion algebra in wxyz order, for single rotations and batches alike.

A quaternion q = (w, x, y, z) turns a vector of the body frame into the world frame. Every function takes leading
batch axes. ROS messages carry xyzw; that order is converted once, in `humanoid_rl_ros.interfaces.conversions`.
"""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray
from humanoid_rl_ros.core.errors import StateError

IDENTITY: FloatArray = np.array([1.0, 0.0, 0.0, 0.0])
UNIT_TOLERANCE = 1e-2


def unit(quaternion: FloatArray) -> FloatArray:
    """Normalise a quaternion that is already nearly a rotation.

    Args:
        quaternion: [wxyz; Shape (..., 4)].

    Returns:
        The same rotations with norm 1.

    Raises:
        StateError: a norm differs from 1 by more than `UNIT_TOLERANCE`, or is not finite.
    """
    with np.errstate(over="ignore"):
        norm = np.sqrt((quaternion * quaternion).sum(axis=-1, keepdims=True))
    near = np.abs(norm[..., 0] - 1.0) <= UNIT_TOLERANCE
    if not near.all():
        bad = quaternion[~near].reshape(-1, 4)[0]
        text = ", ".join(f"{value:.4g}" for value in bad)
        raise StateError(f"orientation [{text}] (wxyz) is not a unit quaternion: norm {float(norm[~near].flat[0]):.4g}")
    return np.asarray(quaternion / norm)


def conjugate(quaternion: FloatArray) -> FloatArray:
    """The inverse rotation of a unit quaternion [wxyz; Shape (..., 4)]."""
    return np.asarray(quaternion * np.array([1.0, -1.0, -1.0, -1.0]))


def cross(left: FloatArray, right: FloatArray) -> FloatArray:
    """Vector product left × right, many times as fast as `numpy.cross` for a few hundred [Shape (..., 3)]."""
    a, b, c = left[..., 0], left[..., 1], left[..., 2]
    d, e, f = right[..., 0], right[..., 1], right[..., 2]
    x = np.asarray(b * f - c * e)
    product = np.empty((*x.shape, 3))
    product[..., 0], product[..., 1], product[..., 2] = x, c * d - a * f, a * e - b * d
    return product


def multiply(left: FloatArray, right: FloatArray) -> FloatArray:
    """Hamilton product left ⊗ right: first turn by `right`, then by `left` [wxyz; Shape (..., 4)]."""
    lw, lx, ly, lz = np.moveaxis(left, -1, 0)
    rw, rx, ry, rz = np.moveaxis(right, -1, 0)
    return np.stack(
        [
            lw * rw - lx * rx - ly * ry - lz * rz,
            lw * rx + lx * rw + ly * rz - lz * ry,
            lw * ry - lx * rz + ly * rw + lz * rx,
            lw * rz + lx * ry - ly * rx + lz * rw,
        ],
        axis=-1,
    )


def rotate(quaternion: FloatArray, vector: FloatArray) -> FloatArray:
    """Turn vectors of the body frame into the world frame.

    Args:
        quaternion: [wxyz; Shape (..., 4)], unit.
        vector: [body frame; Shape (..., 3)].

    Returns:
        [world frame; Shape (..., 3)]. v + 2w(u×v) + 2u×(u×v) with u the vector part (Rodrigues).
    """
    w = quaternion[..., :1]
    u = quaternion[..., 1:]
    once = cross(u, vector)
    return np.asarray(vector + 2.0 * (w * once + cross(u, once)))


def rotate_inverse(quaternion: FloatArray, vector: FloatArray) -> FloatArray:
    """Turn vectors of the world frame into the body frame [Shape (..., 4), (..., 3) -> (..., 3)]."""
    return rotate(conjugate(quaternion), vector)


def projected_gravity(quaternion: FloatArray) -> FloatArray:
    """The unit vector of gravity seen from the body: (0, 0, −1) when upright.

    Args:
        quaternion: [wxyz; Shape (..., 4)], unit.

    Returns:
        Third row of the rotation matrix, negated [body frame; Shape (..., 3)].
    """
    w, x, y, z = quaternion[..., 0], quaternion[..., 1], quaternion[..., 2], quaternion[..., 3]
    gravity = np.empty((*quaternion.shape[:-1], 3))
    gravity[..., 0] = 2.0 * (w * y - x * z)
    gravity[..., 1] = -2.0 * (y * z + w * x)
    gravity[..., 2] = 2.0 * (x * x + y * y) - 1.0
    return gravity


def tilt(quaternion: FloatArray) -> FloatArray:
    """The angle between the body's z axis and up [rad; Shape (...)]."""
    x, y = quaternion[..., 1], quaternion[..., 2]
    # sin(tilt/2) = |(x, y)|: exact near zero, where arccos of the cosine loses half the digits.
    return np.asarray(2.0 * np.arcsin(np.minimum(np.sqrt(x * x + y * y), 1.0)))


def roll_pitch_yaw(quaternion: FloatArray) -> FloatArray:
    """Intrinsic z-y'-x'' Euler angles, as REP-103 names them [rad; Shape (..., 3)]."""
    w, x, y, z = np.moveaxis(quaternion, -1, 0)
    roll = np.arctan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y))
    pitch = np.arcsin(np.clip(2.0 * (w * y - z * x), -1.0, 1.0))
    yaw = np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
    return np.stack([roll, pitch, yaw], axis=-1)


def from_axis_angle(axis: FloatArray, angle: float) -> FloatArray:
    """The rotation by `angle` [rad] about `axis` [Shape (3,)], as wxyz."""
    direction = np.asarray(axis, dtype=np.float64) / np.linalg.norm(axis)
    return np.concatenate([[np.cos(angle / 2.0)], np.sin(angle / 2.0) * direction])
