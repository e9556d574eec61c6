"""Stance and duty factor, against numbers worked out by hand."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from bag_files import ARRAY, FORCES, SECOND, START, STATUS, Written, command, contacts, status, write_bag
from hypothesis import given
from hypothesis import strategies as st

from humanoid_rl_ros.bags.collect import collect
from humanoid_rl_ros.bags.reader import Bag
from humanoid_rl_ros.bags.report.feet import FootFindings, stance_spans
from humanoid_rl_ros.bags.report.findings import find
from humanoid_rl_ros.bags.series import ContactSeries

TOPIC = "/simulation/foot_contacts"


def forces(values: list[tuple[float, ...]], label: str = "left,right", dimensions: int = 1) -> list[Written]:
    """At 50 Hz."""
    return [(TOPIC, FORCES, START + i * SECOND // 50, contacts(label, row, dimensions)) for i, row in enumerate(values)]


def collected(folder: Path, messages: list[Written]) -> ContactSeries:
    with Bag(write_bag(folder, messages)) as bag:
        (series,) = collect(bag).contacts.values()
    return series


def feet_of(folder: Path, messages: list[Written]) -> dict[str, FootFindings]:
    with Bag(write_bag(folder, messages)) as bag:
        return {foot.name: foot for foot in find(bag, collect(bag)).feet}


@pytest.mark.parametrize(
    ("label", "dimensions", "names"),
    [
        ("left,right", 1, ("left", "right")),
        ("left, right", 1, ("left", "right")),
        ("left,right", 2, ("left", "right")),
        ("feet", 1, ("0", "1")),
        ("", 1, ("0", "1")),
        ("left,", 1, ("0", "1")),
        ("left,left", 1, ("0", "1")),
        ("left,right,tail", 1, ("0", "1")),
    ],
)
def test_names_are_those_of_the_label_where_it_has_one_for_each_foot(
    tmp_path: Path, label: str, dimensions: int, names: tuple[str, ...]
) -> None:
    series = collected(tmp_path / "bag", forces([(1.0, 20.0)] * 3, label, dimensions))
    assert series.names == names
    assert series.forces
    np.testing.assert_array_equal(series.values, [[1.0, 20.0]] * 3)


def test_zeros_and_ones_are_no_forces(tmp_path: Path) -> None:
    touches = [("/foot_contacts", ARRAY, START + i * SECOND // 50, command([i % 2, 1.0])) for i in range(4)]
    series = collected(tmp_path / "bag", touches)
    assert (series.names, series.forces) == (("0", "1"), False)


def test_stance_is_above_five_newtons_and_a_bounce_is_part_of_it(tmp_path: Path) -> None:
    left = [0.0, 0.0, 4.9, 5.1, 300.0, 0.0, 200.0, 0.0, 0.0, 0.0, 80.0, 0.0]
    feet = feet_of(tmp_path / "bag", forces([(force, 0.0) for force in left]))
    assert feet["left"].stance == (
        (pytest.approx(0.06), pytest.approx(0.14)),
        (pytest.approx(0.20), pytest.approx(0.22)),
    )
    assert feet["left"].peak_force == 300.0
    assert (feet["right"].stance, feet["right"].duty_factor, feet["right"].peak_force) == ((), None, 0.0)


def test_strides_count_while_the_policy_drives_and_standing_is_none(tmp_path: Path) -> None:
    """Strides of 0.5 s, 0.3 s of them on the ground, for 4 s; then 4 s still; driven from 1.1 s to 3.1 s."""
    walk = [(200.0 * (i % 25 < 15), 0.0) for i in range(200)] + [(200.0, 0.0)] * 200
    said = [
        ("/safety/status", STATUS, START + round(at * SECOND), status(state))
        for at, state in ((0.0, "READY"), (1.1, "ACTIVE"), (3.1, "DISARMED"))
    ]
    left = feet_of(tmp_path / "bag", sorted(forces(walk) + said, key=lambda message: message[2]))["left"]
    assert left.walking == pytest.approx(1.5)  # from 1.5 s to 3.0 s
    assert left.duty_factor == pytest.approx(0.6)
    whole = feet_of(tmp_path / "whole", forces(walk))["left"]
    assert whole.walking == pytest.approx(3.5)  # the foot did not come down at the beginning: it was there
    assert whole.duty_factor == pytest.approx(0.6)
    assert len(whole.stance) == 9


def test_a_pause_of_the_recording_is_no_stance(tmp_path: Path) -> None:
    one, other = forces([(200.0, 0.0)] * 50), forces([(200.0, 0.0)] * 250)[200:]
    spans = feet_of(tmp_path / "bag", one + other)["left"].stance
    assert [start for start, _ in spans] == pytest.approx([0.0, 4.0])
    assert spans[0][1] < 1.3


@given(st.lists(st.booleans(), max_size=60))
def test_spans_are_in_order_apart_and_cover_what_is_down(down: list[bool]) -> None:
    time = np.arange(len(down)) * 0.02
    spans = stance_spans(time, np.array(down, dtype=bool))
    edges = [edge for span in spans for edge in span]
    assert edges == sorted(edges)
    assert all(later[0] - earlier[1] >= 0.05 for earlier, later in itertools.pairwise(spans))
    assert all(any(a <= t <= b for a, b in spans) for t, is_down in zip(time, down, strict=True) if is_down)
