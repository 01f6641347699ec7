"""All that is taken from private modules of scikit-learn: where to look if a version moves it.

``BaseSearchCV``
    tells a search from any other estimator that wraps one; searches share no public class.
``Interval``, ``StrOptions``, ``make_constraint``, ``InvalidParameterError``
    are how scikit-learn's own estimators declare what parameters may be, and the error that
    its checks of estimators expect.
``get_output_config``
    is what ``set_output`` has asked for, to refuse tables that have no index.
``check_sample_weight``
    checks weights with the messages that scikit-learn's checks of estimators expect.
"""

from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils._param_validation import (
    Interval,
    InvalidParameterError,
    StrOptions,
    make_constraint,
)
from sklearn.utils._set_output import _get_output_config as get_output_config
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

__all__ = [
    "BaseSearchCV",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "check_sample_weight",
    "get_output_config",
    "make_constraint",
]
