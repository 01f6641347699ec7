"""An estimator's HTML repr leads to its own page in this documentation, or nowhere."""

from importlib import metadata

import pytest
from sklearn.base import BaseEstimator
from sklearn.utils import estimator_html_repr

import sklearn_learnrule as lr
from sklearn_learnrule.utils import documentation

ADDRESS = "https://address.local/learnrule"
PUBLIC = [kind for kind in vars(lr).values() if isinstance(kind, type)]
SHOWN = [kind for kind in PUBLIC if issubclass(kind, documentation.LinksToDocumentation)]


@pytest.fixture
def documented(monkeypatch):
    monkeypatch.setattr(documentation, "documentation_url", lambda: ADDRESS)


def make(kind):
    return kind(n_train=5) if kind is lr.FutureSplit else kind()


@pytest.mark.parametrize("kind", SHOWN, ids=lambda kind: kind.__name__)
def test_the_link_is_that_of_the_page_of_the_public_name(documented, kind):
    link = f"{ADDRESS}/reference/sklearn_learnrule.{kind.__name__}.html"
    shown = estimator_html_repr(make(kind))
    assert f'href="{link}"' in shown
    assert 'href="https://scikit-learn' not in shown


def test_every_public_estimator_has_a_page_and_no_link_of_scikit_learns():
    estimators = {kind for kind in PUBLIC if issubclass(kind, BaseEstimator)}
    assert estimators == set(SHOWN)


def test_without_an_address_there_is_no_link(monkeypatch):
    monkeypatch.setattr(documentation, "documentation_url", lambda: "")
    assert "href=" not in estimator_html_repr(lr.ReinforceRuleEstimator())


class OwnRuleEstimator(lr.ReinforceRuleEstimator):
    """A rule of a user's own, which this documentation knows nothing of."""


def test_an_estimator_of_ones_own_has_no_link(documented):
    assert "href=" not in estimator_html_repr(OwnRuleEstimator())


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        (None, ""),
        (["Source, https://address.local/code"], ""),
        (["Source, https://address.local/code", f"Documentation, {ADDRESS}/"], ADDRESS),
    ],
)
def test_the_address_is_the_one_that_the_package_tells(monkeypatch, addresses, expected):
    class Told:
        def get_all(self, name):
            return addresses if name == "Project-URL" else None

    monkeypatch.setattr(metadata, "metadata", lambda package: Told())
    assert documentation.documentation_url.__wrapped__() == expected


def test_a_package_that_is_not_installed_has_no_address(monkeypatch):
    def unknown(package):
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "metadata", unknown)
    assert documentation.documentation_url.__wrapped__() == ""
