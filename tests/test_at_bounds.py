"""A parameter at its bound has no standard error, and leaves the others theirs."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from sklearn_learnrule.training.standard_errors import AT_BOUND, NOT_MAXIMAL, standard_errors

INFORMATION = torch.tensor([[1.0, 0.99], [0.99, 1.0]], dtype=torch.float64)  # least curvature .01
ERRORS = torch.linalg.inv(INFORMATION).diagonal().sqrt().numpy()


class Likelihood:
    """Of two numbers that trials hardly tell apart, and of a root whose square, at best 0, is 0."""

    n_subjects = 1
    model = SimpleNamespace(effects=None)
    are_spreads = np.zeros(3, dtype=bool)

    def __init__(self, root, curvature):
        self.fitted = torch.tensor([1.0, 2.0, root], dtype=torch.float64)
        self.curvature = curvature

    def at(self, parameters):
        parameters = parameters.clone().requires_grad_()
        off = parameters[:2] - self.fitted[:2]
        found = -off @ INFORMATION @ off / 2 - self.curvature * parameters[2] ** 2 / 2
        return found.detach()[None], torch.autograd.grad(found, parameters)[0]

    def values(self, parameters):
        return torch.cat([parameters[:2], parameters[2:] ** 2]).numpy()

    def jacobian(self):
        return np.diag([1.0, 1.0, 2 * self.fitted[2].item()])


# So flat that L-BFGS stops before 0; as it should be; where it stopped at once.
@pytest.mark.parametrize(("root", "curvature"), [(0.1, 0.1), (1e-8, 1e4), (0.0, 1.0)])
def test_a_root_that_may_as_well_be_0_leaves_the_others_their_errors(root, curvature):
    error, _, note = standard_errors(Likelihood(root, curvature))
    assert note == ["", "", AT_BOUND] and np.isnan(error[2])
    np.testing.assert_allclose(error[:2], ERRORS, rtol=1e-4)


def test_a_root_at_0_that_would_leave_it_is_no_maximum():
    assert standard_errors(Likelihood(0.0, -1.0))[2] == [NOT_MAXIMAL] * 3
