"""The model of choices: what is scored is what was fitted, and its bounds are part of its state."""

from __future__ import annotations

import io
import pickle
from copy import deepcopy

import numpy as np
import pytest
import skops.io as sio
import torch
from helpers import BRIEFLY_TRAINED, make_rule, make_trials
from numpy.testing import assert_allclose

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.engine import unroll
from sklearn_learnrule.models import learning
from sklearn_learnrule.models.learning import LearningModel, has_gpu
from sklearn_learnrule.rules import LEARNED, BoundedRule, DNNRule, Lapses, ProcessNoise, Units

pytestmark = BRIEFLY_TRAINED

QUICK = {"max_epochs": 3, "hidden_sizes": (4,), "mirror": False, "random_state": 0}
NARROW = torch.tensor([[-0.05, -0.04], [0.05, 0.04]])


@pytest.fixture(scope="module")
def cohort():
    X, y, _ = lr.make_design(make_learning_cohort(4, 120, random_state=3))
    return X, y


def make_model(noisy=False):
    noise = ProcessNoise(2, LEARNED, LEARNED, LEARNED) if noisy else None
    units = Units(torch.tensor([2.0, 1.0]), torch.tensor(1.0))
    how = {"train_initial_weights": True, "truncation": None, "engine": "auto", "noise": noise}
    rule = make_rule("reinforce", 2, dtype=torch.float32)
    return LearningModel(rule, torch.zeros(2), units, lapses=Lapses(LEARNED), **how).double()


OPTIONS = {
    "still": {},
    "lapses": {"lapses": (0.02, 0.05)},
    "noise": {"process_noise": 0.1},
    "noise and lapses": {"process_noise": 0.1, "lapses": LEARNED},
}


@pytest.mark.filterwarnings("ignore:.*would go far beyond those of the subjects fitted")
@pytest.mark.parametrize("options", OPTIONS)
def test_what_is_scored_is_what_was_fitted(options, cohort):
    """The module that training moves gives the logits that are predicted, held or not."""
    X, y = cohort
    network = lr.DNNRuleEstimator(n_ensemble=1, **QUICK, **OPTIONS[options]).fit(X, y)
    dataset = network._dataset(network.read_sequences(X))

    def logits():
        with torch.no_grad():
            return dataset.rows(network.net_.infer(dataset))

    free = network.decision_function(X)
    assert_allclose(free, logits(), rtol=1e-5, atol=1e-6)
    lowest, highest = network.predict_weights(X).quantile([0.3, 0.7]).to_numpy()
    network.net_.module_.bounds = torch.tensor(np.array([lowest, highest]), dtype=torch.float32)
    held = network.decision_function(X)
    assert_allclose(held, logits(), rtol=1e-5, atol=1e-6)
    assert np.abs(held - free).max() > 1e-4


@pytest.mark.parametrize("noisy", [False, True])
def test_a_models_state_holds_all_that_it_predicts_by(noisy):
    trials, observed = make_trials([30, 20])
    model, other = make_model(noisy), make_model(noisy)
    with torch.no_grad():
        model.rule.rule.root_learning_rate.add_(0.5)
    model.bounds = NARROW.double()
    assert not torch.equal(model(trials, observed), other(trials, observed))
    other.load_state_dict(model.state_dict())
    assert torch.equal(model(trials, observed), other(trials, observed))


def test_noise_is_part_of_what_moves_the_path_and_no_second_parameter():
    model = deepcopy(make_model(noisy=True))
    names = [name for name, _ in model.named_parameters()]
    assert len(names) == len({id(p) for p in model.parameters()}) == 6
    assert model.dynamics.rule.rule is model.rule.rule
    assert model.dynamics.rule.noise is model.noise and model.dynamics.rule.lapses is model.lapses


@pytest.mark.parametrize("store", ["pickle", "skops"])
def test_stored_estimators_keep_their_bounds(store, cohort):
    network = lr.DNNRuleEstimator(n_ensemble=1, **QUICK).fit(*cohort)
    if store == "pickle":
        again = pickle.loads(pickle.dumps(network))
    else:
        file = sio.dumps(network)
        again = sio.loads(file, trusted=sio.get_untrusted_types(data=file))
    bounds = network.net_.module_.bounds
    assert bounds.isfinite().all() and torch.equal(again.net_.module_.bounds, bounds)


@pytest.mark.parametrize("name", ["reinforce, free baseline", "q learning", "rnn, small"])
def test_every_engine_holds_a_bounded_rules_weights_alike(name):
    trials, observed = make_trials([40, 25])
    rule = make_rule(name, 2)
    bounded = BoundedRule(rule, *(0.1 * NARROW.double())).double()
    start = torch.zeros(2, 2).double()
    with torch.no_grad():
        expected = unroll(bounded, start, trials, observed, engine="loop")
        free = unroll(rule, start, trials, observed, engine="loop")
        for engine in ("auto", "parallel"):
            found = unroll(bounded, start, trials, observed, engine=engine)
            torch.testing.assert_close(found, expected)
    assert not torch.allclose(free, expected)
    assert (expected.abs() <= 0.1 * NARROW[1]).all()


def test_a_bounded_rules_bounds_move_with_it():
    bounded = BoundedRule(make_rule("reinforce", 2), *NARROW)
    assert bounded.double().lowest.dtype == torch.float64
    file = io.BytesIO()
    torch.save(bounded.state_dict(), file)
    file.seek(0)
    np.testing.assert_array_equal(torch.load(file)["highest"], NARROW[1])


def test_a_gpu_serves_what_the_cpu_does_not_compile(monkeypatch):
    class LargeRule(DNNRule):
        """Not the package's, so that each of its numbers would be a line of code: too many."""

    def device_of(rule, engine="auto"):
        units = Units(torch.ones(2), torch.tensor(1.0))
        how = {"train_initial_weights": True, "truncation": None, "engine": engine}
        return LearningModel(rule, torch.zeros(2), units, **how).usual_device

    large, small = LargeRule(2, (40, 40)), make_rule("reinforce", 2)
    assert device_of(large) == device_of(small, engine="parallel") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)  # as where torch is not built so
    assert device_of(large) == ("cuda" if has_gpu() else "cpu")
    monkeypatch.setattr(learning, "has_gpu", lambda: True)
    assert device_of(large) == device_of(small, engine="parallel") == "cuda"
    assert device_of(small) == device_of(small, engine="loop") == device_of(DNNRule(2)) == "cpu"
