"""The recurrent rival: its engines agree, it sees the past alone, and it learns what it should."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import skops.io as sio
import torch
from helpers import BRIEFLY_TRAINED
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from torch import nn

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.engine import CHOICE_ENGINES, choice_logits
from sklearn_learnrule.estimators.choice_rnn import ChoiceRNN
from sklearn_learnrule.rules import Trial, Units

pytestmark = BRIEFLY_TRAINED

TOLERANCES = {torch.float64: 1e-10, torch.float32: 1e-4}
OTHER = {"left": "right", "right": "left"}
ONE = {"n_ensemble": 1, "mirror": False, "random_state": 0}


# --------------------------------------------------------------------- engines


def make_network(memory_size, n_inputs=4, dtype=torch.float64, seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        gru, readout = nn.GRU(n_inputs, memory_size, batch_first=True), nn.Linear(memory_size, 1)
    return gru.to(dtype), readout.to(dtype)


def make_inputs(lengths, n_inputs=4, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(len(lengths), max(lengths), n_inputs, generator=generator)
    return inputs.to(dtype), torch.tensor(lengths)


def logits_and_gradients(engine, network, inputs, lengths, truncation=None):
    """Return the logits, and a random projection's gradients to all parameters."""
    logits = choice_logits(*network, inputs, lengths, truncation=truncation, engine=engine)
    direction = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
    parameters = [parameter for module in network for parameter in module.parameters()]
    gradients = torch.autograd.grad((logits * direction.to(logits.dtype)).sum(), parameters)
    return logits.detach(), *gradients


def assert_fused_equals_loop(network, inputs, lengths, truncation):
    case = network, inputs, lengths, truncation
    expected, found = (logits_and_gradients(engine, *case) for engine in ("loop", "fused"))
    for truth, value in zip(expected, found, strict=True):
        assert value.shape == truth.shape and value.dtype == truth.dtype
        assert (value - truth).norm() <= TOLERANCES[truth.dtype] * truth.norm()


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("truncation", [None, 1, 50, 64, 500])
@pytest.mark.parametrize("memory_size", [1, 8, 33])
def test_fused_logits_and_gradients_equal_the_loops(memory_size, truncation, dtype):
    network = make_network(memory_size, dtype=dtype)
    inputs, lengths = make_inputs([64, 65, 1, 130, 63], dtype=dtype)
    assert_fused_equals_loop(network, inputs, lengths, truncation)


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 70), min_size=1, max_size=5),
    n_inputs=st.integers(1, 20),
    memory_size=st.integers(1, 20),
    truncation=st.none() | st.integers(1, 80),
    seed=st.integers(0, 2**16),
)
def test_any_cohort_and_network_have_the_loops_gradients(
    lengths, n_inputs, memory_size, truncation, seed
):
    network = make_network(memory_size, n_inputs, seed=seed)
    assert_fused_equals_loop(network, *make_inputs(lengths, n_inputs, seed=seed), truncation)


@pytest.mark.parametrize("engine", CHOICE_ENGINES)
def test_logits_are_those_of_a_gru_written_out(engine):
    gru, readout = make_network(3)
    inputs, lengths = make_inputs([20, 7])
    found = choice_logits(gru, readout, inputs, lengths, engine=engine).detach().numpy()
    weight_x, weight_h, bias_x, bias_h = (p.detach().numpy() for p in gru.parameters())
    for n, length in enumerate([20, 7]):
        h = np.zeros(3)
        for t in range(length):
            from_x = np.split(weight_x @ inputs[n, t].numpy() + bias_x, 3)
            from_h = np.split(weight_h @ h + bias_h, 3)
            r, z = expit(from_x[0] + from_h[0]), expit(from_x[1] + from_h[1])
            h = (1 - z) * np.tanh(from_x[2] + r * from_h[2]) + z * h
            logit = readout.weight.detach().numpy()[0] @ h + readout.bias.item()
            assert found[n, t] == pytest.approx(logit, abs=1e-12)
    assert (found[1, 7:] == 0).all()


def test_gradients_stop_at_every_truncation_th_trial():
    inputs, lengths = make_inputs([10])
    inputs.requires_grad_()
    logits = choice_logits(*make_network(3), inputs, lengths, truncation=4, engine="loop")
    for t, first in [(3, 0), (4, 4), (7, 4), (9, 8)]:
        (gradient,) = torch.autograd.grad(logits[0, t], inputs, retain_graph=True)
        reached = np.flatnonzero(gradient[0].abs().sum(-1))
        assert list(reached) == list(range(first, t + 1))


def test_threads_change_no_bit_of_the_gradients(set_threads):
    case = make_network(8, dtype=torch.float32), *make_inputs([5, 90, 31, 2], dtype=torch.float32)
    set_threads(1)
    alone = logits_and_gradients("fused", *case)
    set_threads(3)
    for _ in range(3):
        assert all(map(torch.equal, alone, logits_and_gradients("fused", *case)))


def test_what_is_not_finite_stays_with_its_subject_and_its_future():
    inputs, lengths = make_inputs([12, 12])
    inputs[0, 5] = float("nan")
    for engine in CHOICE_ENGINES:
        logits = choice_logits(*make_network(3), inputs, lengths, engine=engine)
        assert logits[0, 5:].isnan().all()
        assert logits[0, :5].isfinite().all() and logits[1].isfinite().all()


def test_what_the_kernels_cannot_do_is_refused_with_a_way_out():
    network, (inputs, lengths) = make_network(3), make_inputs([5, 4])
    with pytest.raises(ValueError, match="runs on the CPU, not on 'meta': use engine='loop'"):
        choice_logits(*network, inputs.to("meta"), lengths, engine="fused")
    with pytest.raises(ValueError, match="gives no gradient with respect to inputs: use engine="):
        choice_logits(*network, inputs.clone().requires_grad_(), lengths, engine="fused")
    with pytest.raises(ValueError, match=r"shape \(2, at least 5, 4\), got \(2, 5, 3\)"):
        choice_logits(*network, inputs[..., :3], lengths, engine="fused")
    with pytest.raises(ValueError, match=r"shape \(2, at least 5, 4\), got \(2, 4, 4\)"):
        choice_logits(*network, inputs[:, :4], lengths, engine="fused")
    with pytest.raises(ValueError, match=r"engine must be 'auto' or one of \['fused', 'loop'\]"):
        choice_logits(*network, inputs, lengths, engine="parallel")


def test_second_derivatives_are_refused():
    gru, readout = make_network(3)
    logits = choice_logits(gru, readout, *make_inputs([5]), engine="fused")
    with pytest.raises(RuntimeError, match="first derivatives only.*use engine='loop'"):
        torch.autograd.grad(logits.sum(), readout.weight, create_graph=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_cpus_logits_and_gradients():
    network, (inputs, lengths) = make_network(8), make_inputs([130, 7])
    expected = logits_and_gradients("loop", network, inputs, lengths, 50)
    logits = choice_logits(
        *(module.cuda() for module in network), inputs.cuda(), lengths.cuda(), truncation=50
    )
    torch.testing.assert_close(logits.cpu(), expected[0])


# ------------------------------------------------------------------ classifier


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(6, 200, session_length=50, random_state=0))


@pytest.fixture(scope="module")
def fitted(cohort):
    X, y, _ = cohort
    return lr.ChoiceRNNClassifier(max_epochs=30, **{**ONE, "n_ensemble": 2}).fit(X, y)


def decision(classifier, X):
    return pd.Series(classifier.decision_function(X), index=X.index)


def test_each_choice_is_predicted_from_its_own_row_of_X_and_those_before(fitted, cohort):
    X = cohort[0].loc[["mouse_02"]]
    session = X.index.get_level_values("session")
    starts = np.r_[True, session[1:] != session[:-1]]
    won = X["previous_reward"] > 0
    answer = np.where(won, X["previous_choice"], -X["previous_choice"])
    rows = np.column_stack([X, starts, answer])  # stimulus, previous choice and reward, ...
    members = []
    for net in fitted.nets_:
        memories, _ = net.module_.gru(torch.tensor(rows, dtype=torch.float32)[None])
        members.append(net.module_.readout(memories)[0, :, 0].detach().numpy())
    np.testing.assert_allclose(fitted.decision_function(X), np.mean(members, 0), atol=1e-5)
    assert np.abs(members[0] - members[1]).max() > 0.01


def test_a_named_answer_takes_the_place_of_the_inferred_one():
    trials = make_learning_cohort(2, 50, random_state=3)  # rewards are those of correct choices
    network = lr.ChoiceRNNClassifier(max_epochs=3, **ONE)
    inferred, named, wrong = (
        clone(network).fit(X, y).decision_function(X)
        for X, y, _ in (
            lr.make_design(trials),
            lr.make_design(trials, answer="answer"),
            lr.make_design(trials.assign(answer="left"), answer="answer"),
        )
    )
    np.testing.assert_array_equal(inferred, named)
    assert (inferred != wrong).all()


def test_future_choices_and_rewards_never_change_past_predictions(fitted):
    trials = make_learning_cohort(3, 60, random_state=1)
    before = fitted.decision_function(lr.make_design(trials)[0])
    for row in (0, 1, 70, len(trials) - 1):
        changed = trials.copy()
        changed.loc[row, "choice"] = OTHER[trials["choice"][row]]
        changed.loc[row, "reward"] = 1 - trials["reward"][row]
        after = fitted.decision_function(lr.make_design(changed)[0])
        later = (trials["subject"] == trials["subject"][row]) & (trials.index > row)
        np.testing.assert_array_equal(before[~later], after[~later])
        assert later.sum() == 0 or (before[later] != after[later]).any()


def test_company_order_and_padding_change_no_prediction(fitted, cohort):
    trial, subject = (cohort[0].index.get_level_values(name) for name in ("trial", "subject"))
    X = cohort[0][(trial < 90) | (subject != "mouse_03")]
    together = decision(fitted, X)
    subjects = list(X.index.unique("subject"))[::-1]
    alone = pd.concat([decision(fitted, X.loc[[subject]]) for subject in subjects])
    np.testing.assert_allclose(alone[X.index], together, atol=1e-6)
    reordered = decision(fitted, pd.concat([X.loc[[subject]] for subject in subjects]))
    np.testing.assert_allclose(reordered[X.index], together, atol=1e-6)
    mixed = X.iloc[np.argsort(X.index.get_level_values("trial"), kind="stable")]
    np.testing.assert_allclose(decision(fitted, mixed)[X.index], together, atol=1e-6)


def test_fits_by_both_engines_agree(cohort):
    X, y, _ = cohort
    loop, fused = (
        lr.ChoiceRNNClassifier(max_epochs=4, engine=engine, truncation=30, **ONE)
        .fit(X, y)
        .predict_proba(X)
        for engine in ("loop", "fused")
    )
    np.testing.assert_allclose(fused, loop, atol=1e-4)


def test_it_beats_a_static_policy_on_held_out_animals():
    X, y, _ = lr.make_design(make_learning_cohort(12, 800, random_state=0))
    rival = lr.ChoiceRNNClassifier(max_epochs=60, lr=0.03, **ONE)
    own, static = (
        cross_val_score(classifier, X, y, cv=lr.SubjectKFold(2))
        for classifier in (rival, lr.ConstantRuleEstimator())
    )
    assert (own > static + 0.02).all()  # as the weights move, which it infers from the outcomes


def test_it_finds_a_habit_that_is_no_policy_of_the_stimulus():
    """Choices that repeat the last rewarded one and ignore the stimulus."""
    rng = np.random.RandomState(0)
    n = 1200
    choice, reward = np.zeros(n, int), rng.randint(0, 2, n)
    for t in range(1, n):
        stays = rng.rand() < (0.95 if reward[t - 1] else 0.05)
        choice[t] = choice[t - 1] if stays else 1 - choice[t - 1]
    table = {"subject": np.repeat([0, 1, 2], 400), "session": 1, "stimulus": rng.randn(n)}
    X, y, _ = lr.make_design(pd.DataFrame({**table, "choice": choice, "reward": reward}))
    rival = lr.ChoiceRNNClassifier(max_epochs=100, lr=0.03, weight_decay=0.3, **ONE).fit(X, y)
    truth = 0.95 * np.log(0.95) + 0.05 * np.log(0.05)  # -0.199 nats per trial
    assert rival.score(X, y) == pytest.approx(truth, abs=0.05)


def test_trials_of_weight_zero_are_not_scored(cohort):
    X, y, _ = cohort
    last = X.groupby("subject").cumcount(ascending=False).to_numpy() == 0
    scored = (~last).astype(float)
    flipped = y.where(~last, y.map(OTHER))
    network = lr.ChoiceRNNClassifier(max_epochs=3, **ONE)
    fits = [clone(network).fit(X, labels, sample_weight=scored) for labels in (y, flipped)]
    np.testing.assert_array_equal(*(fit.decision_function(X) for fit in fits))
    assert (clone(network).fit(X, flipped).decision_function(X) != decision(fits[0], X)).any()


@pytest.mark.parametrize("switch", ["session_input", "answer_input"])
def test_an_input_that_is_switched_off_is_not_read(switch, cohort):
    units = Units(torch.ones(2), torch.ones(()))
    network = ChoiceRNN(units, **{switch: False}).double()
    generator = torch.Generator().manual_seed(0)
    fields = ("choice", "reward", "answer", "session_start")
    outcome = {name: torch.rand(1, 9, generator=generator).double().round() for name in fields}
    trials, observed = Trial(torch.ones(1, 9, 2).double(), **outcome), torch.ones(1, 9).bool()
    before = network(trials, observed)
    for name in fields:
        after = network(replace(trials, **{name: 1 - outcome[name]}), observed)
        is_off = name == {"session_input": "session_start", "answer_input": "answer"}[switch]
        assert torch.equal(before, after) == is_off


def size(fitted):
    return sum(parameter.numel() for parameter in fitted.net_.module_.parameters())


NETWORKS = [lr.ChoiceRNNClassifier, lr.DNNRuleEstimator, lr.RNNRuleEstimator]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.__name__)
def test_a_network_does_without_answers_that_rewards_do_not_tell(network):
    trials = make_learning_cohort(2, 50, random_state=0)
    graded = trials.assign(reward=np.arange(len(trials)) % 3 - 1.0)
    X, y, _ = lr.make_design(graded)
    network = network(max_epochs=2, **ONE)
    without = clone(network).set_params(answer_input=False)
    told, _, _ = lr.make_design(graded, answer="answer")
    assert size(network.fit(X, y)) == size(without.fit(X, y)) < size(clone(network).fit(told, y))
    message = f"{type(network).__name__} reads the correct choice, which these rewards do not tell"
    with pytest.raises(ValueError, match=message):
        clone(network).fit(*lr.make_design(trials)[:2]).predict(X)


def test_it_has_the_attributes_of_a_classifier_and_none_of_a_policy(fitted, cohort):
    X, _, _ = cohort
    assert list(fitted.classes_) == ["left", "right"]
    assert fitted.n_iter_ == len(fitted.history_) == 30
    assert fitted.n_features_in_ == 3 and list(fitted.feature_names_in_) == list(X)
    for name in ("predict_weights", "initial_weights", "initial_weights_", "weight_names_"):
        assert not hasattr(fitted, name)


def test_a_stored_network_predicts_the_same(fitted, cohort):
    X, _, _ = cohort
    twice = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(fitted))))
    by_skops = sio.loads(sio.dumps(fitted), trusted=lr.TRUSTED_TYPES)
    for restored in (twice, by_skops):
        np.testing.assert_array_equal(restored.predict_proba(X), fitted.predict_proba(X))


def test_the_same_random_state_gives_the_same_fit_and_another_does_not(fitted, cohort):
    X, y, _ = cohort
    again, other = clone(fitted).fit(X, y), clone(fitted).set_params(random_state=1).fit(X, y)
    np.testing.assert_array_equal(again.decision_function(X), fitted.decision_function(X))
    assert (other.decision_function(X) != fitted.decision_function(X)).any()


def test_training_parameters_are_those_of_the_rules(cohort, capsys):
    X, y, _ = cohort
    network = lr.ChoiceRNNClassifier(
        warm_start=True, early_stopping=True, n_iter_no_change=2, batch_size=2, max_epochs=5,
        device="cpu", verbose=1, mirror=True, n_ensemble=2, random_state=0,
    ).fit(X, y)  # fmt: skip
    bar = "ChoiceRNNClassifier, member 2 of 2 (with mirror images, fused engine, cpu)"
    assert bar in capsys.readouterr().err
    first = network.history_[0, "train_loss"]
    assert network.fit(X, y).history_[0, "train_loss"] < first
    with pytest.raises(ValueError, match="warm_start goes on from the last fit, which had other"):
        network.set_params(memory_size=3).fit(X, y)


def test_a_grid_searches_its_units_and_rules_are_compared_with_it(cohort):
    X, y, _ = cohort
    network = lr.ChoiceRNNClassifier(max_epochs=3, **ONE)
    search = GridSearchCV(network, {"memory_size": [2, 8]}, cv=lr.SubjectKFold(2)).fit(X, y)
    assert search.best_estimator_.net_.module_.gru.hidden_size in (2, 8)
    rules = {"constant": lr.ConstantRuleEstimator(), "GRU": network}
    scores = lr.compare_rules(rules, X, y, cv=2, verbose=0)
    own = scores[scores["rule"] == "GRU"].assign(total=lambda s: s.log_likelihood * s.n_trials)
    by_fold = own.groupby("fold")[["total", "n_trials"]].sum()
    expected = cross_val_score(network, X, y, cv=lr.SubjectKFold(2))
    np.testing.assert_allclose(by_fold["total"] / by_fold["n_trials"], expected)
    assert set(lr.rank_rules(scores, "constant").index) == set(rules)
