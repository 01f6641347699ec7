"""Reading a fitted rule: the policy's weights before each choice, and who each subject is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias, overload

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from ..data.schema import weight_columns
from ..data.sequences import Sequences
from ..models.learning import choice_logits
from ..models.members import copy_models, in_rows, look_back_members, pool_members
from ..models.smoothing import smooth
from ..rules import unpack
from ..training.dataset import SequenceDataset, of_like_length, to_numpy
from ..training.individuals import follow_block, follow_subjects
from ..utils.arrays import Bools, Floats, Ints
from ..utils.texts import short
from ..utils.warn import warn
from .classifier import SequenceClassifier

TwoTables: TypeAlias = tuple[pd.DataFrame, pd.DataFrame]
ROWS_AT_A_TIME = 100_000  # paths take far more room than what is predicted by them


class FittedRule(SequenceClassifier):
    """What a fitted rule estimator tells, beside its parameters."""

    @overload
    def predict_weights(self, X: Any, *, return_std: Literal[False] = False) -> pd.DataFrame: ...
    @overload
    def predict_weights(self, X: Any, *, return_std: Literal[True]) -> TwoTables: ...
    def predict_weights(self, X: Any, *, return_std: bool = False) -> pd.DataFrame | TwoTables:
        """Return the policy weights in force before each choice, one column a feature, then bias.

        With process noise, they are what the choices so far let expect.

        Parameters
        ----------
        X : DataFrame from :func:`~sklearn_learnrule.make_design`, shape (n_rows, n_columns)
        return_std : bool, default=False
            Whether to return how sure they are, too: by the process noise, and by how far an
            ensemble's members lie apart.

        Returns
        -------
        DataFrame of shape (n_rows, K), with X's index; of an ensemble, its members' mean
            Of C > 2 choices (n_rows, (C - 1) K): a column ``(choice, feature)`` for each but the
            first, against which they are. With ``return_std``, a pair: the weights, and their
            standard deviations.
        """
        check_is_fitted(self)
        noisy = hasattr(self, "process_noise_")
        if return_std and len(self.nets_) < 2 and not noisy:
            raise ValueError(
                "return_std tells how an ensemble's members differ, or what process noise leaves "
                "open, but there is neither: set n_ensemble to 2 or more, or process_noise."
            )
        sequences = self.read_sequences(X)
        paths = self.predict_paths(sequences)  # (M, n_rows, K + S)
        n_weights = self._n_weights
        covariances = unpack(paths[..., n_weights:]) if noisy else None
        weights, std = self._tables(X, paths[..., :n_weights], covariances)
        return (weights, std) if return_std else weights

    @overload
    def smooth_weights(
        self, X: Any, y: ArrayLike, *, return_std: Literal[False] = False
    ) -> pd.DataFrame: ...
    @overload
    def smooth_weights(self, X: Any, y: ArrayLike, *, return_std: Literal[True]) -> TwoTables: ...
    def smooth_weights(
        self, X: Any, y: ArrayLike, *, return_std: bool = False
    ) -> pd.DataFrame | TwoTables:
        """Return the weights in force at each choice, as all choices let expect after the fact.

        :meth:`predict_weights` knows the choices before a trial; this knows also that of the
        trial itself and all later ones. It is for looking back, not for predicting.

        Parameters
        ----------
        X : DataFrame from :func:`~sklearn_learnrule.make_design`, shape (n_rows, n_columns)
        y : array-like of shape (n_rows,)
            The choices, of which X tells all but each subject's last.
        return_std : bool, default=False
            Whether to return how sure they are, too: 1.64 standard deviations on either side
            are a 90% credible band.

        Returns
        -------
        DataFrame of shape (n_rows, K), or with ``return_std`` a pair, as of ``predict_weights``

        Raises
        ------
        ValueError
            Without process noise: then weights are known from the rule alone.
        """
        check_is_fitted(self)
        if not hasattr(self, "process_noise_"):
            raise ValueError(
                "smooth_weights finds out where noise moved the weights, but process_noise is "
                "None: fit with process_noise='learned', or use predict_weights."
            )
        weights, std = self._tables(X, *self._smooth(*self.read_choices(X, y)))
        return (weights, std) if return_std else weights

    def _smooth(self, sequences: Sequences, chosen: Ints) -> tuple[torch.Tensor, torch.Tensor]:
        """Return smoothed weights (M, n_rows, K) by each member, and their covariances."""
        paths = self.predict_paths(sequences)  # (M, n_rows, K + S)
        means = paths[..., : self._n_weights].clone()
        covariances = unpack(paths[..., self._n_weights :])
        for alike in of_like_length(sequences.lengths):
            part, rows = sequences.some(alike)
            models = copy_models(self)
            filtered = look_back_members(models, part, chosen[rows], paths[:, rows])
            smoothed = zip(*map(smooth, filtered), strict=True)
            means[:, rows], covariances[:, rows] = (in_rows(part, each) for each in smoothed)
        return means, covariances

    def _tables(self, X: Any, means: torch.Tensor, covariances: torch.Tensor | None) -> TwoTables:
        """Return M members' mean weights (M, n_rows, K) as a table, and their std."""

        def table(rows: torch.Tensor) -> pd.DataFrame:
            index = X.index if isinstance(X, pd.DataFrame) else None
            return pd.DataFrame(rows.numpy(), columns=self.weight_columns, index=index)

        mean, std = pool_members(means, covariances)
        return table(mean), table(std)

    @property
    def _n_weights(self) -> int:
        return self.net_.module_.dynamics.n_weights

    @property
    def weight_columns(self) -> pd.Index:
        """The names of all weights: of features or, of more than two choices, of both."""
        return weight_columns(self.weight_names_, self.classes_)

    def _predict_logits(self, sequences: Sequences) -> Floats:
        all_rows, all_logits = [], []
        for part, rows, paths, logits in self._foresee(sequences):
            if logits is None:
                logits = self.policy_logits(paths, part.fields.features)
            all_rows.append(rows)
            all_logits.append(logits)
        return np.concatenate(all_logits)[np.argsort(np.concatenate(all_rows))]

    def _told(self, sequences: Sequences) -> SequenceDataset:
        """Return the dataset of sequences that tell all that the rule reads."""
        if self.net_.module_.rule.uses_answer:
            sequences.check_answer_known(type(self).__name__)
        return self._dataset(sequences)

    def policy_logits(self, paths: torch.Tensor, features: Floats) -> Floats:
        """Return the policy's logits where given weights meet given features.

        Parameters
        ----------
        paths : Tensor of shape (M, n, K + S)
            See :meth:`predict_paths`.
        features : ndarray of shape (n, K)
            Stimuli, in X's units, and 1 for the bias.

        Returns
        -------
        ndarray of shape (n,) or, of C > 2 choices, (n, C - 1)
            With the fitted lapses, if any; of an ensemble, from its members' mean.
        """
        models: Any = [net.module_ for net in self.nets_]
        with torch.no_grad():
            return choice_logits(models, paths, torch.as_tensor(features)).numpy()

    @property
    def subject_effects_(self) -> pd.DataFrame:
        """What their choices tell of the fitted subjects' effects, one row a subject.

        Columns ``("mean", effect)`` and ``("std", effect)``. An effect is the logarithm of the
        factor by which the subject's parameter is above the typical subject's, or how far it lies
        above it; of a share s, the factor of -log(1 - s): see ``subject_effects``. Standard
        deviations are as if the typical one were known.
        """
        if "_subject_effects" not in vars(self):
            raise AttributeError(
                f"{type(self).__name__} has no subject_effects_: it is there after a fit with the "
                "parameter subject_effects."
            )
        table = pd.DataFrame(self._subject_effects, index=self._subjects)
        return table.rename_axis("subject")

    @overload
    def predict_subject_effects(
        self, X: Any, y: ArrayLike | None = None, *, return_std: Literal[False] = False
    ) -> pd.DataFrame: ...
    @overload
    def predict_subject_effects(
        self, X: Any, y: ArrayLike | None = None, *, return_std: Literal[True]
    ) -> TwoTables: ...
    def predict_subject_effects(
        self, X: Any, y: ArrayLike | None = None, *, return_std: bool = False
    ) -> pd.DataFrame | TwoTables:
        """Return who subjects are, fitted or never seen, as all their choices tell.

        Parameters
        ----------
        X : DataFrame from :func:`~sklearn_learnrule.make_design`, shape (n_rows, n_columns)
        y : array-like of shape (n_rows,) or None
            The choices, of which X tells all but each subject's last.
        return_std : bool, default=False
            Whether to return how sure that is, too.

        Returns
        -------
        DataFrame of shape (N, D), or with ``return_std`` a pair
            A row a subject, a column an effect, as in ``subject_effects_``. What a network makes of
            its numbers, each member of an ensemble does in its own way: they are the first one's.

        Raises
        ------
        ValueError
            If the fit had no ``subject_effects``.
        """
        check_is_fitted(self)
        if not self._is_individual:
            raise ValueError(
                "predict_subject_effects tells subjects apart, but subject_effects is None: fit "
                "with subject_effects=['learning_rate'] or other parameters that vary."
            )
        choices: dict[str, Any] = {}
        if y is None:
            sequences = self.read_sequences(X)
        else:
            sequences, chosen = self.read_choices(X, y)
            choices = {"choice": chosen, "weight": np.ones(len(chosen))}
        dataset = SequenceDataset(sequences, dtype=self._dtype, device=self.net_.device, **choices)
        mean, std = (
            pd.DataFrame(values, sequences.subjects.rename("subject"), self._effect_names)
            for values in self._know_subjects(dataset)
        )
        return (mean, std) if return_std else mean

    def _know_subjects(self, dataset: SequenceDataset) -> tuple[Floats, Floats]:
        """Return what choices tell of a dataset's subjects, in the user's units, (N, D) each."""
        means, variances = [], []
        for net in self.nets_:
            known = follow_subjects(net.module_, dataset)
            means.append(known.mean)
            variances.append(known.std**2)
            if not net.module_.effects.learns_spread:  # others mean something else
                break
        units = to_numpy(self.net_.module_.effects.units)
        std = np.sqrt(np.mean(variances, 0) + np.var(means, 0))
        return np.mean(means, 0) * units, std * units

    @property
    def _effect_names(self) -> list[str]:
        return self.net_.module_.effects.names

    @property
    def _is_individual(self) -> bool:
        return self.net_.module_.effects is not None

    def _follow(self, dataset: SequenceDataset) -> Iterator[tuple[list[torch.Tensor], ...]]:
        """Yield each member's logits (N, T) and paths (N, T, K + S), block by block.

        They are those to be expected by all that a subject's past choices tell of its effects.
        """
        for block in dataset.blocks:
            name = self.net_.module_.effects.far_covariate(block.covariates)
            if name is not None:
                warn(
                    f"{type(self).__name__}: some subjects' {name} is far outside of those fitted, "
                    "where its effect is a guess.",
                    UserWarning,
                )
        for net in self.nets_:
            followed = [follow_block(net.module_, block, predict=True) for block in dataset.blocks]
            yield [each.logits.cpu() for each in followed], [each.path.cpu() for each in followed]

    def predict_paths(self, sequences: Sequences) -> torch.Tensor:
        """Return what is known of each member's weights before each choice.

        Parameters
        ----------
        sequences : Sequences from :meth:`read_sequences`

        Returns
        -------
        Tensor of shape (M, n_rows, K + S), in the user's units, one for each of M members
            The weights or, with process noise, their mean, then the S = K (K + 1) / 2 numbers of
            the lower triangle of their covariance.

        Raises
        ------
        ValueError
            If the rule reads correct choices, which X does not tell.
        FloatingPointError
            If weights run away.
        """
        _, rows, paths, _ = zip(*self._foresee(sequences), strict=True)
        return torch.cat(paths, 1)[:, np.argsort(np.concatenate(rows))]

    def _foresee(
        self, sequences: Sequences
    ) -> Iterator[tuple[Sequences, Ints, torch.Tensor, Floats | None]]:
        """Yield some subjects at a time, their rows, and members' paths (M, n, K + S).

        Of individuals also the logits, which their paths do not tell.
        """
        ran_away = []
        for part, rows in sequences.parts(ROWS_AT_A_TIME):
            dataset = self._told(part)
            if self._is_individual:
                each = zip(*self._follow(dataset), strict=True)
                told, paths = (torch.stack([*map(dataset.rows, members)]) for members in each)
                logits = told.mean(0).numpy()
            else:
                (paths, astray), logits = self._unroll(dataset), None
                ran_away += [*part.whose(astray)]
            self._check_finite(part, paths.isfinite().all(-1).all(0).numpy())
            yield part, rows, paths, logits
        _warn_of_runaways(type(self).__name__, ran_away)

    def _bound(self, sequences: Sequences) -> None:
        """Keep each member's predictions within the range of weights that subjects had."""
        k = self._n_weights
        weights = [paths[..., :k].clone() for _, _, paths, _ in self._foresee(sequences)]
        for net, of_member in zip(self.nets_, torch.cat(weights, 1), strict=True):
            net.module_.bound(of_member.to(net.module_.initial_weights))

    def _unroll(self, dataset: SequenceDataset) -> tuple[torch.Tensor, Bools]:
        """Return members' paths (M, n_rows, K + S), and whose would run away, (N,)."""
        paths, ran_away = [], np.zeros(len(dataset), dtype=bool)
        for net in self.nets_:
            padded, astray = zip(*net.predict_path(dataset), strict=True)
            paths.append(dataset.rows(padded).cpu().double())
            for block, of_block in zip(dataset.blocks, astray, strict=True):
                ran_away[block.sequences] |= of_block.cpu().numpy()
        return torch.stack(paths), ran_away


def _warn_of_runaways(name: str, subjects: list[Any]) -> None:
    if len(subjects):
        warn(
            f"{name}: the weights of {len(subjects)} subject(s) ({short(subjects[0])}) would go "
            "far beyond those of the subjects fitted, where the rule is a guess, and were held "
            "back. More, or more alike, training subjects help.",
        )
