"""The picture of which rule each animal follows."""

import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from rule_scores import cohort, scores_of

import sklearn_learnrule as lr
from sklearn_learnrule.plotting import AnimalRulesDisplay


@pytest.fixture
def drawn():
    return AnimalRulesDisplay.from_scores(
        scores_of(cohort(np.random.default_rng(0), [0, 1, 0, 2, 0, 1], 5.0, n_rules=3))
    )


def test_a_display_shows_both_tables_with_each_rules_animals_beside_each_other(drawn):
    shares, posteriors = drawn.axes_
    rules = [label.get_text() for label in shares.get_yticklabels()]
    assert rules == list(drawn.population.index) == ["a", "b", "c"]
    widths = [bar.get_width() for bar in shares.patches]
    np.testing.assert_allclose(widths, drawn.population["expected_share"])
    (whiskers,) = shares.collections
    ends = [whisker[:, 0] for whisker in whiskers.get_segments()]
    np.testing.assert_allclose(ends, drawn.population[["lower", "upper"]])
    animals = [label.get_text() for label in posteriors.get_xticklabels()]
    assert sorted(animals) == sorted(drawn.posterior.index)
    shown = posteriors.images[0].get_array()
    np.testing.assert_allclose(shown, drawn.posterior.loc[animals, rules].T)
    assert shown.argmax(0).tolist() == [0, 0, 0, 1, 1, 2]
    assert (np.diff(shown.max(0))[[0, 1, 3]] <= 0).all()


def test_what_was_found_is_no_table_of_scores_and_how_to_draw_it_is_told():
    told = (
        "takes the table of compare_rules; what animal_rules found is drawn by AnimalRulesDisplay("
    )
    with pytest.raises(TypeError, match=re.escape(told)):
        AnimalRulesDisplay.from_scores(lr.animal_rules(scores_of([[0.0, 1.0], [1.0, 0.0]])))


def test_many_animals_are_counted_and_not_named(drawn):
    many = pd.concat([drawn.posterior] * 20, ignore_index=True)
    posteriors = AnimalRulesDisplay(many, drawn.population).plot().axes_[1]
    assert posteriors.get_xlabel() == "120 animals" and not posteriors.get_xticklabels()


@pytest.mark.parametrize(("millimetres", "n_named"), [(85, 0), (180, 12)])
def test_animals_are_named_where_given_axes_have_the_room(millimetres, n_named):
    nats = cohort(np.random.default_rng(0), [0] * 8 + [1] * 4, 5.0)
    figure, axes = plt.subplots(1, 2, figsize=(millimetres / 25.4, 2.0), layout="constrained")
    display = AnimalRulesDisplay.from_scores(scores_of(nats), ax=axes)
    assert len(display.axes_[1].get_xticklabels()) == n_named
    figure.canvas.draw()
    box = figure.get_tightbbox()
    assert min(box.x0, box.y0) >= -1e-6 and (box.max <= figure.get_size_inches() + 1e-6).all()
