"""Texts show what is hidden in them, and numbers as many digits as they need."""

import pytest

from sklearn_learnrule.utils.texts import number, numbers, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("mouse 1, naïve: 小鼠 🐭", "mouse 1, naïve: 小鼠 🐭"),
        ("two\nlines", "two\nlines"),
        ("a\tb\r\x00\x1b[31m", r"a\tb\r\x00\x1b[31m"),
        ("abc\u202edcba\u2066", r"abc\u202edcba\u2066"),
        ("\u200f\u061c\x85\u2028", r"\u200f\u061c\x85\u2028"),
        ("half \ud83d", r"half \ud83d"),
    ],
)
def test_control_and_bidi_characters_are_shown_and_others_are_left(text, shown):
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (-0.012345, "−0.0123"),
        (1e-7, "1e−07"),
        (99.96, "100"),
        (999.96, "1000"),
        (123456.7, "123457"),
        (2.5e9, "2.5e+09"),
        (float("inf"), "inf"),
    ],
)
def test_a_number_has_all_its_digits_before_the_point(value, shown):
    assert number(value) == shown


def test_numbers_are_told_apart():
    assert numbers([0.125, 0.25]) == ["0.125", "0.25"]
    assert numbers([5.0001, 5.0002]) == ["5.0001", "5.0002"]
    assert numbers([1.0, 1.0, 2.0]) == ["1", "1", "2"]
