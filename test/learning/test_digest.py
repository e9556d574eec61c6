"""What a digest knows again, and what it does not ask for."""

from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass

from humanoid_rl_ros.core.config import LATER
from humanoid_rl_ros.learning.digest import digest_of


@dataclass(frozen=True)
class Said:
    height: float
    hills: float = field(default=0.0, metadata=LATER)
    loads: list[float] = field(default_factory=list, metadata=LATER)


def test_a_field_that_came_later_counts_once_something_is_said_of_it() -> None:
    before = make_dataclass("Before", [("height", float)])
    assert digest_of(Said(1.0)) == digest_of(before(1.0))
    assert digest_of(Said(1.0, hills=0.1)) not in (digest_of(before(1.0)), digest_of(Said(1.0, hills=0.2)))
    assert digest_of(Said(1.0, loads=[0.2])) != digest_of(before(1.0))
    assert digest_of(Said(2.0)) != digest_of(Said(1.0))
