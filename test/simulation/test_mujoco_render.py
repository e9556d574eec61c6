"""Pictures, where the machine has OpenGL."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from humanoid_rl_ros.core.errors import MissingDependencyError, ModelError
from humanoid_rl_ros.core.robot import load_robot
from humanoid_rl_ros.simulation import mujoco_render
from humanoid_rl_ros.simulation.mujoco_backend import MujocoBackend
from humanoid_rl_ros.simulation.mujoco_render import OffscreenRenderer, render

CONFIG = Path(__file__).resolve().parents[2] / "config" / "robots"


@pytest.fixture(scope="module")
def backend() -> MujocoBackend:
    return MujocoBackend(load_robot(CONFIG / "reference.yaml"), visual=True)


def test_the_robot_is_in_the_picture(backend: MujocoBackend) -> None:
    backend.reset()
    try:
        renderer = OffscreenRenderer(backend, width=240, height=320)
    except MissingDependencyError as error:
        pytest.skip(str(error))
    with renderer:
        standing = renderer.draw()
        again = renderer.draw()
        backend.data.qpos[backend.layout.root_qpos + 2] += 5.0
        backend.hold()
        gone = renderer.draw()
    assert standing.shape == (320, 240, 3)
    assert standing.dtype == np.uint8
    assert np.abs(standing.astype(int) - again.astype(int)).max() <= 4  # OpenGL rounds as it likes
    # What changes when the robot leaves is the robot: in the middle, taller than wide.
    changed = (np.abs(standing.astype(int) - gone.astype(int)).sum(axis=2) > 60).nonzero()
    rows, columns = changed
    assert rows.size > 1000
    assert abs(columns.mean() - 120) < 40
    assert np.ptp(rows) > 120


def test_an_unknown_camera_is_refused(backend: MujocoBackend) -> None:
    with pytest.raises(ModelError, match=r"has no camera 'sky_view'"):
        render(backend, camera="sky_view")


def test_no_opengl_is_said_in_one_line(backend: MujocoBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> object:
        raise AttributeError(f"{name} has\nno glGetError")

    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(mujoco_render.importlib, "import_module", broken)
    with pytest.raises(MissingDependencyError, match=r"egl: mujoco.egl has no glGetError; osmesa: .*libegl1") as caught:
        render(backend)
    assert "\n" not in str(caught.value)
