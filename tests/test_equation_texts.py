"""A rule as an equation, in writing: text and LaTeX."""

import pandas as pd

from sklearn_learnrule.inspection import SparseRule
from sklearn_learnrule.inspection._candidates import as_text, make_candidates


def made_of(*terms):
    """A rule whose weight of a contrast has these terms."""
    table = pd.DataFrame(terms, columns=["term", "coefficient"])
    names = ["contrast_left", "bias"]
    known = {as_text(term): term for term in make_candidates(names, answer_known=True)}
    equation = {known[term]: coefficient for term, coefficient in terms}
    return SparseRule(table, table, {"contrast_left": equation, "bias": {}})


def test_an_equation_collects_what_is_there_with_the_reward_and_without():
    x = "x_contrast_left"
    rule = made_of(
        (f"r (y - p) {x}", 0.021), (f"(y - p) {x}", -0.0084), ("w_contrast_left", -0.0005)
    )
    assert str(rule) == (
        "dw_contrast_left = 0.021 (r - 0.4) (y - p) x_contrast_left - 0.0005 w_contrast_left\n"
        "dw_bias = 0"
    )
    assert str(made_of(("1", -0.02), ("r", -0.01), ("r^2", 0.5))).split("\n")[0] == (
        "dw_contrast_left = -0.01 (r + 2) + 0.5 r^2"
    )
    assert str(made_of(("1", 0.25))).startswith("dw_contrast_left = 0.25\n")


def test_latex_says_the_same_and_escapes_names():
    rule = made_of(("r (y - p) x_contrast_left", 0.021), ("(y_prev - p_prev)", -0.1))
    name = r"\mathrm{contrast\_left}"
    assert rule.to_latex().split("\n") == [
        r"\begin{aligned}",
        rf"\Delta w_{{{name}}} &= 0.021\,r\,(y - p)\,x_{{{name}}} - "
        r"0.1\,(y_{t-1} - p_{t-1}) \\",
        r"\Delta w_{\mathrm{bias}} &= 0",
        r"\end{aligned}",
    ]
    assert rule._repr_latex_() == rf"$\displaystyle {rule.to_latex()}$"
