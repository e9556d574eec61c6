"""Where a model has its IMU, when nobody says."""

from __future__ import annotations

from pathlib import Path

from humanoid_rl_ros.core.errors import ModelError, did_you_mean
from humanoid_rl_ros.simulation.model_file import mujoco


def find_imu(model: mujoco.MjModel, robot_body: int, wanted: str | None, path: Path, notes: list[str]) -> str:
    """The site or body the IMU sits on.

    A site or body that a gyroscope or an orientation sensor of the model sits on; else one with ``imu`` in its name;
    of several the nearest to the root, whose frame policies are trained in; else the root body.

    Args:
        model: as its author made it.
        robot_body: any body of the robot.
        wanted: what the caller asks for, or None.
        path: the model's file, for the error.
        notes: what was inferred is added here.

    Returns:
        A name, or an empty string for the root body.

    Raises:
        ModelError: `wanted` is not in the model.
    """
    root = int(model.body_rootid[robot_body])
    bodies = {
        str(model.body(b).name): b for b in range(1, model.nbody) if model.body(b).name and model.body_rootid[b] == root
    }
    sites = {
        str(model.site(s).name): int(model.site_bodyid[s])
        for s in range(model.nsite)
        if model.site(s).name and model.body_rootid[model.site_bodyid[s]] == root
    }
    if wanted is not None:
        if wanted and wanted not in sites and wanted not in bodies:
            raise ModelError(
                f"model {path}: no site or body '{wanted}' for the IMU; {did_you_mean(wanted, [*sites, *bodies])}"
            )
        return wanted
    for sensor in (mujoco.mjtSensor.mjSENS_GYRO, mujoco.mjtSensor.mjSENS_FRAMEQUAT):  # the gyroscope decides
        places = bodies | sites
        sensed = [name for name in _sensed(model, sensor) if name in places]
        if sensed:
            best = min(sensed, key=lambda name: _depth(model, places[name]))
            others = [name for name in dict.fromkeys(sensed) if name != best]
            more = f"; others: {', '.join(others)}" if others else ""
            notes.append(f"IMU: '{best}', where the model has a gyroscope or an orientation sensor{more}")
            return best
    for group, kind in ((sites, "site"), (bodies, "body")):
        named = [name for name in group if "imu" in name.lower()]
        if named:
            best = min(named, key=lambda name: _depth(model, group[name]))
            notes.append(f"IMU: {kind} '{best}', by its name")
            return best
    notes.append(f"IMU: the root body '{model.body(root).name}', for nothing in the model is named like one")
    return ""


def _sensed(model: mujoco.MjModel, kind: int) -> list[str]:
    """Where the model has sensors of a kind."""
    return [
        str(mujoco.mj_id2name(model, int(model.sensor_objtype[s]), int(model.sensor_objid[s])) or "")
        for s in range(model.nsensor)
        if model.sensor_type[s] == kind
    ]


def _depth(model: mujoco.MjModel, body: int) -> int:
    depth = 0
    while body > 0:
        body, depth = int(model.body_parentid[body]), depth + 1
    return depth
