"""Pictures of simulated robots without a window."""

from __future__ import annotations

import importlib
import os
from types import TracebackType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from humanoid_rl_ros.core.errors import MissingDependencyError, ModelError, did_you_mean
from humanoid_rl_ros.simulation.model_file import mujoco

Image = NDArray[np.uint8]
_PLATFORMS = ("egl", "osmesa")
_MAX_GEOMS = 10_000
# Collision shapes live in group 3 by convention, and are shown only where a model has nothing else to show.
_SHOWN_GROUPS = (0, 1, 2)


class Pictured(Protocol):
    """A robot or several, as MuJoCo has them: a `MujocoBackend` or a `SharedWorld`."""

    @property
    def model(self) -> mujoco.MjModel:
        """The model."""

    @property
    def data(self) -> mujoco.MjData:
        """Its data."""

    @property
    def root_bodies(self) -> tuple[int, ...]:
        """The root of each robot."""


class OffscreenRenderer:
    """Draws a backend or a world into images; keep it for a film, close it (or leave its ``with``) at the end.

    Args:
        backend: what to draw; load it with ``visual=True`` to see its meshes.
        width, height: of the images [pixel].
        camera: name of a camera of the model; without it a camera that follows the robots.

    Raises:
        ModelError: the model has no such camera.
        MissingDependencyError: no OpenGL without a display on this machine.
    """

    def __init__(self, backend: Pictured, *, width: int = 960, height: int = 720, camera: str | None = None) -> None:
        self._backend = backend
        model = backend.model
        self._camera = _camera(backend, camera)
        self._follow = camera is None
        self._gl = _gl_context(width, height)
        view = model.vis.global_
        view.offwidth, view.offheight = max(view.offwidth, width), max(view.offheight, height)
        self._scene = mujoco.MjvScene(model, maxgeom=_MAX_GEOMS)
        self._option = _options(backend)
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_150.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._viewport = mujoco.MjrRect(0, 0, width, height)

    def __enter__(self) -> OffscreenRenderer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def draw(self) -> Image:
        """The robots as they are now [RGB; Shape (height, width, 3)]."""
        data = self._backend.data
        if self._follow:
            roots = data.xpos[list(self._backend.root_bodies)][:, :2]
            self._camera.lookat[:2] = 0.5 * (roots.min(axis=0) + roots.max(axis=0))
        self._gl.make_current()
        category = mujoco.mjtCatBit.mjCAT_ALL.value
        mujoco.mjv_updateScene(self._backend.model, data, self._option, None, self._camera, category, self._scene)
        mujoco.mjr_render(self._viewport, self._scene, self._context)
        image = np.empty((self._viewport.height, self._viewport.width, 3), dtype=np.uint8)
        mujoco.mjr_readPixels(image, None, self._viewport, self._context)
        return np.ascontiguousarray(image[::-1])

    def upload_ground(self) -> None:
        """Draw the height fields as the model has them now."""
        self._gl.make_current()
        for field in range(self._backend.model.nhfield):
            mujoco.mjr_uploadHField(self._backend.model, self._context, field)

    def close(self) -> None:
        """Give the graphics memory back."""
        self._context.free()
        self._gl.free()


def render(backend: Pictured, *, width: int = 960, height: int = 720, camera: str | None = None) -> Image:
    """One picture; see `OffscreenRenderer` for the arguments, errors and for many pictures."""
    with OffscreenRenderer(backend, width=width, height=height, camera=camera) as renderer:
        return renderer.draw()


def _camera(backend: Pictured, name: str | None) -> mujoco.MjvCamera:
    camera = mujoco.MjvCamera()
    model = backend.model
    if name is not None:
        number = mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_CAMERA, name)
        if number < 0:
            known = [model.camera(i).name for i in range(model.ncam)]
            raise ModelError(f"the model has no camera '{name}'; {did_you_mean(name, known)}")
        camera.type, camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, number
        return camera
    roots = backend.data.xpos[list(backend.root_bodies)]
    height = float(roots[:, 2].max())
    apart = float(np.linalg.norm(np.ptp(roots[:, :2], axis=0)))
    camera.type = mujoco.mjtCamera.mjCAMERA_FREE
    camera.azimuth, camera.elevation = 145.0, -12.0
    camera.distance = 3.4 * height + 0.9 * apart
    camera.lookat[:] = [0.0, 0.0, 0.95 * height]
    return camera


def _options(backend: Pictured) -> mujoco.MjvOption:
    option = mujoco.MjvOption()
    model = backend.model
    own = np.isin(model.body_rootid[model.geom_bodyid], backend.root_bodies)
    shown = own & np.isin(model.geom_group, _SHOWN_GROUPS)
    option.geomgroup[3] = int(not shown.any())
    option.sitegroup[:] = 0
    return option


def _gl_context(width: int, height: int) -> Any:  # one class per platform, without a common type
    wanted = os.environ.get("MUJOCO_GL", "").lower()
    reasons = []
    for platform in (wanted,) if wanted in ("egl", "osmesa", "glfw") else _PLATFORMS:
        try:
            context = importlib.import_module(f"mujoco.{platform}").GLContext(width, height)
            context.make_current()
            return context
        except Exception as error:  # PyOpenGL fails in many types, AttributeError among them
            reasons.append(f"{platform}: {' '.join(str(error).split())}")
    raise MissingDependencyError(
        f"pictures need OpenGL without a display, and none works here ({'; '.join(reasons)}); "
        "install libegl1 (or libosmesa6) and set MUJOCO_GL to egl (or osmesa)"
    )
