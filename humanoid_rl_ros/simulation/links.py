"""Links, joints and frames in the way URDF has them: every link's frame is where its joint is."""

from __future__ import annotations

from dataclasses import dataclass

from humanoid_rl_ros.core import rotations
from humanoid_rl_ros.core.arrays import FloatArray, frozen
from humanoid_rl_ros.core.robot import JointSpec, RobotSpec
from humanoid_rl_ros.simulation.link_shapes import Shape

# Speed limit where none is known; URDF requires a number [rad/s].
ANY_SPEED = 1e3


@dataclass(frozen=True, eq=False)
class Frame:
    """A pose.

    Attributes:
        position: [m; Shape (3,)].
        orientation: [wxyz, unit; Shape (4,)].
    """

    position: FloatArray
    orientation: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "position", frozen(self.position))
        object.__setattr__(self, "orientation", frozen(self.orientation))

    def seen_from(self, other: Frame) -> Frame:
        """This pose, given in the same frame as `other`, relative to `other`."""
        return Frame(
            rotations.rotate_inverse(other.orientation, self.position - other.position),
            rotations.multiply(rotations.conjugate(other.orientation), self.orientation),
        )


@dataclass(frozen=True, eq=False)
class Inertia:
    """Mass, its centre in the link's frame, and the tensor about that centre along the link's axes.

    Attributes:
        mass: [kg].
        centre: [m; link frame; Shape (3,)].
        tensor: [kg·m²; link frame; Shape (3, 3)].
    """

    mass: float
    centre: FloatArray
    tensor: FloatArray

    def __post_init__(self) -> None:
        object.__setattr__(self, "centre", frozen(self.centre))
        object.__setattr__(self, "tensor", frozen(self.tensor))


@dataclass(frozen=True, eq=False)
class Link:
    """One link.

    Attributes:
        name: the body's.
        inertia: None where it has no mass.
        visuals, collisions: in the link's frame.
    """

    name: str
    inertia: Inertia | None
    visuals: tuple[Shape, ...] = ()
    collisions: tuple[Shape, ...] = ()


@dataclass(frozen=True, eq=False)
class LinkJoint:
    """One joint; the frame of the child link is the joint's.

    Attributes:
        name: the joint's.
        kind: ``revolute``, ``continuous``, ``prismatic`` or ``fixed``.
        parent, child: link names.
        origin: of the child's frame in the parent's, at joint position 0.
        axis: unit [child frame; Shape (3,)].
        spec: limits, damping and friction, the robot's own where it drives the joint; None of a fixed joint.
    """

    name: str
    kind: str
    parent: str
    child: str
    origin: Frame
    axis: FloatArray
    spec: JointSpec | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "axis", frozen(self.axis))


@dataclass(frozen=True, eq=False)
class LinkTree:
    """A robot as a tree of links.

    Attributes:
        robot: whose it is.
        links: the root first, parents before children.
        joints: one for each link but the root, in their order.
        imu_link: the link the IMU sits on.
        imu: its pose on that link.
        stand: pose of the root link with the robot standing on a floor at height 0.
        notes: what of the model a URDF cannot say, one sentence each.
    """

    robot: RobotSpec
    links: tuple[Link, ...]
    joints: tuple[LinkJoint, ...]
    imu_link: str
    imu: Frame
    stand: Frame
    notes: tuple[str, ...]

    @property
    def root(self) -> str:
        """Name of the root link."""
        return self.links[0].name
