"""The steps of any rule that the compiler takes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..compiler.compiled import code_of, listing_of
from ..rules import LearningRule, Trial
from ._cohort import Array
from ._kernels_state import BLOCK
from ._steps import Steps

MAX_KEPT = 8  # numbers of memory that are kept of every trial, not computed again


class TracedSteps:
    """The steps of a rule that was recorded; its coefficients are their parameters.

    Raises
    ------
    Untraceable
        If a rule cannot be recorded, or its steps are not what it does.
    """

    layout = np.zeros(1, np.int64)
    n_memories = 1

    def __init__(
        self, rule: LearningRule, like: Trial, dtype: torch.dtype, in_filter: bool = False
    ) -> None:
        self.listing = listing_of(rule, like)
        self.code = code_of(self.listing, 64 if dtype == torch.float64 else 32, in_filter)
        k, m = self.listing.sizes["weights"], self.listing.sizes["memory"]
        size = max(2 * k, k + m)
        block = 1 if m <= MAX_KEPT else BLOCK
        self.steps = Steps(
            self.code.forward, self.code.backward, 0, 0, 0, block, k, m, size, 0, k, k
        )

    def pack(self, rule: LearningRule) -> Tensor:
        """Return the rule's coefficients, flat."""
        coefficients = self.listing.trace.settle(rule)
        return torch.cat([coefficient.flatten() for coefficient in [torch.zeros(0), *coefficients]])

    def ready(self, parameters: Array, back: bool) -> Array:
        del back
        return parameters
