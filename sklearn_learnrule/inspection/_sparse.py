"""The inferred rule as an equation of few terms."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_scalar

from ..data.schema import OF_CHOICE
from ..data.sequences import identity_of
from ..utils.arrays import Floats
from ..utils.wrapping import is_dict_of_models
from ._candidates import (
    PREVIOUS_REWARD,
    Term,
    as_text,
    factor_values,
    make_candidates,
    term_columns,
    textbook_subsets,
)
from ._choices import see_by_choice
from ._equations import equations_as_latex, equations_as_text
from ._fits import RuleFit, read_rule_fits
from ._subsets import EXACT, Moments, best_subsets

MOST_GROUPS = 20  # of animals, left out in turn
NEGLIGIBLE = 1e-6  # of the updates: what a fit leaves of a learning rate of 0, and of an equation
WORTH_A_TERM = 0.02  # of the variance, at least


@dataclass(frozen=True, eq=False)
class SparseRule:
    """A learning rule in few terms: what :func:`sparse_rule` returns.

    ``str()`` writes it as text, :meth:`to_latex` in LaTeX, which notebooks show. Where a
    pipeline changes a stimulus before its last step, both end in a line that says so.

    Attributes
    ----------
    terms : DataFrame, one row a weight and term, the largest term of each weight first
        ``weight``; ``term``; ``coefficient``; ``standard_error``; ``size``, the root mean square
        of coefficient times term (weight per trial); ``selected``, the share of the
        cross-validation's training sets in which the term is selected as well: where it is low,
        the states do not tell the term from others.
    path : DataFrame, one row a weight and number of terms
        ``weight``; ``n_terms``; ``variance_explained``, the share of the variance of the updates
        (about their mean) that so many terms explain in animals left out, below 0 where their
        mean would be nearer: so it is without terms if a weight mostly grows or falls, for no
        terms say that it stays; ``standard_error`` of it, over animals.
    """

    terms: pd.DataFrame
    path: pd.DataFrame
    _equations: dict[str, dict[Term, float]]  # of each weight, in the order of ``terms``
    _transformed: tuple[str, ...] = ()  # stimuli that are not as in X
    _n_choices: int = 2

    def __str__(self) -> str:
        return equations_as_text(self._equations, self._transformed, self._n_choices)

    def to_latex(self) -> str:
        """Return the equations as an ``aligned`` environment, for LaTeX's math mode."""
        return equations_as_latex(self._equations, self._transformed, self._n_choices)

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.to_latex()}$"

    def predict(self, estimators: Any, X: pd.DataFrame) -> pd.DataFrame:
        """Tabulate the updates of fitted rules and what the equations say in their place.

        Parameters
        ----------
        estimators : fitted rule estimator, pipeline that ends in one, list, dict or cv results
            With the weights of these equations.
        X : DataFrame from :func:`~sklearn_learnrule.make_design`
            E.g. of animals that the equations were not made with.

        Returns
        -------
        DataFrame, one row a fit, weight and trial whose outcome is known
            ``fit``; ``weight``; ``subject``, ``session`` and ``trial`` as in X; ``update``, of the
            fitted rule; ``predicted``, by the equation at the same weights, NaN where it has the
            reward before and nobody knows that. Of more than two choices, a row for the weight of
            each one, ``of_choice``.
        """
        tables = [fit.named(self._predict(fit, X)) for fit in read_rule_fits(estimators)]
        return pd.concat(tables, ignore_index=True)

    def _predict(self, fit: RuleFit, X: pd.DataFrame) -> pd.DataFrame:
        self._check(fit)
        sequences, seen = fit.final.read_sequences(fit.transform(X)), see_by_choice(fit, X)
        values, known = factor_values(seen, fit.weight_names), sequences.fields.told
        whose = [None] if fit.n_choices == 2 else list(fit.final.classes_)
        tables = []
        for k, (name, terms) in enumerate(self._equations.items()):
            columns = term_columns(values, list(terms), ...)  # (N, T, n_terms) or (N C, ...)
            update = seen.visited.update[..., k].numpy()
            predicted = columns @ np.array([*terms.values()])
            for place, label in enumerate(whose):
                here = slice(place, None, len(whose))
                table = identity_of(X)[known].assign(
                    update=sequences.rows(update[here])[known],
                    predicted=sequences.rows(predicted[here])[known],
                )
                if label is not None:
                    table.insert(0, OF_CHOICE, label)
                table.insert(0, "weight", name)
                tables.append(table)
        return pd.concat(tables)

    def _check(self, fit: RuleFit) -> None:
        """Raise for a fit of other choices or weights."""
        if fit.n_choices != self._n_choices:
            raise ValueError(
                f"The equations are of {self._n_choices} choices, but {fit} has {fit.n_choices}."
            )
        if fit.weight_names != list(self._equations):
            raise ValueError(
                f"The equations are of the weights {list(self._equations)}, but {fit} has "
                f"{fit.weight_names}."
            )


def sparse_rule(
    estimators: Any, X: pd.DataFrame, *, n_terms: int | None = None, max_terms: int = 8
) -> SparseRule:
    """Write the inferred rule as an equation: the update of each weight in few terms.

    On the trials of X, at the weights to which the fitted rule brings the animals, the terms are
    sought whose sum is nearest to its updates, in least squares. Those to choose from:

    - the weights w, the inputs x, the choice's error y - p, the reward r, the choice c (-1 or 1),
      reward and choice of the trial before, r_prev and c_prev, whether the choice was repeated
      (c c_prev), 1, and all products of two of these;
    - what textbook rules are made of: (y - p) x, alone and with r, c, r c, r_prev, r r_prev,
      c_prev or c c_prev; the trial before's (y - p) x, alone and with r, r_prev or r r_prev;
      c x and r c x; (w . x) x; and, where X tells the correct choice z, (z - p) x and
      (2z - 1) p (1 - p) x, alone and with c.

    Of more than two choices there is one equation for all, of each choice's weights, less their
    mean over choices: y and z are 1 where this choice was made, or correct, p is its probability,
    c is y - 1 / C, and p_z, of which (2z - 1) p (1 - p) is then p_z (z - p), that of the correct
    choice.

    So REINFORCE, PredictMax and RewardMax, with forgetting and with learning rates of either side,
    and an eligibility window of 1 can be written in full. What hangs on more than one trial before,
    as values, associabilities and longer windows do, cannot.

    Of each number of terms the best are sought by forward selection in which terms are exchanged
    for better ones, without coefficients shrunk. How many to take, animals that are left out tell.
    Trials whose own reward is unknown, or the reward before, are left out.

    Parameters
    ----------
    estimators : fitted rule estimator, pipeline that ends in one, list, dict or cv results
        Several fits, such as refits of :func:`bootstrap_fits`, share the terms, selected on all
        their states, and each has its own coefficients.
    X : DataFrame from :func:`~sklearn_learnrule.make_design`
    n_terms : int or None, default=None
        Terms of each weight; fewer where fewer explain all. None: the number that explains all,
        or else the smallest that explains as much as the best does, in animals left out, but for
        one standard error or two hundredths of the variance, whichever is more.
    max_terms : int, default=8
        How far the path goes.

    Returns
    -------
    SparseRule
        With tables ``terms`` and ``path``. Coefficients are in the units of X; in a pipeline, of
        the X that its last step sees: the equation's last line says which stimuli are changed
        before. Those of several fits are means over them, and the standard error is the standard
        deviation over fits: of refits of :func:`bootstrap_fits` it tells how sure the data are, of
        an ensemble's seeds only what training leaves open. Of one fit it is a jackknife over
        animals (at most 20 groups of them) that takes the rule as it is, and NaN where the equation
        is exact, as a textbook rule's is: there all animals agree.

    Raises
    ------
    ValueError
        If X has one animal and ``n_terms`` is None, no two rewards in turn are known, or a dict
        names several models.

    Examples
    --------
    >>> from sklearn_learnrule import ReinforceRuleEstimator, make_design
    >>> from sklearn_learnrule.datasets import make_learning_cohort
    >>> X, y, _ = make_design(make_learning_cohort(12, 500, random_state=0))
    >>> rule = ReinforceRuleEstimator(forgetting=True).fit(X, y)
    >>> print(sparse_rule(rule, X))
    dw_stimulus = 0.018 (r + 0.43) (y - p) x_stimulus
    dw_bias = 0.03 (r - 0.43) (y - p)
    """
    for name, value in (("n_terms", n_terms), ("max_terms", max_terms)):
        if value is not None:
            check_scalar(value, name, numbers.Integral, min_val=1)
    if is_dict_of_models(estimators) and len(estimators) > 1:
        raise ValueError(
            "The equation of several models would be that of none: give one model, or a list of "
            "refits of one."
        )
    fits = read_rule_fits(estimators)
    names, n_choices = fits[0].weight_names, fits[0].n_choices
    known = all(fit.final.read_sequences(fit.transform(X)).answer_known for fit in fits)
    terms = make_candidates(names, n_choices, answer_known=known)
    moments = [_moments(fit, X, terms) for fit in fits]
    if n_terms is None and moments[0].n_groups == 1:
        raise ValueError(
            "How many terms there should be is told by leaving animals out, but X has one: say "
            "n_terms=..."
        )
    tables: list[pd.DataFrame] = []
    paths: list[pd.DataFrame] = []
    equations: dict[str, dict[Term, float]] = {}
    for k, name in enumerate(names):
        of_fits = [each.of_target(k) for each in moments]
        whole = [
            [terms.index(term) for term in rule]
            for rule in textbook_subsets(name)
            if set(rule) <= set(terms)
        ]
        table, path = _explain(of_fits, terms, whole, n_terms, max_terms)
        chosen = zip(table.index.to_numpy(), table["coefficient"], strict=True)
        equations[name] = {terms[column]: float(value) for column, value in chosen}
        for made, parts in ((table, tables), (path, paths)):
            made.insert(0, "weight", name)
            parts.append(made)
    joined = [pd.concat(parts, ignore_index=True) for parts in (tables, paths)]
    return SparseRule(joined[0], joined[1], equations, _transformed(fits, X), n_choices)


def _transformed(fits: Sequence[RuleFit], X: pd.DataFrame) -> tuple[str, ...]:
    """Return the stimuli of X that a fit's estimator does not see as they are."""
    seen = [fit.transform(X) for fit in fits]
    names = [name for name in fits[0].weight_names if name in X]
    return tuple(n for n in names if not all(np.array_equal(each[n], X[n]) for each in seen))


def _moments(fit: RuleFit, X: pd.DataFrame, terms: Sequence[Term]) -> Moments:
    """Return the moments of the terms and of all weights' updates, by group of animals."""
    seen = see_by_choice(fit, X)
    visited, values = seen.visited, factor_values(seen, fit.weight_names)
    update = visited.update.numpy()
    told = visited.told.numpy() & np.isfinite(values[PREVIOUS_REWARD])
    if not told.any():
        raise ValueError(
            "An equation needs trials whose reward is known, and the reward before: X has none."
        )
    step = np.sqrt((update**2).mean((0, 1))) * visited.largest.numpy()  # of a logit, (K,)
    update = np.where(step > NEGLIGIBLE * step.max(), update, 0.0)
    animals = np.unique(visited.subject[told.any(1)])
    groups = [animals[g::MOST_GROUPS] for g in range(min(len(animals), MOST_GROUPS))]
    parts = []
    for group in groups:
        where = told & np.isin(visited.subject, group)[:, None]
        columns, updates = term_columns(values, terms, where), update[where]  # (n, M), (n, K)
        square = (updates**2).sum(0)
        parts.append(Moments(columns.T @ columns, columns.T @ updates, square))
    return Moments(*map(np.stack, zip(*parts, strict=True)))


def _explain(
    of_fits: list[Moments],
    terms: list[Term],
    whole: list[list[int]],
    n_terms: int | None,
    max_terms: int,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the terms of one weight, and the path of what more and more of them explain."""
    subsets = best_subsets([each.sum() for each in of_fits], max(max_terms, n_terms or 0), whole)
    errors, held_out = _leave_out(of_fits, len(subsets), whole)
    explained, error = _shares(errors, of_fits, terms.index(()))
    path = pd.DataFrame(
        {
            "n_terms": range(len(subsets)),
            "variance_explained": explained,
            "standard_error": error,
        }
    )
    n_chosen = _choose(explained, error) if n_terms is None else min(n_terms, len(subsets) - 1)
    table = _table(of_fits, terms, subsets[n_chosen])
    chosen_too = [set(subsets[min(n_chosen, len(subsets) - 1)]) for subsets in held_out]
    table["selected"] = [np.mean([c in each for each in chosen_too]) for c in subsets[n_chosen]]
    table = table.sort_values("size", ascending=False, kind="stable")
    return table, path


def _leave_out(
    of_fits: list[Moments], n: int, whole: list[list[int]]
) -> tuple[Floats, list[list[list[int]]]]:
    """Select without each group in turn, and return the errors on it, (G, n), and what is taken.

    Of a single group, what is selected with it.
    """
    n_groups = of_fits[0].n_groups
    errors, selected = np.zeros((n_groups, n)), []
    for g in range(n_groups):
        rest = [each.without(g) if n_groups > 1 else each.sum() for each in of_fits]
        subsets = best_subsets(rest, n - 1, whole)
        for fit, moments in zip(rest, of_fits, strict=True):
            left_out = moments.group(g)
            found = [left_out.unexplained(chosen, fit.coefficients(chosen)) for chosen in subsets]
            errors[g] += [*found, *found[-1:] * (n - len(found))]
        selected.append(subsets)
    return errors, selected


def _shares(errors: Floats, of_fits: list[Moments], one: int) -> tuple[Floats, Floats]:
    """Return the shares of the variance explained, with standard errors over groups (G, n).

    The column ``one`` is of ones.
    """
    variance = square = 0.0
    for moments in (each.sum() for each in of_fits):
        variance += float(moments.square - moments.target[one] ** 2 / moments.gram[one, one])
        square += float(moments.square)
    if variance <= EXACT * square:
        variance = np.nan
    n_groups = len(errors)
    errors = np.where(errors > EXACT * square, errors, 0.0)  # else of rounding
    explained = 1 - errors.sum(0) / variance
    if n_groups == 1:
        return explained, np.full(len(explained), np.nan)
    return explained, np.sqrt(n_groups * errors.var(0, ddof=1)) / variance


def _choose(explained: Floats, error: Floats) -> int:
    """Return the number that explains all, or else the smallest that is about as good as the best.

    The updates have no noise: every network has a little to explain in more and more terms.
    """
    if not explained[-1] < 1 - NEGLIGIBLE:
        return len(explained) - 1
    best = int(np.argmax(explained))
    return int(np.argmax(explained >= explained[best] - max(error[best], WORTH_A_TERM)))


def _table(of_fits: list[Moments], terms: list[Term], chosen: list[int]) -> pd.DataFrame:
    """Return the chosen terms' coefficients, with standard errors over fits or else animals.

    Its index is ``chosen``.
    """
    each = np.array([moments.sum().coefficients(chosen) for moments in of_fits])  # (F, k)
    coefficient = each.mean(0)
    if len(of_fits) > 1:
        error = each.std(0, ddof=1)
    else:
        error = _jackknife(of_fits[0], chosen)
    pooled = sum(moments.gram.sum(0) for moments in of_fits)
    one = terms.index(())
    rms = np.sqrt(pooled[chosen, chosen] / pooled[one, one])
    return pd.DataFrame(
        {
            "term": [as_text(terms[c]) for c in chosen],
            "coefficient": coefficient,
            "standard_error": error,
            "size": np.abs(coefficient) * rms,
        },
        index=chosen,
    )


def _jackknife(moments: Moments, chosen: list[int]) -> Floats:
    n_groups, total = moments.n_groups, moments.sum()
    left = total.unexplained(chosen, total.coefficients(chosen))
    if n_groups == 1 or left <= NEGLIGIBLE * total.square:  # else an error of rounding
        return np.full(len(chosen), np.nan)
    each = np.array([moments.without(g).coefficients(chosen) for g in range(n_groups)])
    return np.sqrt((n_groups - 1) * each.var(0))
