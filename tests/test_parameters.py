"""The parameters: the rule's own come first, wherever they are told, and there are no others."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import dataclass, fields, is_dataclass

import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.training.settings import TrainingSettings
from sklearn_learnrule.utils.parameters import constraints

ESTIMATORS = [
    getattr(lr, name) for name in lr.__all__ if name.endswith(("RuleEstimator", "Classifier"))
]
INHERITED = {
    lr.DNNRuleEstimator: ["hidden_sizes", "activation"],
    lr.RNNRuleEstimator: ["hidden_sizes", "activation"],
}
GROUPS = ["Weights", "Noise", "Individuals", "Training", "Training of networks"]
NETWORKS = [lr.DNNRuleEstimator, lr.RNNRuleEstimator, lr.ChoiceRNNClassifier]
OF_NETWORKS = ["n_ensemble", "weight_decay", "gradient_clip_value", "average", "mirror"]

each_estimator = pytest.mark.parametrize("kind", ESTIMATORS, ids=lambda kind: kind.__name__)


def signature(kind) -> list[str]:
    return list(inspect.signature(kind).parameters)


def described(kind) -> list[str]:
    """The lines of a docstring's parameters that name some, or head a group."""
    section = kind.__doc__.split("Parameters\n----------\n")[1]
    section = re.split(r"\n\n\w[\w ]*\n---", section)[0]
    return [line for line in section.split("\n") if re.match(r"\w", line)]


@each_estimator
def test_docstring_signature_and_constraints_tell_the_same_parameters_in_the_same_order(kind):
    described_names = [
        name
        for line in described(kind)
        if " : " in line
        for name in line.partition(" : ")[0].split(", ")
    ]
    assert described_names == signature(kind)
    assert set(signature(kind)) == {field.name for field in fields(kind)}
    assert list(kind().get_params()) == signature(kind)
    if kind is not lr.BaseRuleEstimator:
        assert list(constraints(kind)) == signature(kind)
    known = {*signature(kind), *(field.name for field in fields(TrainingSettings))}
    for base in kind.__mro__:
        assert set(vars(base).get("_parameter_constraints", {})) <= known


@each_estimator
def test_the_rules_own_parameters_come_first(kind):
    of_bases = {
        field.name for base in filter(is_dataclass, kind.__mro__[1:]) for field in fields(base)
    }
    declared = [name for name in inspect.get_annotations(kind) if name in signature(kind)]
    own = [name for name in declared if name not in of_bases] + INHERITED.get(kind, [])
    assert signature(kind)[: len(own)] == own


def test_groups_are_rule_weights_noise_and_training():
    names = described(lr.RNNRuleEstimator)
    assert [name for name in names if " : " not in name] == GROUPS
    heads = [line.partition(" : ")[0] for line in names]
    first = [heads[heads.index(group) + 1] for group in GROUPS]
    assert first == [
        "initial_weights",
        "process_noise",
        "subject_effects",
        "optimizer",
        "n_ensemble",
    ]
    assert heads[:2] == ["memory_size", "hidden_sizes"]


@each_estimator
def test_a_described_default_is_the_default(kind):
    for line in described(kind):
        names, _, default = line.partition(" : ")
        if default:
            told = ast.literal_eval(default.rpartition("default=")[2])
            for name in names.split(", "):
                assert inspect.signature(kind).parameters[name].default == told


def test_a_repr_tells_what_is_special_in_the_order_of_the_signature():
    rule = lr.RNNRuleEstimator(max_epochs=3, hidden_sizes=(4,), memory_size=2, mirror=False)
    told = "memory_size=2, hidden_sizes=(4,), max_epochs=3, mirror=False"
    assert repr(rule) == str(rule) == f"RNNRuleEstimator({told})"
    assert repr(lr.ConstantRuleEstimator()) == "ConstantRuleEstimator()"
    assert repr(eval(repr(rule), vars(lr))) == repr(rule)
    with config_context(print_changed_only=False):
        assert repr(rule).startswith(
            "RNNRuleEstimator(memory_size=2, hidden_sizes=(4,), activation"
        )


def test_a_table_of_parameters_in_a_notebook_has_that_order_as_well():
    html = lr.RNNRuleEstimator(memory_size=2)._repr_html_()
    assert -1 < html.index("memory_size") < html.index("hidden_sizes") < html.index("average")


class OwnRuleEstimator(lr.ReinforceRuleEstimator):
    """Adds parameters to REINFORCE.

    Parameters
    ----------
    taste : str, default="sweet"
    name : str, default="mine"
    n_ensemble : int, default=2
    {shared}
    """

    taste: str = "sweet"
    name: str = "mine"  # which the settings have, too
    n_ensemble: int = 2
    max_epochs: int | None = 7


def test_a_subclass_needs_no_decorator_and_bears_one():
    decorated = dataclass(kw_only=True, repr=False, eq=False)(OwnRuleEstimator)
    for kind in (OwnRuleEstimator, decorated):
        assert signature(kind)[:4] == ["taste", "name", "n_ensemble", "baseline"]
        assert signature(kind)[4:] == signature(lr.ReinforceRuleEstimator)[1:]
        assert "max_epochs : int or None, default=7" in kind.__doc__
        assert repr(clone(kind(taste="salty", max_epochs=3))) == (
            "OwnRuleEstimator(taste='salty', max_epochs=3)"
        )


@each_estimator
def test_what_is_no_parameter_is_no_attribute(kind):
    """So that it cannot be taken for one, and lost by ``clone``."""
    absent = {*OF_NETWORKS} - {*signature(kind)}
    assert absent == (set() if kind in NETWORKS else {*OF_NETWORKS})
    assert not any(hasattr(kind(), name) for name in (*absent, "mirrored_"))
    for name in absent:
        with pytest.raises(ValueError, match=f"Invalid parameter '{name}'"):
            kind().set_params(**{name: 2})


def test_training_settings_are_an_estimators_parameters_and_plain_where_it_has_none():
    plain = TrainingSettings.of(lr.ReinforceRuleEstimator(tol=0.5))
    assert (plain.name, plain.tol, plain.optimizer) == ("ReinforceRuleEstimator", 0.5, "lbfgs")
    assert [getattr(plain, name) for name in OF_NETWORKS] == [1, 0.0, np.inf, False, False]
    network = lr.DNNRuleEstimator(weight_decay=0.5)
    settings = TrainingSettings.of(network)
    assert [getattr(settings, name) for name in OF_NETWORKS] == [3, 0.5, 0.1, True, "auto"]
    assert settings.batch_size == network.batch_size == 2


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_estimator_of_ones_own_may_ask_for_an_ensemble():
    X, y, _ = lr.make_design(make_learning_cohort(3, 30, random_state=0))
    assert len(clone(OwnRuleEstimator()).fit(X, y).nets_) == 2
    assert len(lr.ReinforceRuleEstimator(max_epochs=1).fit(X, y).nets_) == 1
