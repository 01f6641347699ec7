"""What twins in several trainings tell of these."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..utils.arrays import Floats
from ..utils.texts import short
from ._uncertainty import interval, share_of_best, split_spread

TWIN = ["fit", "twin"]
MUCH_OUTSIDE = 0.2  # of twins in the animals' own training, up to a tenth of trials is


@dataclass(frozen=True, eq=False)
class CurriculumDesign:
    """What :func:`design_curriculum` found; ``str()`` writes it.

    Attributes
    ----------
    twins : DataFrame, one row an option, fit and twin
        ``option``, ``fit``, ``twin`` (1, 2, ...: the same animal in all options), ``trials`` until
        it has reached the criterion, all it did if it never has, ``reached``, whether it has, and
        ``share_outside``, of its trials outside of the states that animals visited (NaN: not
        asked).
    sessions : DataFrame, one row an option, fit, twin and session
        ``skill``, the mean in the session.
    criterion : float
        The skill that was asked for.
    n_trials : int
        Of each twin.
    level : float
        Of intervals.
    """

    twins: pd.DataFrame
    sessions: pd.DataFrame
    criterion: float
    n_trials: int
    level: float = 0.95

    @property
    def outside(self) -> pd.Series:
        """By option, whether a fifth of trials or more is outside of the states visited."""
        of_options = self.twins.groupby("option", sort=False)
        return of_options["share_outside"].mean() > MUCH_OUTSIDE

    @property
    def options(self) -> list[str]:
        """The names of the options, in order."""
        return list(self.twins["option"].unique())

    @property
    def table(self) -> pd.DataFrame:
        """One row an option.

        ``option``; ``trials``, the mean, to which twins that never got there add all they did, with
        its interval over fits and twins (``lower``, ``upper``); the ``median``, missing where half
        of the twins or more never got there; ``share_reached``, of twins that did; ``std_fits``,
        how far fits lie apart, NaN if there is one, and ``std_twins``, how far the twins of a fit
        do, who differ by luck and, with ``subject_effects``, as individuals; ``p_best``, the
        probability that of all options it takes the fewest trials; ``share_outside``, of trials
        outside of the states that animals visited, in their own training a few percent.
        """
        trials = self._trials
        limits = interval(trials, self.level)
        each = self.twins.groupby("option", sort=False)
        got_there = self.twins["trials"].astype(float).where(self.twins["reached"], np.inf)
        median = got_there.groupby(self.twins["option"], sort=False).median()
        columns = {
            "trials": trials.mean((0, 1)),
            **{name: np.clip(limit, 0, self.n_trials) for name, limit in limits.items()},
            "median": median.replace(np.inf, np.nan).to_numpy(),
            "share_reached": each["reached"].mean().to_numpy(),
            **split_spread(trials),
            "p_best": share_of_best(trials),
            "share_outside": each["share_outside"].mean().to_numpy(),
        }
        return pd.DataFrame({"option": self.options, **columns})

    def differences(self, reference: str | None = None) -> pd.DataFrame:
        """Return how many more trials each option takes than another, twin by twin.

        Parameters
        ----------
        reference : str or None, default=None
            The option to compare the others with; None: the first.

        Returns
        -------
        DataFrame, one row another option
            ``option``, ``difference`` (below 0: it takes fewer trials), its interval (``lower``,
            ``upper``), ``std_fits`` and ``std_twins`` as in ``table``, and ``share_faster``, of
            twins that take fewer trials than in the reference, ties counting half.
        """
        options = self.options
        reference = options[0] if reference is None else reference
        if reference not in options:
            raise ValueError(f"reference should be one of {options}, got {short(reference)}.")
        others = [name for name in options if name != reference]
        trials = self._trials
        paired = trials - trials[..., options.index(reference), None]
        paired = paired[..., [options.index(name) for name in others]]
        columns = {
            "difference": paired.mean((0, 1)),
            **interval(paired, self.level),
            **split_spread(paired),
            "share_faster": ((1 - np.sign(paired)) / 2).mean((0, 1)),
        }
        return pd.DataFrame({"option": others, **columns})

    @property
    def curves(self) -> pd.DataFrame:
        """One row an option and session: the skill's ``mean``, its interval, and ``n`` twins."""
        skill = self.sessions.pivot(index=TWIN, columns=["option", "session"], values="skill")
        skill = skill[self.options]
        values = self._in_fits(skill)  # (F, N, O * sessions)
        limits = interval(values, self.level).items()
        told = {"mean": values.mean((0, 1)), **{k: np.clip(v, 0, 1) for k, v in limits}}
        return pd.DataFrame(told, skill.columns).assign(n=len(skill)).reset_index()

    def __str__(self) -> str:
        n_fits, n_twins = (self.twins[of].nunique() for of in TWIN)
        of_fits = "one fit" if n_fits == 1 else f"each of {n_fits} fits"
        over = "twins alone" if n_fits == 1 else "fits and twins"
        parts = [
            f"Trials to a skill of {self.criterion:g}, {self.n_trials} at most; {n_twins} twins of "
            f"{of_fits}, {self.level:.0%} intervals over {over}",
            self.table.round(2).to_string(index=False),
        ]
        if len(self.options) > 1:
            parts += [f"Differences from {self.options[0]!r}, twin by twin"]
            parts += [self.differences().round(2).to_string(index=False)]
        return "\n".join(parts)

    @property
    def _trials(self) -> Floats:
        """The trials that each twin takes in each option, (F, N, O)."""
        return self._in_fits(self.twins.pivot(index=TWIN, columns="option", values="trials"))

    def _in_fits(self, of_twins: pd.DataFrame) -> Floats:
        """Return a table of a row a twin, (F N, M), as (F, N, M), its columns' options in order."""
        n_fits = self.twins["fit"].nunique()
        values = of_twins[self.options].to_numpy(dtype=float)
        return values.reshape(n_fits, -1, values.shape[1])
