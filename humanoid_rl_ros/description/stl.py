"""Triangles as a binary STL file."""

from __future__ import annotations

import numpy as np

from humanoid_rl_ros.core.arrays import FloatArray, IndexArray

_RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


def stl(vertices: FloatArray, faces: IndexArray) -> bytes:
    """The file.

    Args:
        vertices: [m; Shape (v, 3)].
        faces: vertex numbers, counter-clockwise from outside [Shape (f, 3)].
    """
    corners = vertices[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    records = np.zeros(len(faces), dtype=_RECORD)
    records["normal"] = np.divide(normal, length, out=np.zeros_like(normal), where=length > 0.0)
    records["corners"] = corners
    return bytes(80) + len(faces).to_bytes(4, "little") + records.tobytes()
