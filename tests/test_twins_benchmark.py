"""The benchmark of twins: its table is counted from what mice and twins did."""

import numpy as np
import pandas as pd
import pytest
from test_recovery_benchmark import BENCHMARKS


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import twins

    return twins


@pytest.fixture
def check(script):
    """Two mice of two sessions, whose twins are off by .1 and whose bands hold three of four."""
    rows = pd.MultiIndex.from_product([["a", "b"], [1, 2]], names=["subject", "block"])
    accuracy = pd.DataFrame({"observed": [0.5, 0.6, 0.7, 0.9]}, rows)
    accuracy["simulated"] = accuracy["observed"] + [0.1, -0.1, 0.1, 0.1]
    accuracy["lower"], accuracy["upper"] = accuracy["observed"] - 0.2, accuracy["observed"] + 0.2
    accuracy.loc[("b", 2), "lower"] = 0.95
    statistics = [name for _, name, _ in script.STATISTICS]
    tables = dict.fromkeys(statistics, accuracy)
    tables["one_sided"] = accuracy.assign(observed=0.0, simulated=0.25)
    return pd.concat(tables, names=["statistic"]).reset_index().assign(rule="R", mice="10")


def test_the_table_tells_differences_and_what_bands_hold(script, check):
    cells = script.summarize(check)
    assert cells["accuracy off by"].startswith("0.100 (")
    assert cells["accuracy held"] == "75%"
    assert cells["mean curve off by"] == "0.050"  # of .1 and of 0
    assert cells["one-sided"] == "25.0% (0.0%)"
    head, _, rule, others = script.render(check).splitlines()
    assert rule.startswith("| R | 10 | 0.100")
    assert head.count("|") == others.count("|")


def test_a_mouse_is_foretold_by_the_mean_of_the_others(script, check):
    assert script.by_other_mice(check)["accuracy off by"] == f"{np.mean([0.2, 0.3]):.3f}"


def test_a_twin_is_off_its_like_by_what_the_width_of_their_bands_says(script):
    values = np.random.RandomState(0).standard_normal(100_000)
    lower, upper = np.quantile(values, [0.05, 0.95])
    assert script.EXPECTED * (upper - lower) == pytest.approx(np.abs(values).mean(), rel=0.01)
