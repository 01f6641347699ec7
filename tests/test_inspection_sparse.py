"""A rule as an equation: the true terms where they are known, and nothing that is not there."""

import numpy as np
import pytest
from drawn import curves
from helpers import BRIEFLY_TRAINED
from inspection_rules import ONE_STEP
from matplotlib.colors import same_color
from numpy.testing import assert_allclose
from sklearn.pipeline import make_pipeline

import sklearn_learnrule as lr
from sklearn_learnrule.datasets import make_learning_cohort
from sklearn_learnrule.estimators.base import BaseRuleEstimator
from sklearn_learnrule.inspection import bootstrap_fits, nearest_rules, sparse_rule
from sklearn_learnrule.plotting import EquationDisplay
from sklearn_learnrule.plotting._tables import weight_label
from sklearn_learnrule.rules import ReinforceRule

pytestmark = BRIEFLY_TRAINED

NAMES = ["stimulus", "bias"]


@pytest.fixture(scope="module")
def cohort():
    return lr.make_design(make_learning_cohort(8, 300, random_state=0))[:2]


@pytest.fixture(scope="module")
def rule(cohort):
    return lr.ReinforceRuleEstimator().fit(*cohort)


def equation(sparse, weight):
    """The terms of a weight, with their coefficients."""
    terms = sparse.terms[sparse.terms["weight"] == weight]
    return dict(zip(terms["term"], terms["coefficient"], strict=True))


# ------------------------------------------------------------------------ known rules


def reinforce(rule, k, x):
    rate, baseline = rule.learning_rate_[k], rule.baseline_[k]
    return {f"r (y - p){x}": rate, f"(y - p){x}": -rate * baseline}


def of_sides(term, first, second):
    """A rate after each choice is a mean rate, and half of the difference times the choice."""
    return {term: (second + first) / 2, f"c {term}": (second - first) / 2}


def sided_reinforce(rule, k, x):
    first, second = rule.learning_rate_[:, k]
    rates = of_sides(f"(y - p){x}", first, second)
    return {f"r {term}": rate for term, rate in rates.items()}


def sided_predict_max(rule, k, x):
    return of_sides(f"(z - p){x}", *rule.learning_rate_[:, k])


def predict_max(rule, k, x):
    decay = {f"w_{NAMES[k]}": -rule.forgetting_[k]}
    return {f"(z - p){x}": rule.learning_rate_[k]} | decay


def reward_max(rule, k, x):
    return {f"(2z - 1) p (1 - p){x}": 2 * rule.learning_rate_[k]}


def eligibility(rule, k, x):
    before = f"r (y_prev - p_prev){x}" + ("_prev" if x else "")
    return dict.fromkeys((f"r (y - p){x}", before), rule.learning_rate_[k])


KNOWN = {
    "REINFORCE": (lr.ReinforceRuleEstimator(), reinforce),
    "PredictMax, forgetting": (lr.PredictMaxRuleEstimator(forgetting=True), predict_max),
    "RewardMax": (lr.RewardMaxRuleEstimator(), reward_max),
    "REINFORCE, sides": (
        lr.ReinforceRuleEstimator(baseline=None, side_specific=True),
        sided_reinforce,
    ),
    "PredictMax, sides": (lr.PredictMaxRuleEstimator(side_specific=True), sided_predict_max),
    "eligibility": (lr.EligibilityRuleEstimator(window=1), eligibility),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_true_terms_and_their_coefficients_are_found(cohort, name):
    estimator, expected = KNOWN[name]
    fitted = estimator.fit(*cohort)
    sparse = sparse_rule(fitted, cohort[0])
    for k, (weight, x) in enumerate(zip(NAMES, (" x_stimulus", ""), strict=True)):
        found, true = equation(sparse, weight), expected(fitted, k, x)
        true = {term: value for term, value in true.items() if abs(value) > 1e-6}
        assert {term for term in found if abs(found[term]) > 1e-6} == set(true)
        assert_allclose([found[term] for term in true], list(true.values()), rtol=1e-4)
        path = sparse.path[sparse.path["weight"] == weight]
        assert path["variance_explained"].iloc[-1] == pytest.approx(1, abs=1e-6)
    assert (sparse.terms["selected"] == 1).all()


class HalfwayEstimator(BaseRuleEstimator):
    """REINFORCE with a baseline of a half."""

    def make_rule(self, n_weights):
        return ReinforceRule(n_weights, "free", learning_rate=0.02, initial_baseline=0.5)


def test_two_true_terms_are_not_lost_to_one_that_is_nearer_than_either(cohort):
    X, y = cohort
    fitted = HalfwayEstimator(**ONE_STEP).fit(X, y)
    one = equation(sparse_rule(fitted, X, n_terms=1), "bias")
    assert not set(one) & {"r (y - p)", "(y - p)"}
    two = equation(sparse_rule(fitted, X), "bias")
    assert set(two) == {"r (y - p)", "(y - p)"}
    assert two["r (y - p)"] == pytest.approx(0.02, rel=0.02)
    assert two["(y - p)"] == pytest.approx(-0.01, rel=0.02)


def test_a_weight_that_no_trial_changes_has_no_terms(cohort):
    X, y = cohort
    sparse = sparse_rule(lr.ConstantRuleEstimator().fit(X, y), X)
    assert str(sparse) == "dw_stimulus = 0\ndw_bias = 0"
    assert sparse.terms.empty and sparse.path["variance_explained"].isna().all()


# --------------------------------------------------------------------- what is inferred


def test_a_dnn_fitted_to_reinforce_is_led_by_the_terms_of_reinforce():
    true = ReinforceRule(2, "free", learning_rate=0.02, initial_baseline=-1.0)
    X, y, _ = lr.make_design(make_learning_cohort(12, 2000, rule=true, random_state=0))
    dnn = lr.DNNRuleEstimator(n_ensemble=1, mirror=True, random_state=0).fit(X, y)
    two = sparse_rule(dnn, X, n_terms=2)
    found = equation(two, "stimulus")
    assert set(found) == {"r (y - p) x_stimulus", "(y - p) x_stimulus"}
    assert 0.01 < found["r (y - p) x_stimulus"] < 0.03
    assert 0.002 < found["(y - p) x_stimulus"] < 0.03
    path = two.path[two.path["weight"] == "stimulus"].set_index("n_terms")
    assert path["variance_explained"][2] > 0.9
    nearest = nearest_rules(dnn, X).query("rule == 'REINFORCE' and weight == 'stimulus'")
    assert path["variance_explained"][2] == pytest.approx(nearest["r2"].item(), abs=0.01)


def test_a_dnn_that_saw_much_learning_has_the_terms_of_reinforce_for_the_bias():
    true = ReinforceRule(2, "free", learning_rate=0.3, initial_baseline=-0.3)
    start, contrasts = [-3.0, 0.0], ((1.0, 0.25, 0.125, 0.0625, 0.03),)
    how = {"rule": true, "initial_weights": start, "curriculum": contrasts, "random_state": 0}
    X, y, _ = lr.make_design(make_learning_cohort(600, 80, **how))
    training = {"batch_size": 25, "lr": 0.02, "max_epochs": 10, "early_stopping": False}
    options = {"session_input": False, "n_ensemble": 1, "mirror": False, "random_state": 0}
    dnn = lr.DNNRuleEstimator(initial_weights=start, **training, **options).fit(X, y)
    found = equation(sparse_rule(dnn, X, n_terms=2), "bias")
    assert set(found) == {"r (y - p)", "(y - p)"}
    assert found["r (y - p)"] == pytest.approx(0.3, rel=0.25)
    assert 0.03 < found["(y - p)"] < 0.15  # the truth: .09


# --------------------------------------------------------------------------- the tables


@pytest.fixture(scope="module")
def dnn(cohort):
    how = {"max_epochs": 30, "mirror": False, "n_ensemble": 1, "random_state": 0}
    return lr.DNNRuleEstimator(**how).fit(*cohort)


def test_coefficients_and_what_they_explain_are_those_of_least_squares(cohort, dnn):
    X, _ = cohort
    sparse = sparse_rule(dnn, X, n_terms=3)
    told = sparse.predict(dnn, X)
    assert len(told) == 2 * (len(X) - 8)  # nobody's last outcome is known
    for weight in NAMES:
        here = told[told["weight"] == weight]
        left = here["update"] - here["predicted"]
        explained = 1 - (left**2).sum() / ((here["update"] - here["update"].mean()) ** 2).sum()
        path = sparse.path[sparse.path["weight"] == weight].set_index("n_terms")
        held_out, error = path.loc[3, ["variance_explained", "standard_error"]]
        assert held_out < explained < held_out + 5 * error
        for other in ({"update": 0.0}, {"update": here["predicted"]}):  # errors are orthogonal
            assert abs((left * here.assign(**other)["update"]).sum()) < 1e-9
    weights = dnn.predict_weights(X).to_numpy(dtype=float)
    known = (X.groupby("subject").cumcount(ascending=False) > 0).to_numpy()
    update = np.roll(weights, -1, axis=0)[known] - weights[known]
    assert_allclose(told["update"], update.T.ravel(), atol=1e-6)  # single precision


def test_the_number_of_terms_is_the_smallest_that_is_about_as_good_as_the_best(cohort, dnn):
    sparse = sparse_rule(dnn, cohort[0], max_terms=6)
    for weight, path in sparse.path.groupby("weight"):
        assert path["n_terms"].tolist() == list(range(7))
        explained = path["variance_explained"].to_numpy()
        best = explained.argmax()
        enough = explained[best] - max(path["standard_error"].iloc[best], 0.02)
        assert len(equation(sparse, weight)) == np.flatnonzero(explained >= enough)[0]


def test_several_fits_share_terms_and_their_spread_is_the_standard_error(cohort):
    X, y = cohort
    fits = bootstrap_fits(
        lr.ReinforceRuleEstimator(baseline=None), X, y, n_bootstraps=4, random_state=0, verbose=0
    )
    sparse = sparse_rule(fits, X)
    rates = np.array([fit.learning_rate_ for fit in fits])
    assert sparse.terms["term"].tolist() == ["r (y - p) x_stimulus", "r (y - p)"]
    assert_allclose(sparse.terms["coefficient"], rates.mean(0), rtol=1e-4)
    assert_allclose(sparse.terms["standard_error"], rates.std(0, ddof=1), rtol=1e-4)


def test_the_standard_errors_of_one_fit_are_over_animals(cohort, dnn):
    X = cohort[0].loc[:"mouse_04"]
    sparse = sparse_rule(dnn, X, n_terms=1)
    subjects = X.index.get_level_values("subject")
    ((term, _),) = equation(sparse, "bias").items()
    each = []
    for subject in subjects.unique():
        rest = sparse_rule(dnn, X[subjects != subject], n_terms=1)
        each.append(equation(rest, "bias")[term])
    row = sparse.terms[sparse.terms["weight"] == "bias"].squeeze()
    assert row["standard_error"] == pytest.approx(np.sqrt(3 * np.var(each)), rel=1e-6)
    assert row["selected"] == 1


def test_an_exact_equation_has_no_standard_errors_over_animals(cohort, rule):
    sparse = sparse_rule(rule, cohort[0])
    assert sparse.terms["standard_error"].isna().all()
    for _, path in sparse.path.groupby("weight"):
        assert path["standard_error"].iloc[-1] == 0
        assert path["variance_explained"].iloc[-1] == 1


def test_the_terms_are_the_same_in_any_units(cohort):
    X, y = cohort
    X = X.assign(previous_reward=3 * X["previous_reward"], stimulus=X["stimulus"] / 100)
    rule = lr.ReinforceRuleEstimator(baseline=None).fit(X, y)
    sparse = sparse_rule(rule, X)
    assert sparse.terms["term"].tolist() == ["r (y - p) x_stimulus", "r (y - p)"]
    assert_allclose(sparse.terms["coefficient"], rule.learning_rate_, rtol=1e-4)


def test_what_is_said_of_a_pipeline_is_in_the_units_after_its_transformers_and_says_so(cohort):
    X, y = cohort
    pipeline = make_pipeline(lr.TanhContrast(), lr.ReinforceRuleEstimator(baseline=None))
    X = X.rename(columns={"stimulus": "contrast"})
    sparse = sparse_rule(pipeline.fit(X, y), X)
    assert_allclose(sparse.terms["coefficient"], pipeline[-1].learning_rate_, rtol=1e-4)
    *_, last = str(sparse).split("\n")
    assert last == "with x_contrast as the pipeline transforms it"
    *_, last, _ = sparse.to_latex().split("\n")
    x = r"x_{\mathrm{contrast}}"
    assert last == rf"&\text{{with }}{x}\text{{ as the pipeline transforms it}}"


def test_a_pipeline_that_leaves_the_stimuli_as_they_are_needs_no_such_line(cohort, rule):
    X, y = cohort
    pipeline = make_pipeline(lr.PolicyRegressors(), lr.ReinforceRuleEstimator(baseline=None))
    for estimator in (pipeline.fit(X, y), rule):
        assert "pipeline" not in str(sparse_rule(estimator, X))


# --------------------------------------------------------------------------- the picture


def test_the_display_draws_the_path_and_the_terms_of_each_weight(cohort, dnn):
    display = EquationDisplay.from_estimator(dnn, cohort[0], n_terms=2)
    sparse = display.rules
    assert display.axes_.shape == (2, 2)
    for weight, (path, terms) in zip(NAMES, display.axes_, strict=True):
        assert path.get_title() == weight_label(weight)
        of_path = sparse.path[sparse.path["weight"] == weight]
        line, taken = curves(path)
        assert_allclose(line.get_xydata(), of_path[["n_terms", "variance_explained"]])
        assert taken.get_xdata() == [2]
        of_terms = sparse.terms[sparse.terms["weight"] == weight]
        named = [label.get_text().replace("\n", " ") for label in terms.get_yticklabels()]
        values, _, texts = zip(*(name.partition(" ") for name in named), strict=True)
        assert [text or "1" for text in texts] == list(of_terms["term"])
        written = [float(value.replace("−", "-")) for value in values]
        assert_allclose(written, of_terms["coefficient"], rtol=0.05)
        (points,) = curves(terms)
        assert_allclose(abs(points.get_xdata()), of_terms["size"])
        assert_allclose(np.sign(points.get_xdata()), np.sign(of_terms["coefficient"]))


def test_the_display_of_a_dict_draws_each_model_and_those_without_terms(cohort, rule):
    models = {"REINFORCE": rule, "constant": lr.ConstantRuleEstimator().fit(*cohort)}
    display = EquationDisplay.from_estimator(models, cohort[0])
    titles = [f"{model}\n{weight_label(weight)}" for model in models for weight in NAMES]
    assert [path.get_title() for path in display.axes_[:, 0]] == titles
    n_terms = [len(panel.get_yticks()) for panel in display.axes_[:, 1]]
    assert n_terms == [len(equation(display.rules["REINFORCE"], w)) for w in NAMES] + [0, 0]


def test_in_a_column_the_path_has_its_share_of_the_width_and_its_last_ring_is_whole(cohort, dnn):
    display = EquationDisplay.from_estimator(dnn, cohort[0], n_terms=8).fit_width(85)
    for path, _ in display.axes_:
        assert path.get_position().width > 0.25
        assert not curves(path)[1].get_clip_on()


def test_small_coefficients_are_written_out_and_no_line_crosses_a_term(cohort):
    X, y = cohort
    X = X.assign(stimulus=100 * X["stimulus"])
    display = EquationDisplay.from_estimator(lr.ReinforceRuleEstimator().fit(X, y), X)
    display.fit_width(85).figure_.canvas.draw()
    for panel in display.axes_[:, 1]:
        assert not panel.xaxis.get_offset_text().get_text()
        ticks = [label.get_text().replace("−", "-") for label in panel.get_xticklabels()]
        assert_allclose([float(tick) for tick in ticks], panel.get_xticks(), rtol=1e-3)
        for term in panel.get_yticklabels():
            assert same_color(term.get_bbox_patch().get_facecolor(), panel.get_facecolor())


def test_weights_that_a_rule_does_not_move_have_no_panel(cohort):
    X, y = cohort
    X = lr.PolicyRegressors(win_stay=False, previous_stimulus=False).fit_transform(X)
    rule = lr.ReinforceRuleEstimator(baseline=None, unlearned=["choice_back"]).fit(X, y)
    equation = sparse_rule(rule, X)
    titles = [left.get_title() for left, _ in EquationDisplay(equation).plot().axes_]
    assert len(titles) == 2 and not any("choice" in title for title in titles)
    assert "dw_choice_back = 0" in str(equation)
    constant = lr.ConstantRuleEstimator().fit(X, y)
    assert len(EquationDisplay(sparse_rule(constant, X)).plot().axes_) == 3


# --------------------------------------------------------------------------- wrong input


def test_several_models_have_no_one_equation(cohort, rule):
    several = "The equation of several models would be that of none: give one model, or a list"
    with pytest.raises(ValueError, match=several):
        sparse_rule({"one": rule, "other": rule}, cohort[0])


def test_one_animal_does_not_tell_how_many_terms_there_are(cohort, rule):
    one = cohort[0].loc[["mouse_01"]]
    with pytest.raises(ValueError, match="leaving animals out, but X has one: say n_terms="):
        sparse_rule(rule, one)
    sparse = sparse_rule(rule, one, n_terms=1)
    assert len(sparse.terms) == 2 and sparse.terms["standard_error"].isna().all()


@pytest.mark.parametrize("name", ["n_terms", "max_terms"])
def test_numbers_of_terms_are_from_one_on(cohort, rule, name):
    with pytest.raises(ValueError, match=f"{name} == 0, must be >= 1"):
        sparse_rule(rule, cohort[0], **{name: 0})


def test_equations_of_other_weights_predict_nothing(cohort, rule):
    X, y = cohort
    renamed = X.rename(columns={"stimulus": "tone"})
    other = lr.ReinforceRuleEstimator(baseline=None).fit(renamed, y)
    with pytest.raises(ValueError, match=r"of the weights \['stimulus', 'bias'\], but fit 0 has"):
        sparse_rule(rule, X).predict(other, renamed)


def test_the_correct_choice_is_in_no_term_where_it_is_not_known(cohort, rule):
    X, _ = cohort
    drawn = np.random.default_rng(0).random(len(X))
    error = (X["previous_choice"] != 0) & (X["previous_reward"] == 0)
    paid = X.assign(previous_reward=X["previous_reward"] - (error & (drawn > 0.5)))
    terms = sparse_rule(rule, paid, n_terms=8).terms["term"]
    assert not terms.str.contains("z").any()


def test_a_whole_textbook_rule_is_found_where_term_by_term_it_is_not():
    truth = ReinforceRule(2, "free", learning_rate=0.05, forgetting=0.01)
    trials = make_learning_cohort(10, 300, rule=truth, random_state=0)
    X, y, _ = lr.make_design(trials)
    rule = lr.ReinforceRuleEstimator(forgetting=True).fit(X, y)
    terms = sparse_rule(rule, X).terms.query("weight == 'stimulus'")
    rate, baseline, decay = rule.learning_rate_[0], rule.baseline_[0], rule.forgetting_[0]
    assert terms.set_index("term")["coefficient"].to_dict() == pytest.approx(
        {
            "r (y - p) x_stimulus": rate,
            "(y - p) x_stimulus": -rate * baseline,
            "w_stimulus": -decay,
        }
    )
