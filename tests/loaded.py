"""What the tests of loaders share: a cohort to write to files, and the way on from what they read."""

import numpy as np

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort

COHORT = make_learning_cohort(4, 150, session_length=15, random_state=0)
RULES = {
    "constant": lr.ConstantRuleEstimator(),
    "REINFORCE": lr.ReinforceRuleEstimator(baseline=None),
}


def assert_is_the_cohort(trials, **options):
    """The design is the cohort's, whatever labels and names of sessions are."""
    X, y, groups = lr.make_design(trials, **options)
    original, choices, animals = lr.make_design(COHORT, answer=options.get("answer"))
    np.testing.assert_array_equal(X, original)
    assert (y == y.max()).tolist() == (choices == "right").tolist()
    assert groups.tolist() == animals.tolist()


def assert_is_ranked(trials, **options):
    """A few lines more, and rules are compared on held-out animals."""
    X, y, _ = lr.make_design(trials, **options)
    table = lr.rank_rules(lr.compare_rules(RULES, X, y, cv=2, verbose=0))
    assert set(table.index) == set(RULES)
    assert table["log_likelihood"].between(-0.9, -0.3).all()
