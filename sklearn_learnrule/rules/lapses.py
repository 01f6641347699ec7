"""Lapses of the policy: choices that are made whatever the weights say."""

from __future__ import annotations

from torch import Tensor, nn

from ._textbook import Numbers, nonnegative

LEARNED = "learned"
START = 0.02  # of each rate


class Lapses(nn.Module):
    """Rates at which each choice is made whatever the weights say.

    With g0 and g1 the rates of two choices, one is of the mixture

        P(y = 1) = g1 + (1 - g0 - g1) sigmoid(w . x)

    What is fitted is the root of each rate's odds against no lapse, g / (1 - g0 - g1), so that no
    rate is below 0 and their sum is below 1. The learning rule is none the wiser: its p is the
    policy's, sigmoid(w . x).

    Parameters
    ----------
    rates : "learned", or number or array of shape (C,)
        Of each choice.
    n_choices : int
        C.

    Examples
    --------
    >>> Lapses([0.1, 0.05]).rates.detach()
    tensor([0.1000, 0.0500])
    """

    def __init__(self, rates: Numbers | str, n_choices: int = 2) -> None:
        super().__init__()
        learned = isinstance(rates, str)
        if learned and rates != LEARNED:
            raise ValueError(f"lapses should be {LEARNED!r} or numbers, got {rates!r}.")
        given = lapse_rates(START if isinstance(rates, str) else rates, n_choices)
        self.root_odds = nn.Parameter(lapse_odds(given).sqrt(), requires_grad=learned)

    @property
    def odds(self) -> Tensor:
        """Each rate over that of no lapse, (C,)."""
        return self.root_odds.square()

    @property
    def rates(self) -> Tensor:
        """g0, g1 and so on, (C,)."""
        return self.odds / (1 + self.odds.sum())


def lapse_rates(rates: Numbers, n_choices: int = 2) -> Tensor:
    """Return the rates of each choice, (C,), from one for all or as many as there are.

    Examples
    --------
    >>> lapse_rates(0.05)
    tensor([0.0500, 0.0500])
    """
    each = nonnegative(rates, "lapses", n_choices)
    if not each.sum() < 1:
        raise ValueError(f"lapses should add up to less than 1, got {each.tolist()}.")
    return each


def lapse_odds(rates: Tensor) -> Tensor:
    """Return each rate over that of no lapse, (C,).

    Examples
    --------
    >>> lapse_odds(lapse_rates([0.1, 0.1]))
    tensor([0.1250, 0.1250])
    """
    return rates / (1 - rates.sum())
