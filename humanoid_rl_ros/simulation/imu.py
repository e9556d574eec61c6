"""Where a model has its IMU, when nobody says."""

from __future__ import annotations

from pathlib import Path

from humanoid_rl_ros.core.errors import ModelError, did_you_mean
from humanoid_rl_ros.simulation.model_file import mujoco


def find_imu(model: mujoco.MjModel, robot_body: int, wanted: str | None, path: Path, notes: list[str]) -> str:
    """The site or body the IMU sits on.

    A site or body that a gyroscope or an orientation sensor of the model sits on; else one with ``imu`` in its name,
    the nearest to the root; else the root body.

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
    sensed = _sensed(model)
    for name in sensed:
        if name in sites or name in bodies:
            notes.append(f"IMU: '{name}', where the model has a gyroscope or an orientation sensor")
            return name
    for group, kind in ((sites, "site"), (bodies, "body")):
        named = [name for name in group if "imu" in name.lower()]
        if named:
            best = min(named, key=lambda name: _depth(model, group[name]))
            notes.append(f"IMU: {kind} '{best}', by its name")
            return best
    notes.append(f"IMU: the root body '{model.body(root).name}', for nothing in the model is named like one")
    return ""


def _sensed(model: mujoco.MjModel) -> list[str]:
    kinds = (mujoco.mjtSensor.mjSENS_GYRO, mujoco.mjtSensor.mjSENS_FRAMEQUAT)  # the gyroscope decides where both are
    names = []
    for kind in kinds:
        for sensor in range(model.nsensor):
            if model.sensor_type[sensor] == kind:
                names.append(
                    str(
                        mujoco.mj_id2name(model, int(model.sensor_objtype[sensor]), int(model.sensor_objid[sensor]))
                        or ""
                    )
                )
    return names


def _depth(model: mujoco.MjModel, body: int) -> int:
    depth = 0
    while body > 0:
        body, depth = int(model.body_parentid[body]), depth + 1
    return depth
