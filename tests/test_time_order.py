"""Time runs forward within a subject, so far as sessions and a clock tell of it."""

import datetime
import re
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

import sklearn_learnrule as lr
from sklearn_learnrule.data.time_order import as_moments
from sklearn_learnrule.datasets import make_learning_cohort

CLOCK_GOES_BACK = pd.to_datetime(["2024-10-27 00:50", "2024-10-27 01:10"], utc=True).tz_convert(
    "Europe/Paris"  # at 02:50, then at 02:10
)


def table(first, second, dtype=object):
    """Two animals; Bo has two sessions of two trials each, with these names."""
    session = pd.Series([second, second, first, first, second, second], dtype=object).astype(dtype)
    return pd.DataFrame(
        {
            "subject": ["Ada"] * 2 + ["Bo"] * 4,
            "session": session,
            "stimulus": 0.5,
            "choice": ["left", "right"] * 3,
            "reward": [0, 1] * 3,
        }
    )


def march(day, **time):
    return datetime.datetime(2024, 3, day, **time) if time else datetime.date(2024, 3, day)


NUMBERS_AND_DATES = [
    (9, 10, object),
    (9, 10, "Int64"),
    (1.25, 1.5, float),
    (1.5, 2.25, float),
    (Decimal(9), Decimal(10), object),
    (march(1), march(2), object),
    (march(1), march(2), "datetime64[ns]"),
    (march(1, hour=9), march(1, hour=10), object),
    (*CLOCK_GOES_BACK, object),
    (*CLOCK_GOES_BACK, CLOCK_GOES_BACK.dtype),
    ("2024-10-27T02:50+02:00", "2024-10-27T02:10+01:00", str),
    (datetime.timedelta(hours=9), datetime.timedelta(hours=10), object),
    ("2024-03-01", "2024-03-02", "category"),
    ("2024-03-01/9", "2024-03-02/1", str),
    ("20240301_9", "20240302_1", str),
    ("Bo_2024-02-29_1", "Bo_2024-03-01_1", "string"),
]
ENDING_IN_NUMBERS = [
    ("s9", "s10", str),
    ("s9", "s10", pd.CategoricalDtype(["s10", "s9"])),
    ("9", "10", "string"),
    ("2024-03-01/9", "2024-03-01/10", str),
    ("a 1_009", "a 1_010", object),
]
WITHOUT_ORDER = [
    ("wed", "tue", str),
    ("shaping 12", "training 1", str),
    ("a1b2", "a1a9", str),
    ("01-03-2024", "02-02-2024", str),
    (True, False, bool),
]


@pytest.mark.parametrize(
    ("first", "second", "dtype"), NUMBERS_AND_DATES + ENDING_IN_NUMBERS + WITHOUT_ORDER
)
def test_sessions_in_order_or_of_names_that_tell_none_are_taken(first, second, dtype):
    X, y, _ = lr.make_design(table(first, second, dtype))
    lr.ConstantRuleEstimator().fit(X, y)


@pytest.mark.parametrize(("first", "second", "dtype"), NUMBERS_AND_DATES)
def test_numbers_and_dates_that_run_backwards_are_an_error_at_both_doors(first, second, dtype):
    backwards = table(second, first, dtype)
    message = "Sessions should be in temporal order, but .* comes after .* (subject 'Bo', row 4). "
    cure = (
        "Sort the trials by subject and time, or, if numbers are mere names, make them text; if "
        "several animals bear one name, name them by more columns, such as "
        "subject=['lab', 'subject']."
    )
    match = re.escape(message + cure).replace(r"\.\*", ".*")
    with pytest.raises(ValueError, match=match):
        lr.make_design(backwards)
    X, y, _ = lr.make_design(table(first, second, dtype))
    X = X.droplevel("session").assign(session=backwards["session"].to_numpy())
    with pytest.raises(ValueError, match=match):
        lr.ConstantRuleEstimator().fit(X, y)


@pytest.mark.parametrize(("first", "second", "dtype"), ENDING_IN_NUMBERS)
def test_numbers_that_end_names_and_run_backwards_are_a_warning_at_both_doors(first, second, dtype):
    message = (
        f"^Sessions' names end in numbers that run backwards: '{first}' comes after '{second}' "
        r"\(subject 'Bo', row 4\)\. Sort the trials by subject and time, not by names as text; if "
        r"several animals bear one name, .*\.$"
    )
    with pytest.warns(UserWarning, match=message) as caught:
        X, y, _ = lr.make_design(table(second, first, dtype))
    assert len(caught) == 1 and caught[0].filename == __file__
    with pytest.warns(UserWarning, match=message):
        lr.ConstantRuleEstimator().fit(X, y)


def test_a_fall_is_seen_behind_sessions_of_other_names():
    trials = table("s10", "s9").iloc[[2, 2, 4]].assign(session=["s10", "rest", "s9"])
    with pytest.warns(UserWarning, match="'s9' comes after 's10'"):
        lr.make_design(trials.assign(choice=["left", "right", "left"]))


def test_a_table_sorted_as_text_is_never_fitted_in_silence():
    """So sorted, its learning rate would come out as 0."""
    trials = make_learning_cohort(3, 600, session_length=50, random_state=0)
    as_text = trials.assign(session="s" + trials["session"].astype(str))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lr.make_design(as_text)
    as_sorted = as_text.sort_values(["subject", "session"], kind="stable")
    with pytest.warns(UserWarning, match="'s2' comes after 's1[0-9]'"):
        lr.make_design(as_sorted)
    with pytest.raises(ValueError, match="but 2 comes after 1[0-9] "):
        lr.make_design(as_sorted.assign(session=trials["session"]))


def test_rows_in_any_order_are_judged_by_their_trial_numbers():
    X, y, _ = lr.make_design(table(9, 10))
    turned = X.iloc[::-1].sort_index(level="trial", sort_remaining=False)
    lr.ConstantRuleEstimator().fit(turned, y.loc[turned.index])


# ------------------------------------------------------------------------- a trial column

CLOCKS = [
    lambda numbers: numbers,
    lambda numbers: numbers.astype("Int64"),
    lambda numbers: numbers * 1.5,
    lambda numbers: pd.to_timedelta(numbers, unit="s"),
    lambda numbers: pd.to_datetime(numbers, unit="s"),
    lambda numbers: pd.to_datetime(numbers, unit="s", utc=True),
    lambda numbers: pd.to_datetime(numbers, unit="s").astype(str),
]


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("numbers", [[0, 1, 0, 1, 2, 3], [7, 9, 3, 5, 0, 1]])
def test_a_trial_column_rises_and_may_start_anew_with_a_session(clock, numbers):
    trials = table("a", "b")
    timed, _, _ = lr.make_design(trials.assign(onset=clock(pd.Series(numbers))), trial="onset")
    pd.testing.assert_frame_equal(timed, lr.make_design(trials)[0])


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("last", [1, 2])
def test_a_trial_that_comes_too_early_or_twice_is_refused(clock, last):
    onset = clock(pd.Series([0, 1, 0, 1, 2, last]))
    message = r"Column 'onset' should rise within a session, but .* \(subject 'Bo', row 5\)\. Sort"
    trials = table("a", "b").assign(onset=onset)
    with pytest.raises(ValueError, match=message):
        lr.make_design(trials, trial="onset")
    lr.make_design(trials)  # no name, no check


def test_without_sessions_a_trial_column_rises_within_the_subject():
    trials = table("a", "b").assign(trial_number=[0, 1, 0, 1, 0, 1])
    with pytest.raises(ValueError, match=r"but 0 comes after 1 \(subject 'Bo', row 4\)"):
        lr.make_design(trials, session=None, trial="trial_number")


@pytest.mark.parametrize(
    ("onset", "text"),
    [
        (
            "first",
            "should hold numbers, dates or durations, but has 'first' (subject 'Ada', row 0)",
        ),
        (True, "should hold numbers, dates or durations, but has True"),
        (None, "is missing (NaN) on every trial"),
    ],
)
def test_a_trial_column_that_is_no_clock_is_refused(onset, text):
    with pytest.raises(ValueError, match=re.escape(f"Column 'onset' {text}")):
        lr.make_design(table("a", "b").assign(onset=onset), trial="onset")


def test_moments_are_seconds_whatever_the_zone_and_the_type():
    noon = ["2024-03-01T12:00Z", "2024-03-01 13:00:00+01:00", "2024-03-01T07:00:00.0-0500"]
    moments = as_moments(pd.Series([*noon, "2024-13-01", "noon", "20240301"]))
    seconds = pd.Timestamp("2024-03-01T12:00").timestamp()
    np.testing.assert_array_equal(moments, [seconds] * 3 + [np.nan] * 2 + [seconds - 12 * 3600])
    np.testing.assert_array_equal(as_moments(pd.to_datetime(pd.Series(noon[:1]))), [seconds])
