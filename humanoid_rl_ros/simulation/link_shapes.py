"""The geometry of a body in the shapes that URDF has: boxes, spheres, cylinders, meshes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.arrays import FloatArray, IndexArray, frozen
from humanoid_rl_ros.simulation.model_file import mujoco

# Above these groups MuJoCo's viewers show nothing unless asked to; collision geometry sits there.
_VISIBLE_GROUPS = 3
_SPHERE_RINGS = 12
UNIT_SPHERE = "unit_sphere"


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles.

    Attributes:
        name: unique in a robot, fit for a file.
        vertices: [m; Shape (v, 3)].
        faces: vertex numbers [Shape (f, 3)].
    """

    name: str
    vertices: FloatArray
    faces: IndexArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "vertices", frozen(self.vertices))
        faces = np.array(self.faces, dtype=np.intp)
        faces.setflags(write=False)
        object.__setattr__(self, "faces", faces)


@dataclass(frozen=True, eq=False)
class Shape:
    """One piece of geometry.

    Attributes:
        kind: ``box``, ``sphere``, ``cylinder`` or ``mesh``.
        size: of a box its edges, of a sphere its radius, of a cylinder radius and length along z, of a mesh its scale
            [m].
        position: [m; link frame; Shape (3,)].
        orientation: [wxyz; Shape (4,)].
        colour: red, green, blue, alpha.
        friction: sliding friction with the floor.
        mesh: of a mesh.
    """

    kind: str
    size: tuple[float, ...]
    position: FloatArray
    orientation: FloatArray
    colour: tuple[float, ...]
    friction: float
    mesh: Mesh | None = field(default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", frozen(self.position))
        object.__setattr__(self, "orientation", frozen(self.orientation))


def shapes_of(
    model: mujoco.MjModel, body: int, floor: int, shift: FloatArray
) -> tuple[tuple[Shape, ...], tuple[Shape, ...]]:
    """Collision and visual geometry of a body.

    Args:
        model: compiled with its visual geometry.
        body: its id.
        floor: the geom the robot stands on.
        shift: of the body's frame in the link's [m; Shape (3,)].

    Returns:
        What collides, and what is seen. A mesh collides as its convex hull, as in MuJoCo; a capsule becomes a cylinder
        and two spheres, an ellipsoid a scaled sphere of triangles.
    """
    collisions: list[Shape] = []
    visuals: list[Shape] = []
    first = int(model.body_geomadr[body])
    for geom in range(first, first + int(model.body_geomnum[body])):
        paired = geom in (*model.pair_geom1, *model.pair_geom2)
        if model.geom_contype[geom] or model.geom_conaffinity[geom] or paired:
            collisions += _shapes(model, geom, floor, shift, hull=True)
        if model.geom_group[geom] < _VISIBLE_GROUPS:
            visuals += _shapes(model, geom, floor, shift, hull=False)
    return tuple(collisions), tuple(visuals)


def _shapes(model: mujoco.MjModel, geom: int, floor: int, shift: FloatArray, *, hull: bool) -> list[Shape]:
    kinds = mujoco.mjtGeom
    kind, size = model.geom_type[geom], [float(s) for s in model.geom_size[geom]]
    position, orientation = model.geom_pos[geom] + shift, model.geom_quat[geom]
    material = int(model.geom_matid[geom])
    colour = tuple(float(c) for c in (model.geom_rgba[geom] if material < 0 else model.mat_rgba[material]))
    friction = _friction(model, geom, floor)

    def shape(what: str, *numbers: float, along_z: float = 0.0, mesh: Mesh | None = None) -> Shape:
        at = position + rotations.rotate(orientation, np.array([0.0, 0.0, along_z]))
        return Shape(what, numbers, at, orientation, colour, friction, mesh)

    if kind == kinds.mjGEOM_BOX:
        return [shape("box", *(2.0 * s for s in size))]
    if kind == kinds.mjGEOM_SPHERE:
        return [shape("sphere", size[0])]
    if kind == kinds.mjGEOM_CYLINDER:
        return [shape("cylinder", size[0], 2.0 * size[1])]
    if kind == kinds.mjGEOM_CAPSULE:
        ends = [shape("sphere", size[0], along_z=end) for end in (-size[1], size[1])]
        return [shape("cylinder", size[0], 2.0 * size[1]), *ends]
    if kind == kinds.mjGEOM_ELLIPSOID:
        return [shape("mesh", *size, mesh=_unit_sphere())]
    if kind == kinds.mjGEOM_MESH:
        return [shape("mesh", 1.0, 1.0, 1.0, mesh=_mesh(model, int(model.geom_dataid[geom]), hull=hull))]
    return []  # planes and height fields, which no robot carries


def _friction(model: mujoco.MjModel, geom: int, floor: int) -> float:
    """As MuJoCo mixes the two: the higher priority's, or the larger one."""
    own, other = float(model.geom_friction[geom, 0]), float(model.geom_friction[floor, 0])
    order = int(model.geom_priority[geom]) - int(model.geom_priority[floor])
    return max(own, other) if order == 0 else own if order > 0 else other


def _mesh(model: mujoco.MjModel, mesh: int, *, hull: bool) -> Mesh:
    name = "".join(c if c.isalnum() or c in "-_." else "_" for c in model.mesh(mesh).name) or f"mesh_{mesh}"
    start = int(model.mesh_vertadr[mesh])
    vertices = model.mesh_vert[start : start + int(model.mesh_vertnum[mesh])]
    graph = int(model.mesh_graphadr[mesh])
    if hull and graph >= 0:
        # Numbers of vertices and faces; of each vertex its edges and its global number; the edges; the faces.
        n, faces = (int(c) for c in model.mesh_graph[graph : graph + 2])
        begin = graph + 2 + 2 * n + (n + 3 * faces)
        corners = model.mesh_graph[begin : begin + 3 * faces].reshape(-1, 3)
        used, faces_of_hull = np.unique(corners, return_inverse=True)
        return Mesh(f"{name}_hull", vertices[used], faces_of_hull.reshape(-1, 3))
    start = int(model.mesh_faceadr[mesh])
    return Mesh(name, vertices, model.mesh_face[start : start + int(model.mesh_facenum[mesh])])


def _unit_sphere() -> Mesh:
    """A sphere of radius 1 in rings and sectors."""
    polar, around = np.linspace(0.0, np.pi, _SPHERE_RINGS + 1), 2 * _SPHERE_RINGS
    turn = np.linspace(0.0, 2.0 * np.pi, around, endpoint=False)
    p, t = np.meshgrid(polar, turn, indexing="ij")
    vertices = np.stack([np.sin(p) * np.cos(t), np.sin(p) * np.sin(t), np.cos(p)], axis=-1).reshape(-1, 3)
    faces = []
    for ring in range(_SPHERE_RINGS):
        for sector in range(around):
            a, b = ring * around + sector, ring * around + (sector + 1) % around
            if ring > 0:
                faces.append((a, a + around, b))
            if ring < _SPHERE_RINGS - 1:
                faces.append((b, a + around, b + around))
    return Mesh(UNIT_SPHERE, vertices, np.array(faces))
