"""The scan against the recurrence that it solves, step by step."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sklearn_learnrule.engine._scan import AffineRecurrence

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 70), st.integers(1, 4))  # N, T, D
SEEDS = st.integers(0, 2**16)


def random_recurrence(shape, seed):
    """Return A, b and a state; products of the A neither vanish nor explode."""
    n, t, d = shape
    draw = torch.Generator().manual_seed(seed)
    matrices = torch.randn(n, t, d, d, generator=draw, dtype=torch.float64) / d**0.5
    offsets = torch.randn(n, t, d, generator=draw, dtype=torch.float64)
    return matrices, offsets, torch.randn(n, d, generator=draw, dtype=torch.float64)


def assert_same(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@settings(max_examples=60, deadline=None)
@given(SHAPES, SEEDS)
def test_the_scan_passes_through_every_state_of_the_recurrence(shape, seed):
    matrices, offsets, x = random_recurrence(shape, seed)
    expected = [x]
    for t in range(shape[1]):
        expected.append((matrices[:, t] @ expected[-1][..., None])[..., 0] + offsets[:, t])
    assert_same(AffineRecurrence(matrices).solve(offsets, x), torch.stack(expected, 1))


@settings(max_examples=60, deadline=None)
@given(SHAPES, SEEDS)
def test_the_adjoint_scan_passes_through_the_same_steps_backwards(shape, seed):
    matrices, offsets, x = random_recurrence(shape, seed)
    expected = [x]
    for t in reversed(range(shape[1])):
        expected.append((matrices[:, t].mT @ expected[-1][..., None])[..., 0] + offsets[:, t])
    found = AffineRecurrence(matrices).solve(offsets, x, adjoint=True)
    assert_same(found, torch.stack(expected[::-1], 1))


@pytest.mark.parametrize("adjoint", [False, True])
@settings(max_examples=60, deadline=None)
@given(SHAPES, SEEDS)
def test_a_covariance_is_multiplied_from_both_sides(adjoint, shape, seed):
    matrices, _, _ = random_recurrence(shape, seed)
    offsets, start = matrices + 1, matrices[:, 0]
    steps = range(shape[1])[:: -1 if adjoint else 1]
    expected = [start]
    for t in steps:
        matrix = matrices[:, t].mT if adjoint else matrices[:, t]
        expected.append(matrix @ expected[-1] @ matrix.mT + offsets[:, t])
    found = AffineRecurrence(matrices).solve(offsets, start, adjoint=adjoint, both_sides=True)
    assert_same(found, torch.stack(expected[:: steps.step], 1))


def test_recurrences_side_by_side_are_those_alone():
    matrices, offsets, x = random_recurrence((2, 50, 3), seed=0)
    recurrence = AffineRecurrence(matrices)
    both = recurrence.solve(torch.stack([offsets, 2 * offsets], -1), torch.stack([x, -x], -1))
    assert_same(both[..., 0], recurrence.solve(offsets, x))
    assert_same(both[..., 1], recurrence.solve(2 * offsets, -x))


def test_one_recurrence_is_solved_for_any_offsets():
    matrices, offsets, x = random_recurrence((2, 50, 3), seed=0)
    recurrence = AffineRecurrence(matrices)
    sum_of_two = recurrence.solve(offsets, x) + recurrence.solve(2 * offsets, -x)
    assert_same(recurrence.solve(3 * offsets, 0 * x), sum_of_two)
