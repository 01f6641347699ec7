"""On a GPU a fit is the CPU's, but for rounding, and whatever reads a fit reads it from there."""

import numpy as np
import pytest
import torch
from helpers import BRIEFLY_TRAINED, all_estimators, estimator_name
from sklearn.base import clone

import sklearn_learnrule as lr
from sklearn_learnrule import inspection, plotting, simulation
from sklearn_learnrule.datasets import make_learning_cohort

pytestmark = [
    BRIEFLY_TRAINED,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]

TABLES = {
    "two choices": {},
    "three choices": {"n_choices": 3},
    "missed, unknown, anew": {"miss_rate": 0.1, "unknown_reward_rate": 0.1, "n_blocks": 2},
}
NETWORK = {"max_epochs": 3, "hidden_sizes": (8,), "n_ensemble": 2, "random_state": 0}
NOISE = {"process_noise": "learned", "lapses": "learned"}
ESTIMATORS = all_estimators(max_epochs=3) + [
    lr.ReinforceRuleEstimator(**NOISE, unlearned=["bias"], max_epochs=3),
    lr.ReinforceRuleEstimator(prior="weak", subject_effects=["learning_rate"], max_epochs=3),
    lr.ReinforceRuleEstimator(**NOISE, subject_effects=["process_noise"], max_epochs=3),
    lr.DNNRuleEstimator(**NETWORK, **NOISE, mirror=True),
    lr.DNNRuleEstimator(**NETWORK, subject_effects=2, early_stopping=True),
    lr.RNNRuleEstimator(**NETWORK, **NOISE, subject_effects=["learning_rate"], memory_size=6),
    lr.RNNRuleEstimator(**NETWORK, truncation=20, memory_size=6, batch_size=-1),
]


def make_table(**kind):
    """Return X, y of three animals."""
    table = make_learning_cohort(3, 60, session_length=25, random_state=0, **kind)
    how = {"restart": "block"} if "n_blocks" in kind else {}
    how |= {"missed": "count", "unknown_reward": "keep", "answer": "answer"}
    how["stimulus"] = [name for name in table if name.startswith("stimulus")]
    return lr.make_design(table, **how)[:2]


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("estimator", ESTIMATORS, ids=estimator_name)
def test_a_gpu_fits_as_the_cpu_does(estimator, kind):
    if kind == "three choices" and estimator.get_params().get("process_noise") is not None:
        pytest.skip("a filter of three choices takes a GPU minutes (docs/gpu.md)")
    X, y = make_table(**TABLES[kind])
    how = {"optimizer": "adam"}  # L-BFGS makes much of rounding where trials are few
    if isinstance(getattr(estimator, "lapses", None), tuple):
        how["lapses"] = 0.02  # of each choice, however many there are
    estimator = clone(estimator).set_params(**how)
    cpu, gpu = (clone(estimator).set_params(device=device).fit(X, y) for device in ("cpu", "cuda"))
    assert {str(net.device) for net in gpu.nets_} == {"cuda"}
    np.testing.assert_allclose(gpu.predict_proba(X), cpu.predict_proba(X), atol=1e-4)
    np.testing.assert_allclose(gpu.score(X, y), cpu.score(X, y), atol=1e-5)


READERS = {
    "weights": lambda rule, X, y: rule.predict_weights(X),
    "update": lambda rule, X, y: inspection.update_table(rule, X),
    "each subject's update": inspection.subject_update_table,
    "asymmetry": lambda rule, X, y: inspection.asymmetry_table(rule, X, n_bootstraps=9),
    "history": lambda rule, X, y: inspection.history_table(rule, X),
    "decomposition": inspection.weight_decomposition,
    "variance": inspection.variance_explained,
    "likelihood": inspection.log_likelihood_table,
    "sessions": inspection.session_table,
    "psychometric": inspection.psychometric_table,
    "columns": lambda rule, X, y: inspection.column_importance(rule, X, y, n_repeats=2),
    "sparse rule": lambda rule, X, y: inspection.sparse_rule(rule, X),
    "nearest rules": lambda rule, X, y: inspection.nearest_rules(rule, X),
    "bootstrap": lambda rule, X, y: inspection.bootstrap_fits(
        rule, X, y, n_bootstraps=2, random_state=1
    ),
    "effects": inspection.subject_effects_table,
    "twins": lambda rule, X, y: simulation.predictive_check(rule, X, y, n_simulations=2),
    "weights, drawn": lambda rule, X, y: plotting.WeightTrajectoryDisplay.from_estimator(rule, X),
    "updates, drawn": lambda rule, X, y: plotting.UpdateDisplay.from_estimator(rule, X),
    "future": lambda rule, X, y: lr.compare_rules({"it": rule}, X, y, cv=lr.FutureSplit(40)),
    "masked": lambda rule, X, y: lr.compare_rules({"it": rule}, X, y, cv=lr.MaskedTrials()),
}


@pytest.fixture(scope="module", params=["REINFORCE", "RNN"])
def fitted(request):
    """Return a rule that a GPU fitted, and to what."""
    how = {**NOISE, "device": "cuda", "optimizer": "adam"}
    rule = (
        lr.ReinforceRuleEstimator(**how, max_epochs=3, subject_effects=["learning_rate"])
        if request.param == "REINFORCE"
        else lr.RNNRuleEstimator(**NETWORK, **how, subject_effects=2)
    )
    X, y = make_table()
    return rule.fit(X, y), X, y


@pytest.mark.parametrize("reader", READERS)
def test_what_a_gpu_fitted_is_read_there(fitted, reader):
    READERS[reader](*fitted)
