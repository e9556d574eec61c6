"""A model file, MJCF or URDF, as an editable MuJoCo specification; MuJoCo's refusals as one line."""

from __future__ import annotations

import logging
from pathlib import Path

from humanoid_rl_ros.core.errors import MissingDependencyError, ModelError
from humanoid_rl_ros.simulation import urdf

try:
    import mujoco
    from mujoco import rollout
except ModuleNotFoundError as error:
    raise MissingDependencyError("simulation needs MuJoCo, which is not installed; pip install mujoco") from error

# The other files take `mujoco` from here, so that its absence is said once and well.
__all__ = ["MUJOCO_ERRORS", "compile_spec", "mujoco", "one_line", "read_spec", "redirect_warnings", "rollout"]

_log = logging.getLogger("humanoid_rl_ros.simulation.mujoco")

# MuJoCo's own refusals; anything else is a defect of this package and keeps its traceback.
MUJOCO_ERRORS: tuple[type[Exception], ...] = (ValueError, mujoco.FatalError)


def redirect_warnings() -> None:
    """Send MuJoCo's warnings to `logging` instead of a file MUJOCO_LOG.TXT in whatever folder the user is in.

    A handler that somebody else installed is left alone.
    """
    if mujoco.get_mju_user_warning() is None:
        mujoco.set_mju_user_warning(_log.warning)


def read_spec(path: Path, *, visual: bool = True) -> mujoco.MjSpec:
    """Read a model for editing.

    Args:
        path: MJCF or URDF, told apart by the root element.
        visual: keep geometry that only serves pictures; without it a mesh model compiles a hundred times faster.

    Returns:
        The specification, not yet compiled.

    Raises:
        ModelError: the file is missing or MuJoCo refuses it.
    """
    redirect_warnings()
    if not path.is_file():
        raise ModelError(f"model {path}: no such file")
    try:
        if urdf.root_tag(path) == "robot":
            spec = mujoco.MjSpec.from_string(urdf.readable(path, visual=visual))
        else:
            spec = mujoco.MjSpec.from_file(str(path))
    except MUJOCO_ERRORS as error:
        raise ModelError(f"model {path}: {one_line(error)}") from None
    spec.compiler.discardvisual = not visual
    spec.compiler.fusestatic = False
    return spec


def compile_spec(spec: mujoco.MjSpec, path: Path) -> mujoco.MjModel:
    """Compile.

    Args:
        spec: the specification.
        path: its file, for the error.

    Raises:
        ModelError: MuJoCo refuses it.
    """
    try:
        return spec.compile()
    except MUJOCO_ERRORS as error:
        raise ModelError(f"model {path}: {one_line(error)}") from None


def one_line(error: Exception) -> str:
    """The text of an error of MuJoCo, which spreads over lines, as one."""
    return "MuJoCo refuses it: " + " ".join(str(error).split())
