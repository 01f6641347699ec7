"""The RLWM benchmark: people as a design, and Q-learning as a loop without the package."""

import sys

import numpy as np
import pandas as pd
import pytest
from helpers import BRIEFLY_TRAINED
from test_recovery_benchmark import BENCHMARKS

import sklearn_learnrule as lr

pytestmark = BRIEFLY_TRAINED


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import rlwm

    return rlwm


@pytest.fixture
def path(tmp_path):
    """A file as Collins's, of four people who err at random, and miss some trials."""
    rng = np.random.RandomState(0)
    n_trials = 160  # of a person, in blocks of 40
    picture, correct_action = rng.randint(1, 7, 4 * n_trials), rng.randint(1, 4, (16, 7))
    block = np.arange(4 * n_trials) // 40
    right = correct_action[block, picture]
    drawn = rng.choice([-1, 1, 2, 3], len(picture), p=[0.1, 0.3, 0.3, 0.3])
    action = np.where((rng.random_sample(len(picture)) < 0.6) & (drawn > 0), right, drawn)
    table = pd.DataFrame(
        {
            "subject": np.repeat(["E1_1", "E1_2", "E3_1", "E3_2"], n_trials),
            "block": block % 4 + 1,
            "set_size": 6,
            "stimulus": picture,
            "correct_action": right,
            "action": action.astype(float),
            "correct": np.where(action < 0, -1.0, action == right),
        }
    )
    table.to_csv(file := tmp_path / "people.csv.gz", index=False)
    return file


def test_misses_are_counted_and_each_block_begins_anew(script, path):
    trials = script.read_people(path)
    X, y = script.make_people_design(trials)
    assert (len(X), len(y)) == 2 * (int((trials["action"] > 0).sum()),)
    assert X["previous_misses"].sum() > 0.9 * (trials["action"] < 0).sum() > 0
    assert X.index.get_level_values("restart").nunique() == 4
    assert (X[script.PICTURES].sum(axis=1) == 1).all()
    assert not [name for name in X if name.startswith("previous_answer")]
    assert script.read_people(path, 2)["subject"].unique().tolist() == ["E1_1", "E3_2"]


@pytest.mark.parametrize("forgetting", [False, True])
def test_the_loop_and_the_package_agree_at_equal_parameters(script, path, forgetting):
    trials = script.read_people(path)
    X, y = script.make_people_design(trials)
    rule = lr.QLearningRuleEstimator(
        forgetting=forgetting, unlearned=["bias"], train_initial_weights=False
    ).fit(X, y)
    beta, fades = rule.inverse_temperature_, rule.forgetting_ if forgetting else 0.0
    loop = script.loop_log_likelihood(trials, rule.learning_rate_, beta, fades)
    p = rule.predict_proba(X)[np.arange(len(y)), y.map([*rule.classes_].index)]
    np.testing.assert_allclose(loop, np.log(p), rtol=0, atol=1e-6)
    assert loop.mean() > script.CHANCE + 0.1


def test_copies_of_people_are_the_same_but_for_names_of_pictures_and_actions(script, path):
    """So the loop, to which names mean nothing, says the same of them."""
    trials = script.read_people(path)
    copies = script.dealt_anew(trials)
    changed = copies.assign(stimulus=copies[script.PICTURES].to_numpy().argmax(axis=1) + 1)
    own, theirs = (script.loop_log_likelihood(t, 0.3, 4.0, 0.1) for t in (trials, changed))
    np.testing.assert_allclose(theirs.reshape(script.N_COPIES, -1), [own] * script.N_COPIES)
    assert len(set(copies["subject"])) == script.N_COPIES * 4
    assert (changed["stimulus"].iloc[: len(trials)] != trials["stimulus"]).mean() > 0.5


def test_the_table_has_the_models_on_people_held_out(script, path, monkeypatch, capsys):
    quick = lr.RNNRuleEstimator(n_ensemble=1, max_epochs=1, hidden_sizes=4, memory_size=2)
    monkeypatch.setitem(script.RULES, "RNN", quick.set_params(mirror=False, random_state=0))
    monkeypatch.setattr(script, "N_FOLDS", 2)
    models = [script.LOOP, "constant", "Q-learning", "RNN"]
    monkeypatch.setattr(sys, "argv", ["rlwm.py", str(path), "--models", *models])
    script.main()
    rows = [line.split("|")[1:3] for line in capsys.readouterr().out.splitlines() if "|" in line]
    scores = {name.strip(): float(score) for name, score in rows[2:]}
    assert [*scores] == models
    assert scores[script.LOOP] > scores["Q-learning"] > scores["constant"]
