"""More than two choices: rules, filter, engines and estimators take them as they take two."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from three_choices import LABELS, STIMULI, THREE, K, make_trials, random_trials

from sklearn_learnrule import (
    ActorCriticRuleEstimator,
    ChoiceRNNClassifier,
    ConstantRuleEstimator,
    DNNRuleEstimator,
    EligibilityRuleEstimator,
    PearceHallRuleEstimator,
    PolicyRegressors,
    PredictMaxRuleEstimator,
    QLearningRuleEstimator,
    ReinforceRuleEstimator,
    RewardMaxRuleEstimator,
    RNNRuleEstimator,
    SubjectKFold,
    make_design,
)
from sklearn_learnrule.engine import unroll
from sklearn_learnrule.inspection import update_table
from sklearn_learnrule.rules import (
    DNNRule,
    FilteredRule,
    GivenWeightsRule,
    Lapses,
    LearningRule,
    PartialRule,
    Policy,
    ProcessNoise,
    QLearningRule,
    ReinforceRule,
    RNNRule,
    StandardizedRule,
    Units,
    filtered_logit,
    observe,
    pack,
    unpack,
)
from sklearn_learnrule.rules.observing import observe_one_of_many
from sklearn_learnrule.simulation import simulate
from sklearn_learnrule.testing import check_rule


def design(table, **options):
    return make_design(table, stimulus=STIMULI, **options)


TABLE = make_trials()
X, Y, GROUPS = design(TABLE)
OTHERS = {"left": "z", "middle": "a", "right": "m"}  # of which the first in order is another
QUICK = {"max_epochs": 60, "n_ensemble": 1, "random_state": 0, "hidden_sizes": 8}
FIXED = {"session_noise": 0.0, "initial_std": 0.3, "train_initial_weights": False}
ESTIMATORS = {
    "constant": ConstantRuleEstimator(),
    "REINFORCE": ReinforceRuleEstimator(),
    "by side": ReinforceRuleEstimator(baseline=None, side_specific=True, forgetting=True),
    "RewardMax": RewardMaxRuleEstimator(),
    "PredictMax": PredictMaxRuleEstimator(),
    "eligibility": EligibilityRuleEstimator(window=2),
    "actor-critic": ActorCriticRuleEstimator(),
    "Q-learning": QLearningRuleEstimator(),
    "Pearce-Hall": PearceHallRuleEstimator(),
    "noise": ReinforceRuleEstimator(baseline=None, process_noise=0.05, **FIXED),
    "lapses": ReinforceRuleEstimator(baseline=None, lapses="learned"),
    "both": ReinforceRuleEstimator(baseline=None, lapses=0.03, process_noise=0.1, **FIXED),
    "unlearned": ReinforceRuleEstimator(baseline=None, unlearned=["bias"]),
    "psychometric": ReinforceRuleEstimator(baseline=None, initial_weights="psychometric"),
}  # fmt: skip


def with_answer(estimator):
    """Return the design that an estimator needs."""
    needs = isinstance(estimator, RewardMaxRuleEstimator | PredictMaxRuleEstimator)
    return design(TABLE, answer="answer") if needs else (X, Y, GROUPS)


@pytest.mark.filterwarnings("ignore:.*:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_order_and_names_of_labels_change_nothing(name):
    """But for where a search ends, and for a filter's slopes, which are taken by small steps."""
    estimator = ESTIMATORS[name]
    renamed = TABLE.replace({"choice": OTHERS, "answer": OTHERS})
    answer = {"answer": "answer"} if any("answer" in c for c in with_answer(estimator)[0]) else {}
    X_, Y_, _ = design(renamed, **answer)
    before, after = (clone(estimator).fit(*some) for some in (with_answer(estimator)[:2], (X_, Y_)))
    order = [list(after.classes_).index(OTHERS[label]) for label in before.classes_]
    found = after.predict_proba(X_)[:, order]
    assert_allclose(found, before.predict_proba(with_answer(estimator)[0]), atol=2e-3)
    tolerance = 1e-6 if estimator.process_noise is None else 1e-4
    assert after.score(X_, Y_) == pytest.approx(
        before.score(*with_answer(estimator)[:2]), abs=tolerance
    )


@pytest.mark.filterwarnings("ignore:.*worse than a policy:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("noise", "tolerance"), [(None, 1e-5), (0.05, 2e-3)])
@pytest.mark.parametrize("kind", [DNNRuleEstimator, RNNRuleEstimator])
def test_nor_do_they_change_what_a_network_learns_that_takes_choices_for_alike(
    kind, noise, tolerance
):
    """The optimizer's steps of initial weights, which are against the first choice's, would."""
    how = {**QUICK, "max_epochs": 15, "train_initial_weights": False, "initial_weights": "zeros"}
    how |= {} if noise is None else FIXED
    how["activation"] = "tanh"  # a filter's slopes are taken by small steps, perhaps over kinks
    rule = kind(mirror=True, process_noise=noise, lr=0.01, **how)
    renamed = design(TABLE.replace({"choice": OTHERS, "answer": OTHERS}), answer="answer")[:2]
    told = design(TABLE, answer="answer")[:2]
    before, after = (clone(rule).fit(*some) for some in (told, renamed))
    order = [list(after.classes_).index(OTHERS[label]) for label in before.classes_]
    p = before.predict_proba(told[0])
    assert p.std(0).min() > 0.02
    assert_allclose(after.predict_proba(renamed[0])[:, order], p, atol=tolerance)


def test_a_classifier_of_three_classes_is_scikit_learns():
    rule = ReinforceRuleEstimator(baseline=None).fit(X, Y)
    assert rule.classes_.tolist() == LABELS
    p, logits = rule.predict_proba(X), rule.decision_function(X)
    assert p.shape == logits.shape == (len(X), 3)
    assert_allclose(p.sum(1), 1)
    assert_allclose(np.log(p) - np.log(p).mean(1, keepdims=True), logits, atol=1e-12)
    assert (rule.predict(X) == rule.classes_[p.argmax(1)]).all()
    assert rule.score(X, Y) == pytest.approx(-log_loss(Y, p))
    assert rule.score(X, Y) > -np.log(3) + 0.1  # it learns
    again = pickle.loads(pickle.dumps(rule))
    assert (again.predict_proba(X) == p).all()


def test_folds_searches_and_scorers_work():
    rule, cv = ReinforceRuleEstimator(baseline=None), SubjectKFold(3)
    scores = cross_val_score(rule, X, Y, cv=cv)
    assert_allclose(cross_val_score(rule, X, Y, cv=cv, scoring="neg_log_loss"), scores)
    assert (cross_val_score(rule, X, Y, cv=cv, scoring="accuracy") > 0.45).all()
    p = cross_val_predict(rule, X, Y, cv=cv, method="predict_proba")  # which numbers the labels
    assert -log_loss(Y, p) == pytest.approx(scores.mean(), abs=0.05)
    grid = {"reinforceruleestimator__forgetting": [False, True]}
    rule = ReinforceRuleEstimator(baseline=None, unlearned=[f"choice_back_{c}" for c in LABELS])
    piped = make_pipeline(PolicyRegressors(win_stay=False, previous_stimulus=False), rule)
    search = GridSearchCV(piped, grid, cv=cv, error_score="raise").fit(X, Y)
    assert search.predict_proba(X).shape == (len(X), 3)


def test_initial_weights_are_given_a_row_a_choice():
    given = np.arange(6.0).reshape(2, 3) / 10
    rule = ReinforceRuleEstimator(initial_weights=given, train_initial_weights=False).fit(X, Y)
    assert_allclose(rule.initial_weights_, given)
    assert_allclose(rule.predict_weights(X).iloc[0], given.ravel())


def test_regressors_of_the_choice_before_leave_the_bias_alone():
    """Else the few first trials would tell it, and nobody would choose there what none did."""
    added = PolicyRegressors().fit_transform(X)
    back, stay = added.filter(like="choice_back"), added.filter(like="win_stay")
    assert back.shape[1] == stay.shape[1] == 3
    assert_allclose(back.sum(axis=1), 0, atol=1e-12)
    assert_allclose(stay.sum(axis=1), 0, atol=1e-12)
    chosen = X.filter(like="previous_choice_").to_numpy()
    assert (back.to_numpy().argmax(1) == chosen.argmax(1))[chosen.any(1)].all()
    assert (back[X.index.get_level_values("trial") == 0] == 0).all(axis=None)


def test_an_update_of_a_policy_with_regressors_is_that_of_a_first_trial():
    piped = make_pipeline(PolicyRegressors(), ReinforceRuleEstimator(baseline=None)).fit(X, Y)
    table = update_table(piped, X)
    of_back = table.filter(regex="^update_.*(_back|_stay)")
    assert of_back.shape[1] == 6 + len(STIMULI) and (of_back == 0).all(axis=None)
    assert (table[[f"update_{name}" for name in STIMULI]] != 0).any().all()


def test_weights_are_a_set_for_each_choice_but_the_first():
    rule = ReinforceRuleEstimator(baseline=None).fit(X, Y)
    weights = rule.predict_weights(X)
    assert weights.columns.names == ["choice", "weight"]
    assert weights["right"].columns.tolist() == [*STIMULI, "bias"]
    logits = np.column_stack([
        (weights[label] * np.column_stack([X[STIMULI], np.ones(len(X))])).sum(axis=1)
        for label in LABELS[1:]
    ])  # fmt: skip
    expected = np.log(rule.predict_proba(X))
    assert_allclose(logits, expected[:, 1:] - expected[:, :1], atol=1e-9)
    assert rule.initial_weights_.shape == (2, 3) and rule.learning_rate_.shape == (3,)
    start = rule.summary_.query("parameter == 'initial_weights'")
    assert start["side"].tolist() == 3 * ["middle"] + 3 * ["right"]


@pytest.mark.parametrize("kind", [DNNRuleEstimator, RNNRuleEstimator, ChoiceRNNClassifier])
def test_networks_take_three_choices_and_are_stored(kind):
    told = design(TABLE, answer="answer")
    how = {name: value for name, value in QUICK.items() if name in kind().get_params()}
    for X_, y, _ in (told, (X, Y, GROUPS)):
        global_seeds = torch.get_rng_state()
        network = kind(**how).fit(X_, y)
        assert torch.equal(torch.get_rng_state(), global_seeds)
        p = network.predict_proba(X_)
        assert p.shape == (len(X_), 3) and np.isfinite(p).all()
        assert_allclose(pickle.loads(pickle.dumps(network)).predict_proba(X_), p, atol=1e-12)
        assert network.mirrored_ is (kind is not ChoiceRNNClassifier)  # which has no weights


@pytest.mark.filterwarnings("ignore:.*worse than a policy:sklearn.exceptions.ConvergenceWarning")
def test_a_network_is_told_that_choices_are_alike_where_they_are():
    rule = ReinforceRule(2 * K, None, learning_rate=0.3, side_specific=True, n_choices=3)
    rule.root_learning_rate.data[1:] = 0  # of two choices, nothing is learned
    one_sided = design(make_trials(rule=rule.double()), answer="answer")[:2]
    network = DNNRuleEstimator(n_ensemble=1, max_epochs=1, random_state=0)
    mirrored = [clone(network).fit(*some).mirrored_ for some in (one_sided, (X, Y))]
    assert mirrored == [False, True]


def test_a_network_without_answers_does_not_read_them():
    """An error does not tell which of the others was right."""
    rule = DNNRuleEstimator(**QUICK).fit(X, Y)
    assert not rule.net_.module_.rule.uses_answer
    told = design(TABLE, answer="answer")
    assert DNNRuleEstimator(**QUICK).fit(*told[:2]).net_.module_.rule.uses_answer


# -------------------------------------------------------------------------- rules and engines


def alike(rule):
    assert rule.make_symmetric(0)
    return rule


@pytest.mark.parametrize(
    "make",
    [
        lambda: QLearningRule(4, n_choices=3, learning_rate=0.1, side_specific=True),
        lambda: DNNRule(4, hidden_sizes=8, n_choices=3),
        lambda: alike(DNNRule(4, hidden_sizes=8, n_choices=3)),
        lambda: alike(RNNRule(4, 4, 8, n_choices=3)),
    ],
    ids=["Q-learning", "DNN", "DNN, alike", "RNN, alike"],
)
def test_all_that_is_checked_of_a_rule_holds(make):
    torch.manual_seed(0)
    assert " of 3 choices passes 19 checks" in str(check_rule(make()))


def test_what_is_done_around_a_rule_knows_how_much_it_remembers_of_each_choice():
    rule = PartialRule(RNNRule(4, 5, n_choices=3), [0, 2], 6)
    noisy = StandardizedRule(
        FilteredRule(rule, ProcessNoise(3, 0.1, 0.0, 0.3)), Units(torch.ones(3), torch.ones(()))
    )
    of_covariance = noisy.memory_size - 5
    assert noisy.make_symmetric(2)
    assert (rule.memory_size, noisy.memory_size) == (15, of_covariance + 15)
    assert noisy.initial_memory(1, torch.zeros(1)).shape == (1, noisy.memory_size)


def test_what_an_ensemble_remembers_of_each_choice_is_simulated_and_looked_at():
    how = {"memory_size": 4, "hidden_sizes": 8, "max_epochs": 1, "n_ensemble": 2, "mirror": True}
    how |= {"process_noise": 0.05, **FIXED, "unlearned": ["bias"], "random_state": 0}
    rule = RNNRuleEstimator(**how).fit(X, Y)
    again = pickle.loads(pickle.dumps(rule))
    assert_allclose(again.predict_proba(X), rule.predict_proba(X), atol=1e-12)
    updates = update_table(rule, X)
    assert (updates["update_s0"] != 0).any() and (updates["update_bias"] == 0).all()
    assert set(simulate(rule, TABLE, random_state=0)["choice"]) == set(LABELS)


RULES = {
    "REINFORCE": ReinforceRule(9, "free", learning_rate=0.2, n_choices=4),
    "RNN": RNNRule(9, 4, 8, n_choices=4),
    "DNN, alike": alike(DNNRule(9, (8, 4), "tanh", n_choices=4)),
    "RNN, alike": alike(RNNRule(9, 4, 8, "tanh", n_choices=4)),
}


@pytest.mark.parametrize("lapses", [None, [0.02, 0.1, 0.05, 0.0]])
@pytest.mark.parametrize("name", RULES)
def test_engines_agree_where_a_filter_is_too_large_to_be_one_with_its_rule(name, lapses):
    rule = RULES[name].double()
    rule = PartialRule(rule, [0, 2, 3], 12)  # of the second feature, nothing is learned
    odds = None if lapses is None else Lapses(lapses, 4)
    noise = ProcessNoise(4, [0.1, 0.2, 0.05, 0.1], 0.3, 0.5)
    rule = FilteredRule(rule, noise.requires_grad_(), odds and odds.requires_grad_()).double()
    trials, observed = random_trials(rule.policy, n_features=4, n_trials=12)
    assert_engines_agree(rule, trials, observed)


def assert_engines_agree(rule, trials, observed, tolerance=1e-8, **how):
    found = []
    for engine in ("loop", "fused"):
        start = torch.full((4, rule.n_weights), 0.1).to(trials.reward).requires_grad_()
        path = unroll(rule, start, trials, observed, engine=engine, **how)
        total = (path * torch.linspace(1, 2, path[0].numel()).view_as(path[0])).sum()
        wanted = [start, *rule.parameters()]
        found.append([path, *torch.autograd.grad(total, wanted, allow_unused=True)])
    for loop, fused in zip(*found, strict=True):
        if loop is None:
            assert fused is None
        else:
            assert (fused - loop).norm() <= tolerance * (1 + loop.norm())


@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 1e-3)], ids=str
)
@pytest.mark.parametrize("kind", [DNNRule, RNNRule])
def test_engines_agree_on_all_that_a_network_may_be_told_of_choices_alike(
    kind, dtype, tolerance, noise
):
    torch.manual_seed(0)
    rule = kind(6, hidden_sizes=8, activation="tanh", n_effects=2, n_choices=3)
    rule.expect(unknown_rewards=True, misses=True)
    rule, rule.rate_column = alike(rule), 2
    rule.scale.data.fill_(0.1)
    if noise:
        rule = FilteredRule(rule, ProcessNoise(K, *3 * ["learned"]))
    n_trials = 20 if noise else 130  # which are two blocks of trials, and two more
    trials, observed = random_trials(THREE, n_trials=n_trials)
    known, misses = torch.rand(4, n_trials) < 0.8, torch.randint(3, (4, n_trials))
    told = {"context": torch.randn(4, 3) / 2, "reward_known": known, "misses": misses}
    trials = replace(trials, **told, reward=known * trials.reward).map(lambda each: each.to(dtype))
    assert_engines_agree(rule.to(dtype), trials, observed, tolerance, truncation=15)


@pytest.mark.parametrize("kind", [DNNRule, RNNRule])
def test_a_network_that_takes_choices_for_alike_chooses_the_same_by_any_names(kind):
    torch.manual_seed(0)
    rule, names = alike(kind(6, hidden_sizes=8, n_choices=3)).double(), torch.tensor([2, 0, 1])
    rule.scale.data.fill_(3.0)
    trials, observed = random_trials(THREE)
    called = {name: names[getattr(trials, name).long()].double() for name in ("choice", "answer")}
    found = []
    for each in (trials, replace(trials, **called)):
        path = unroll(rule, torch.zeros(4, 6).double(), each, observed)
        found.append(THREE.of_all(THREE.logits(path, each.features)).softmax(-1))
    assert found[0].std() > 0.05
    assert_allclose(found[1][..., names].detach(), found[0].detach(), atol=1e-10)


# ------------------------------------------------------------------------------ the filter


def test_a_choice_tells_what_bayes_rule_does():
    """Mean and covariance after a choice, beside very many weights drawn before it."""
    generator = torch.Generator().manual_seed(0)
    mean = torch.tensor([[0.5, -0.2, -0.4, 0.3]], dtype=torch.float64)
    root = 0.3 * torch.randn(4, 4, generator=generator, dtype=torch.float64)
    covariance, x = (root @ root.mT)[None], torch.tensor([[1.0, 0.6]], dtype=torch.float64)
    drawn = mean + torch.randn(400_000, 4, generator=generator, dtype=torch.float64) @ root.mT
    for choice in range(3):
        made = torch.tensor([float(choice)], dtype=torch.float64)
        weight = THREE.log_probability(THREE.logits(drawn, x), made).exp()
        expected = (weight[:, None] * drawn).sum(0) / weight.sum()
        apart = drawn - expected
        spread = (weight[:, None] * apart).mT @ apart / weight.sum()
        found, left = observe(mean, covariance, x, made, policy=THREE)
        moved, expected_move = found[0] - mean[0], expected - mean[0]
        assert (moved - expected_move).norm() < 0.1 * expected_move.norm()
        shrunk, expected_loss = covariance[0] - left[0], covariance[0] - spread
        assert (shrunk - expected_loss).norm() < 0.2 * expected_loss.norm()
        logits = filtered_logit(mean, pack(covariance), x, THREE)
        p = THREE.log_probability(logits, made).exp().item()
        assert p == pytest.approx(weight.mean().item(), abs=0.006)


def test_one_of_many_is_one_of_two_where_there_are_two():
    """The general equation, given an axis that two choices leave out, beside that of two."""
    generator = torch.Generator().manual_seed(0)

    class Axis(Policy):
        def logits(self, weights, features):
            return super().logits(weights, features)[..., None]

        def one_of_all(self, choice):
            return torch.stack([1 - choice, choice], -1)

    mean = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    root = torch.randn(5, 3, 3, generator=generator, dtype=torch.float64)
    x = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    choice, odds = torch.tensor([0.0, 1, 1, 0, 1]).double(), torch.tensor([0.1, 0.3]).double()
    for lapses in (None, odds):
        seen = mean, root @ root.mT, x, choice, lapses
        for found, expected in zip(observe_one_of_many(Axis(), *seen), observe(*seen), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_the_filter_agrees_with_particles():
    """With 60,000 of them, and choices by the policy, it was within .0010 and .0006 of them."""
    n_particles, rate, noise = 4000, 0.2, 0.05
    rule = ReinforceRule(6, None, learning_rate=rate, n_choices=3).double()
    filtered = FilteredRule(rule, ProcessNoise(3, noise, 0.0, 0.3)).double()
    trials, observed = random_trials(THREE, n_trials=50)
    start = torch.zeros(4, 6, dtype=torch.float64)
    with torch.no_grad():
        path = unroll(filtered, start, trials, observed)
        logits = filtered_logit(path[..., :6], path[..., 6:], trials.features, THREE)
        by_filter = THREE.log_probability(logits, trials.choice)
        by_particles = particles(rule, trials, n_particles, noise, 0.3)
    assert by_filter.mean().item() == pytest.approx(by_particles.mean().item(), abs=0.003)


def particles(rule, trials, n_particles, noise, initial_std):
    """Return log P(choice) before each choice, (N, T), by so many weights of each subject."""
    generator = torch.Generator().manual_seed(1)
    n_subjects, n_trials = trials.choice.shape
    spread = unpack(FilteredRule(rule, ProcessNoise(3, 0, 0, 1)).initial_memory(1, torch.zeros(1)))
    root = torch.linalg.cholesky(spread[0].double())

    def drift(std):
        shape = n_subjects, n_particles, rule.n_weights
        return std * torch.randn(shape, generator=generator, dtype=torch.float64) @ root.mT

    weights, found = drift(initial_std), []
    for t in range(n_trials):
        trial = trials.at(t).of_subjects(torch.arange(n_subjects).repeat_interleave(n_particles))
        flat = weights.flatten(0, 1)
        likelihood = THREE.log_probability(THREE.logits(flat, trial.features), trial.choice).exp()
        likelihood = likelihood.view(n_subjects, n_particles)
        found.append(likelihood.mean(1).log())
        drawn = torch.multinomial(likelihood, n_particles, replacement=True, generator=generator)
        weights = weights.gather(1, drawn[..., None].expand_as(weights))
        flat = weights.flatten(0, 1)
        update = rule(flat, trial, flat.new_zeros(len(flat), 0))[0]
        weights = weights + update.view_as(weights) + drift(noise)
    return torch.stack(found, 1)


# ------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("estimator", "sentence"),
    [
        (ReinforceRuleEstimator(initial_weights=[0.0, 0, 0]), "should be 2 rows, one for each"),
        (ReinforceRuleEstimator(lapses=[0.1, 0.1]), "one finite number or"),
        (PredictMaxRuleEstimator(), "an error does not tell which was right"),
        (ReinforceRuleEstimator(subject_effects=["initial_weights"]), "should name parameters"),
    ],
)
def test_what_three_choices_do_not_allow_is_one_sentence(estimator, sentence):
    with pytest.raises(ValueError, match=sentence):
        estimator.fit(X, Y)


def test_sides_of_an_array_without_history_are_not_swapped():
    plain, y = np.random.RandomState(0).normal(size=(60, 2)), np.arange(60) % 3
    with (
        pytest.warns(UserWarning, match="no subject identity"),
        pytest.raises(ValueError, match="more than two choices are no sides"),
    ):
        ChoiceRNNClassifier(mirror=True).fit(plain, y)


def test_what_is_remembered_of_three_choices_is_compiled_of_three():
    assert GivenWeightsRule(QLearningRule(4, n_choices=3)).policy.n_choices == 3


def test_a_rule_of_two_choices_says_so():
    class TwoChoices(ReinforceRuleEstimator):
        def make_rule(self, n_weights):
            return ReinforceRule(n_weights, None)

    with pytest.raises(TypeError, match=r"make_rule should take \(self, n_weights, n_choices\)"):
        TwoChoices().fit(X, Y)

    class Forgets(ReinforceRuleEstimator):
        def make_rule(self, n_weights, n_choices=2):
            return ReinforceRule(n_weights, None)

    with pytest.raises(TypeError, match=r"super\(\).__init__\(n_weights, n_choices=n_choices\)"):
        Forgets().fit(X, Y)
    with pytest.raises(ValueError, match="a multiple of 2"):
        LearningRule(3, n_choices=3)
