"""See the rule: what fitted estimators do after a trial, as tidy tables without matplotlib.

Every function takes one fitted estimator (a pipeline that ends in one, a search), a list or a
dict of them (seeds, or refits of :func:`bootstrap_fits`), or the result of scikit-learn's
``cross_validate(..., return_estimator=True, return_indices=True)``. The column ``fit`` tells
them apart, and :func:`band` makes means with intervals of them.
"""

from ._asymmetry import asymmetry_table
from ._bands import band, bootstrap_fits
from ._curves import (
    psychometric_table,
    session_table,
    weight_trajectories,
)
from ._decomposition import variance_explained, weight_decomposition
from ._fits import Fit, RuleFit, read_fits, read_rule_fits
from ._groups import GroupComparison, compare_groups
from ._histories import history_table
from ._importance import column_importance
from ._individuals import subject_effects_table
from ._log_likelihood import log_likelihood_table, relative_log_likelihood
from ._nearest import TEXTBOOK_RULES, nearest_rules
from ._sparse import SparseRule, sparse_rule
from ._subject_updates import subject_update_table
from ._updates import update_table

__all__ = [
    "TEXTBOOK_RULES",
    "Fit",
    "GroupComparison",
    "RuleFit",
    "SparseRule",
    "asymmetry_table",
    "band",
    "bootstrap_fits",
    "column_importance",
    "compare_groups",
    "history_table",
    "log_likelihood_table",
    "nearest_rules",
    "psychometric_table",
    "relative_log_likelihood",
    "read_fits",
    "read_rule_fits",
    "session_table",
    "sparse_rule",
    "subject_effects_table",
    "subject_update_table",
    "update_table",
    "variance_explained",
    "weight_decomposition",
    "weight_trajectories",
]
