"""A rule from outside of the package goes the whole way: an equation, an estimator, no more."""

from __future__ import annotations

import importlib
import pickle
import re
from numbers import Real
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from helpers import BRIEFLY_TRAINED
from scipy.stats import chi2
from sklearn.model_selection import GridSearchCV
from sklearn.utils._param_validation import Interval
from torch import nn

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.rules import LearningRule
from sklearn_learnrule.testing import check_rule

README = Path(__file__).resolve().parents[1] / "README.md"
TRUTH = {"half_life": 5.0, "learning_rate": 0.15}


class SatietyRule(LearningRule):
    """update = alpha (1 - m) r (y - p) x: the more rewards of late, m, the less one teaches."""

    textbook_names = ("learning_rate",)
    parameter_units = {"learning_rate": (-2, -1)}

    def __init__(self, n_weights, half_life=10.0, learning_rate=0.02):
        super().__init__(n_weights, memory_size=1)
        self.keeps = 0.5 ** (1 / half_life)
        self.root_learning_rate = nn.Parameter(torch.full((n_weights,), learning_rate).sqrt())

    @property
    def learning_rate(self):
        return self.root_learning_rate.square()

    def forward(self, weights, trial, memory):
        score = self.policy.score(weights, trial.features, trial.choice)
        update = self.learning_rate * (1 - memory) * trial.reward[:, None] * score
        rewarded = (trial.reward > 0).to(memory)[:, None]
        return update, self.keeps * memory + (1 - self.keeps) * rewarded


class UnitlessRule(SatietyRule):
    """The same, but that it says that its learning rate has no unit."""

    parameter_units = {}


class UnitlessRuleEstimator(lr.BaseRuleEstimator):
    """Learning from rewards by a rule that errs about its units."""

    def make_rule(self, n_weights):
        return UnitlessRule(n_weights)


class SatietyRuleEstimator(lr.BaseRuleEstimator):
    """Learning from rewards, less when there have been many.

    Parameters
    ----------
    half_life : float, default=10.0
        Of a reward's share in satiety, in trials.
    {shared}
    """

    half_life: float = 10.0

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "half_life": [Interval(Real, 0, None, closed="neither")]
    }

    def make_rule(self, n_weights):
        return SatietyRule(n_weights, self.half_life)


class SettingsEstimator(SatietyRuleEstimator):
    """With settings that its base has not, and no word on what they may be."""

    n_init: int = 2
    n_ensemble: int = 1
    gradient_clip_value: float = 1.0


@pytest.fixture(scope="module")
def cohort():
    trials = make_learning_cohort(20, 400, rule=SatietyRule(2, **TRUTH), random_state=0)
    return lr.make_design(trials)[:2]


@pytest.fixture(scope="module")
def fitted(cohort):
    return SatietyRuleEstimator(half_life=5.0).fit(*cohort)


def engine_of(estimator):
    return estimator.net_.module_.chosen_engine(20, torch.device("cpu"))


def test_it_passes_all_checks_without_a_remark():
    report = check_rule(SatietyRule(2))
    assert report.remarks == () and report.speed["fused"] > 1


def test_it_is_fitted_by_compiled_code_and_finds_the_truth(fitted, cohort):
    X, y = cohort
    assert engine_of(fitted) == "fused"
    truth = [0.15, 0.15, 0.0, 0.0]  # and initial weights
    z = (fitted.summary_["estimate"] - truth) / fitted.summary_["standard_error"]
    assert (z**2).sum() < chi2(4).ppf(0.999)
    assert fitted.score(X, y) > lr.ConstantRuleEstimator().fit(X, y).score(X, y) + 0.02
    probability = fitted.predict_proba(X)
    assert probability.shape == (len(X), 2) and list(fitted.classes_) == ["left", "right"]
    np.testing.assert_allclose(probability.sum(1), 1)


def test_its_own_parameter_is_searched_for(cohort):
    grid = {"half_life": [1.0, 5.0, 50.0]}
    search = GridSearchCV(SatietyRuleEstimator(), grid, cv=lr.SubjectKFold(2)).fit(*cohort)
    assert search.best_params_ == {"half_life": 5.0}


def test_it_is_compared_with_the_packages_rules_and_is_what_made_these_choices(cohort):
    rules = {
        "satiety": SatietyRuleEstimator(half_life=5.0),
        "REINFORCE": lr.ReinforceRuleEstimator(),
        "constant": lr.ConstantRuleEstimator(),
    }
    ranking = lr.rank_rules(lr.compare_rules(rules, *cohort, cv=2, verbose=0))
    assert list(ranking.index) == list(rules)


def test_its_weights_may_drift(cohort):
    some = cohort[0].index.get_level_values("subject") < "mouse_07"
    X, y = cohort[0][some], cohort[1][some]
    drifting = SatietyRuleEstimator(half_life=5.0, process_noise="learned").fit(X, y)
    assert engine_of(drifting) == "fused"
    assert (drifting.process_noise_ < 0.05).all()  # there is no drift
    assert drifting.smooth_weights(X, y).shape == (len(X), 2)


def test_it_is_stored_and_comes_back(fitted, cohort):
    X, _ = cohort
    restored = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_allclose(restored.predict_proba(X), fitted.predict_proba(X), rtol=1e-9)
    assert repr(restored) == "SatietyRuleEstimator(half_life=5.0)"


def test_wrong_values_of_its_parameter_are_refused(cohort):
    with pytest.raises(ValueError, match="SatietyRuleEstimator: half_life should be a float in"):
        SatietyRuleEstimator(half_life=0.0).fit(*cohort)


def test_the_front_pages_rule_passes_and_is_fitted(tmp_path, monkeypatch, cohort):
    (example,) = re.findall("## Add a rule\n.*?```python\n(.*?)```", README.read_text(), re.DOTALL)
    imports = [
        "from dataclasses import dataclass",
        "import torch",
        "from torch import nn",
        "from sklearn_learnrule import BaseRuleEstimator",
        "from sklearn_learnrule.rules import LearningRule",
    ]
    file = tmp_path / "rule_of_the_front_page.py"
    file.write_text("\n".join([*imports, example]))
    monkeypatch.syspath_prepend(tmp_path)
    page = importlib.import_module(file.stem)
    assert check_rule(page.DecayRule(2)).remarks == ()
    assert page.DecayRuleEstimator().fit(*cohort).decay_.shape == (2,)


# ------------------------------------------------------------------ rules that hang on other rows


class StopsAfterFifty(LearningRule):
    """Learns from fifty trials, then no more; which the first row decides for all."""

    memory_size = 1

    def __init__(self, n_weights: int) -> None:
        super().__init__(n_weights)
        self.rate = nn.Parameter(torch.full((n_weights,), 0.1))

    def forward(self, weights, trial, memory):
        if memory[0, 0] >= 50:
            return torch.zeros_like(weights), memory + 1
        score = self.policy.score(weights, trial.features, trial.choice)
        return self.rate * trial.reward[:, None] * score, memory + 1


class StopsAfterFiftyEstimator(lr.BaseRuleEstimator):
    """The same."""

    def make_rule(self, n_weights: int) -> LearningRule:
        return StopsAfterFifty(n_weights)


@BRIEFLY_TRAINED
def test_a_rule_that_looks_at_other_rows_is_unrolled_trial_by_trial_and_said_to_be():
    X, y, _ = lr.make_design(make_learning_cohort(3, 80, random_state=0))
    auto = StopsAfterFiftyEstimator(max_epochs=2)
    with pytest.warns(UserWarning, match="trial by trial.*takes Python's decisions.*check_rule"):
        auto.fit(X, y)
    by_loop = StopsAfterFiftyEstimator(max_epochs=2, engine="loop").fit(X, y)
    np.testing.assert_allclose(auto.predict_weights(X), by_loop.predict_weights(X))
    weights = auto.predict_weights(X).groupby("subject").nth(slice(51, None))
    assert (weights.groupby("subject").nunique() == 1).to_numpy().all()  # they stay
    at_once = StopsAfterFiftyEstimator(max_epochs=2, engine="parallel")
    with pytest.raises(ValueError, match="does something else on one alone than among others"):
        at_once.fit(X, y)


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        *(("n_init", value, "an int in the range [1, inf)") for value in (0, -1, 1.5)),
        ("n_ensemble", 0, "an int in the range [1, inf)"),
        ("gradient_clip_value", "short", "a float in the range (0.0, inf]"),
    ],
)
def test_settings_of_training_are_checked_where_a_class_of_ones_own_has_them(
    cohort, setting, value, expected
):
    message = f"{setting} should be {expected}, got {value!r}."
    with pytest.raises(ValueError, match=re.escape(message)):
        SettingsEstimator(**{setting: value}).fit(*cohort)


class HeldAsLogits(LearningRule):
    """A rule whose rate has a textbook name, and is held under another."""

    textbook_names = ("rate",)

    def __init__(self, n_weights):
        super().__init__(n_weights)
        self.logit_rate = nn.Parameter(torch.full((n_weights,), -2.0))

    @property
    def rate(self):
        return self.logit_rate.sigmoid()

    def forward(self, weights, trial, memory):
        return self.rate * self.policy.score(weights, trial.features, trial.choice), memory


class HeldAsLogitsEstimator(lr.BaseRuleEstimator):
    """Its estimator."""

    def make_rule(self, n_weights):
        return HeldAsLogits(n_weights)


def test_what_a_rule_holds_under_another_name_varies_by_animal_once_it_is_held_as_its_root(cohort):
    X, y = cohort
    with pytest.raises(ValueError, match=r"got 'rate' \(which .* let it hold root_rate, its root"):
        HeldAsLogitsEstimator(subject_effects=["rate"]).fit(X, y)


@BRIEFLY_TRAINED
@pytest.mark.parametrize("column", ["reward", "stimulus"])
def test_parameters_in_other_units_than_a_rule_says_are_not_fitted_silently(column):
    trials = make_learning_cohort(3, 40, random_state=0)
    quick = {"max_epochs": 2, "optimizer": "adam"}
    UnitlessRuleEstimator(**quick).fit(*lr.make_design(trials)[:2])  # all units are 1
    X, y, _ = lr.make_design(trials.assign(**{column: 4 * trials[column]}))
    SatietyRuleEstimator(**quick).fit(X, y)
    with pytest.raises(ValueError, match="UnitlessRule does something else in other units, in wh"):
        UnitlessRuleEstimator(**quick).fit(X, y)
