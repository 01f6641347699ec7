"""Which estimators the words of a command ask for."""

import pytest
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.command_line import choose_rules, make_parser


def rules_of(*words):
    return choose_rules(make_parser().parse_args(["compare", "mice.csv", *words]))


def test_networks_are_trained_briefly_unless_in_full():
    brief, full, drifting = rules_of(), rules_of("--full"), rules_of("--drift")
    assert list(brief) == list(full) == ["constant", "REINFORCE", "DNN", "RNN"]
    assert repr(full["DNN"]) == repr(lr.DNNRuleEstimator(random_state=0))
    assert brief["RNN"].get_params()["max_epochs"] == 60
    one = lr.RNNRuleEstimator(random_state=0, n_ensemble=1, process_noise="learned")
    assert repr(drifting["RNN"]) == repr(one)


@pytest.mark.parametrize("drift", [False, True])
def test_habits_and_drift_are_those_of_python(drift):
    rules = rules_of("--rules", "REINFORCE", "DNN", "--full", "--habits", *["--drift"] * drift)
    how = {"unlearned": "habits", "process_noise": "learned" if drift else None}
    expected = {
        "REINFORCE": lr.ReinforceRuleEstimator(**how),
        "DNN": lr.DNNRuleEstimator(**how, random_state=0),
    }
    for name, rule in expected.items():
        pipeline = make_pipeline(lr.PolicyRegressors(trace_decay=0.75), rule)
        assert repr(rules[name]) == repr(pipeline)
