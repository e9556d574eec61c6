"""ObservationSpec: which terms, in which order, scaled, clipped and stacked how, make the vector a network sees."""

from __future__ import annotations

from dataclasses import dataclass

from humanoid_rl_ros.core.errors import ConfigError
from humanoid_rl_ros.core.joints import refuse_repeated

LAYOUTS = ("term_major", "time_major")
ORDERS = ("oldest_first", "newest_first")
FIRST_FILLS = ("first_frame", "zeros")


@dataclass(frozen=True)
class TermSpec:
    """One term as a policy wants it.

    The value goes through, in this order: `elements`, `clip`, `scale`, `clip_scaled`, `masked_joints`,
    `zero_when_standing`.

    Attributes:
        term: a registered name.
        scale: one number, or one for each element.
        clip: bounds before scaling.
        clip_scaled: bounds after scaling.
        masked_joints: observed joints whose elements are set to zero.
        zero_when_standing: zero while the command asks to stand.
        value: the numbers of a ``constant``.
        elements: which elements of the term stand in the vector, by index; empty for all.
    """

    term: str
    scale: tuple[float, ...] = (1.0,)
    clip: tuple[float, float] | None = None
    clip_scaled: tuple[float, float] | None = None
    masked_joints: tuple[str, ...] = ()
    zero_when_standing: bool = False
    value: tuple[float, ...] = ()
    elements: tuple[int, ...] = ()


@dataclass(frozen=True)
class HistorySpec:
    """How the frames of a block are stacked.

    Attributes:
        length: frames in the stack.
        layout: ``term_major``: all frames of the first term, then of the second; ``time_major``: frame after frame.
        order: ``oldest_first`` or ``newest_first``.
        first_fill: what stands for the frames before the first: ``first_frame`` or ``zeros``.
        include_current: whether the newest frame in the stack is this step's or the one before.
    """

    length: int
    layout: str = "term_major"
    order: str = "oldest_first"
    first_fill: str = "first_frame"
    include_current: bool = True

    def __post_init__(self) -> None:
        if self.length < 1:
            raise ConfigError(f"history length must be at least 1, found {self.length}")
        for name, choices in (("layout", LAYOUTS), ("order", ORDERS), ("first_fill", FIRST_FILLS)):
            if getattr(self, name) not in choices:
                raise ConfigError(f"history {name} must be one of {', '.join(choices)}, found '{getattr(self, name)}'")


@dataclass(frozen=True)
class BlockSpec:
    """Terms that share a history; without one, terms that stand once.

    Attributes:
        terms: in the order of the vector.
        history: how they are stacked, or None.
    """

    terms: tuple[TermSpec, ...]
    history: HistorySpec | None = None

    def __post_init__(self) -> None:
        if not self.terms:
            raise ConfigError("observation: a block has no term")


@dataclass(frozen=True)
class ObservationSpec:
    """The whole vector.

    Attributes:
        joints: the observed joints, in the network's order.
        default_position: what ``joint_pos_rel`` subtracts [rad; one for each observed joint].
        blocks: in the order of the vector.
        clip: bounds of the whole vector, or None.
        stand_threshold: below this planar speed [m/s] and turn rate [rad/s] a command asks to stand.
    """

    joints: tuple[str, ...]
    default_position: tuple[float, ...]
    blocks: tuple[BlockSpec, ...]
    clip: tuple[float, float] | None = None
    stand_threshold: float = 0.01

    def __post_init__(self) -> None:
        refuse_repeated(self.joints, "observation", ConfigError)
        if len(self.joints) != len(self.default_position):
            raise ConfigError(
                f"observation: {len(self.joints)} joints but {len(self.default_position)} default positions"
            )

    def term_names(self) -> tuple[str, ...]:
        """Every term used, in order, with repetitions."""
        return tuple(term.term for block in self.blocks for term in block.terms)
