"""Experiments that answer errors: what twins are shown then is their own, not the animals'."""

from __future__ import annotations

import numbers
from dataclasses import dataclass

import numpy as np
from sklearn.utils import check_scalar

from ..utils.arrays import Bools, Floats, Ints
from ..utils.warn import warn
from ._learning import Choices, Pay

ENOUGH, MUCH_MORE = 100, 0.2  # trials, and a difference of shares, that tell of corrections


@dataclass(frozen=True)
class BiasCorrection:
    """After an error at an easy stimulus it comes again, on the side that is chosen less.

    So do experimenters wean animals from biases, the International Brain Laboratory by a normal
    deviate, of mean the share of right choices among the last ten: the stimulus is on the right if
    it is below 1/2. An animal's errors are so followed by stimuli at which it errs once more, and a
    twin that is given these very stimuli errs elsewhere, and less: give twins corrections of their
    own instead.

    Parameters
    ----------
    easy : float, default=0
        The smallest size of a stimulus that comes again, in the table's units.
    window : int, default=10
        How many choices, of the session, tell on which side.
    std : float or None, default=.5
        The normal deviate's standard deviation. None: the same stimulus comes again, on the same
        side, until the choice is correct.

    References
    ----------
    The International Brain Laboratory (2021), Standardized and reproducible measurement of
    decision-making in mice, eLife 10:e63711.

    Examples
    --------
    >>> BiasCorrection(easy=0.98)  # the laboratory's, of contrasts from 50%, of load_ibl_trials
    BiasCorrection(easy=0.98, window=10, std=0.5)
    """

    easy: float = 0.0
    window: int = 10
    std: float | None = 0.5

    def check(self, n_stimuli: int, n_choices: int) -> None:
        """Raise if it cannot be given to twins of so many stimulus columns and choices."""
        check_scalar(self.easy, "easy", numbers.Real, min_val=0)
        check_scalar(self.window, "window", numbers.Integral, min_val=1)
        if self.std is None:
            return
        check_scalar(self.std, "std", numbers.Real, min_val=0)
        if (n_stimuli, n_choices) != (1, 2):
            raise ValueError(
                "A correction that may change sides needs one stimulus column, below 0 on the left "
                f"and above on the right, and two choices, got {n_stimuli} and {n_choices}: "
                "BiasCorrection(std=None) shows the same once more."
            )

    def answers(self, stimulus: Floats, erred: Bools) -> Bools:
        """Tell which trials, of stimuli (..., S) and errors (...), it answers."""
        return erred & (np.abs(stimulus).max(-1) >= self.easy)


def corrections_in(
    stimulus: Floats, erred: Bools, goes_on: Bools, correction: BiasCorrection | None
) -> Bools:
    """Tell which stimuli (N, T, S) answered errors (N, T), by the correction if one is told of.

    If none is, warn if stimuli came again after errors much more than after other choices. Trials
    that do not ``go on``, (N, T), follow none.
    """
    if correction is not None:
        answered = correction.answers(stimulus, erred)[:, :-1]
        return goes_on & np.pad(answered, [(0, 0), (1, 0)])
    again = (stimulus[:, 1:] == stimulus[:, :-1]).all(-1)
    after_errors, after_others = (
        again[goes_on[:, 1:] & which] for which in (erred[:, :-1], ~erred[:, :-1])
    )
    enough = min(len(after_errors), len(after_others)) >= ENOUGH
    if enough and after_errors.mean() - after_others.mean() > MUCH_MORE:
        warn(
            f"Stimuli came again after {after_errors.mean():.0%} of the animals' errors, but after "
            f"{after_others.mean():.0%} of their other choices: it seems that errors were answered "
            "with stimuli. Twins, who have not made these errors, seem to learn too early on them: "
            "see BiasCorrection, which simulate and predictive_check take as correction=...",
        )
    return np.zeros_like(goes_on)


@dataclass
class CorrectedTask:
    """Stimuli of a table, and corrections that the twins' own errors bring about."""

    correction: BiasCorrection
    stimulus: Floats  # (N, T, S), none of which is a correction: see draw_uncorrected
    answer: Choices  # (N, T)
    opens: Bools  # (N, T)
    pay: Pay
    rng: np.random.RandomState

    def __post_init__(self) -> None:
        n_animals = len(self.opens)
        self._recent = np.full((n_animals, self.correction.window), np.nan)  # choices of a session
        self._again = np.zeros(n_animals, dtype=bool)
        self._shown = self.stimulus[:, 0], self.answer[:, 0]
        if self.correction.std is not None:  # the sign of stimuli on the second choice's side
            agree = self.stimulus[..., 0] * np.where(self.answer, 1, -1)
            self._sign = 1 if agree.sum() >= 0 else -1

    def show(self, trial: int) -> tuple[Floats, Choices]:
        opens = self.opens[:, trial]
        self._recent[opens] = np.nan
        again = self._again & ~opens
        before, of_before = self._shown
        if self.correction.std is not None and again.any():
            share = np.nanmean(self._recent[again], axis=1)  # of the second choice
            second = self.rng.normal(share, self.correction.std) < 0.5
            size = np.abs(before[again])
            before[again] = np.where(second, self._sign, -self._sign)[:, None] * size
            of_before[again] = second
        answer = np.where(again, of_before, self.answer[:, trial])
        self._shown = np.where(again[:, None], before, self.stimulus[:, trial]), answer
        return self._shown[0].copy(), answer.copy()

    def reward(self, trial: int, correct: Bools) -> Floats:
        del trial
        stimulus, answer = self._shown
        if self.correction.std is not None:  # of two choices
            choice = np.where(correct, answer, ~answer)
            self._recent = np.column_stack([self._recent[:, 1:], choice])
        self._again = self.correction.answers(stimulus, ~correct)
        return self.pay(correct, answer, self.rng)


def draw_uncorrected(
    session: Ints, happened: Bools, corrected: Bools, rng: np.random.RandomState
) -> Ints:
    """Return the trial whose stimulus to show in each one's place, all (T,).

    It is its own or, where that was a correction, one of its session that was none.
    """
    shown = np.arange(len(session))
    for number in np.unique(session[corrected]):
        here = happened & (session == number)
        shown[here & corrected] = rng.choice(
            np.flatnonzero(here & ~corrected), (here & corrected).sum()
        )
    return shown
