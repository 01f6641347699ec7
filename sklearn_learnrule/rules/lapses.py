"""Lapses of the policy: choices that are made whatever the weights say."""

from __future__ import annotations

from torch import Tensor, nn

from ._textbook import Numbers, nonnegative

LEARNED = "learned"
START = 0.02  # of each rate


class Lapses(nn.Module):
    """Rates at which the first and the second choice are made whatever the weights say.

    With g0 and g1 these rates, a choice is of the mixture

        P(y = 1) = g1 + (1 - g0 - g1) sigmoid(w . x)

    What is fitted is the root of each rate's odds against no lapse, g / (1 - g0 - g1), so that no
    rate is below 0 and their sum is below 1. The learning rule is none the wiser: its p is the
    policy's, sigmoid(w . x).

    Parameters
    ----------
    rates : "learned", or number or array of shape (2,)
        Of the first and the second choice.

    Examples
    --------
    >>> Lapses([0.1, 0.05]).rates.detach()
    tensor([0.1000, 0.0500])
    """

    def __init__(self, rates: Numbers | str) -> None:
        super().__init__()
        learned = isinstance(rates, str)
        if learned and rates != LEARNED:
            raise ValueError(f"lapses should be {LEARNED!r} or numbers, got {rates!r}.")
        given = lapse_rates(START if isinstance(rates, str) else rates)
        self.root_odds = nn.Parameter(lapse_odds(given).sqrt(), requires_grad=learned)

    @property
    def odds(self) -> Tensor:
        """Each rate over that of no lapse, (2,)."""
        return self.root_odds.square()

    @property
    def rates(self) -> Tensor:
        """g0 and g1, (2,)."""
        return self.odds / (1 + self.odds.sum())


def lapse_rates(rates: Numbers) -> Tensor:
    """Return the rates of the first and the second choice, (2,), from one for both or two.

    Examples
    --------
    >>> lapse_rates(0.05)
    tensor([0.0500, 0.0500])
    """
    pair = nonnegative(rates, "lapses", 2)
    if not pair.sum() < 1:
        raise ValueError(f"lapses should add up to less than 1, got {pair.tolist()}.")
    return pair


def lapse_odds(rates: Tensor) -> Tensor:
    """Return each rate over that of no lapse, (2,).

    Examples
    --------
    >>> lapse_odds(lapse_rates([0.1, 0.1]))
    tensor([0.1250, 0.1250])
    """
    return rates / (1 - rates.sum())
