"""The examples that are stories, told in haste: every step runs, the science is left out."""

import runpy
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from helpers import BRIEFLY_TRAINED

from sklearn_learnrule.training import mirror as mirror_images
from sklearn_learnrule.training import optimization

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
PACE = optimization.pace
STORIES = {
    "recover_reinforce": "REINFORCE",
    "what_the_rnn_knows": "unrewarded",
    "add_your_own_rule": "fading",
    "new_curriculum": "REINFORCE twins",
    "compare_rules": "REINFORCE",
    "who_learns_faster": "each its own",
    "three_choices": "Q-learning, forgetting",
}
"""Each example and a row or column that it prints."""


@BRIEFLY_TRAINED
@pytest.mark.filterwarnings("ignore:Twins leave the states that the animals visited")
@pytest.mark.filterwarnings("ignore:No twin reached")
@pytest.mark.parametrize("name", STORIES)
def test_every_story_sets_the_truth_beside_the_estimate_and_draws_it(name, monkeypatch, capsys):
    script, shown = EXAMPLES / f"{name}.py", []
    # what is found there is science, too
    monkeypatch.setattr(mirror_images, "_choices_are_alike", lambda *_: True)
    monkeypatch.setattr(optimization, "pace", lambda *how, **more: (PACE(*how, **more)[0], 2))
    monkeypatch.setattr(sys, "argv", [str(script), "--quick"])
    monkeypatch.setattr(plt, "show", lambda: shown.extend(plt.get_fignums()))
    runpy.run_path(str(script), run_name="__main__")
    printed, progress = capsys.readouterr()
    assert "%|" in progress  # what takes minutes is not silent
    assert "tru" in printed and STORIES[name] in printed
    assert len(shown) == 1
    assert "Note:" not in printed  # the rule of one's own passes its check without a remark


def test_every_example_is_told_by_a_test():
    assert {script.stem for script in EXAMPLES.glob("*.py")} == {*STORIES}
