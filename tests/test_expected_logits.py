"""Logits averaged over what a filter knows of the weights: compiled, they are torch's."""

import pytest
import torch

from sklearn_learnrule.engine import expected_logits
from sklearn_learnrule.rules import Policy, filtered_logit, pack


def make_rows(n_choices, n_features, *shape, dtype=torch.float64):
    """Return rows of a path, features, and the policy."""
    torch.manual_seed(0)
    k = n_features * (n_choices - 1)
    root = torch.randn(*shape, k, k, dtype=dtype)
    row = torch.cat([torch.randn(*shape, k, dtype=dtype), pack(root @ root.mT)], -1)
    return row, torch.randn(*shape, n_features, dtype=dtype), Policy(n_choices)


def in_torch(path, features, policy):
    return filtered_logit(
        *path.tensor_split([policy.n_sets * features.shape[-1]], -1), features, policy
    )


def gradient(logits, path):
    weighed = (torch.linspace(-1, 1, logits.numel()).view_as(logits) * logits).sum()
    return torch.autograd.grad(weighed, path)[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("n_choices", "n_features"), [(2, 1), (2, 4), (3, 1), (3, 2), (4, 3)])
def test_compiled_logits_and_their_gradient_are_torchs(n_choices, n_features, dtype):
    path, features, policy = make_rows(n_choices, n_features, 3, 50, dtype=dtype)
    path.requires_grad_()
    found, truth = (of(path, features, policy) for of in (expected_logits, in_torch))
    assert found.dtype == dtype and found.shape == (3, 50, *policy.shape)
    torch.testing.assert_close(found, truth)
    torch.testing.assert_close(gradient(found, path), gradient(truth, path))


def test_models_of_an_ensemble_see_the_same_trials():
    path, features, policy = make_rows(3, 2, 4, 30)
    found = expected_logits(path, features[0], policy)
    for one, its_own in zip(path, found, strict=True):
        torch.testing.assert_close(its_own, in_torch(one, features[0], policy))


def test_nor_has_each_trial_a_row_of_its_own():
    path, features, policy = make_rows(3, 2, 6)
    for rows in path[0], path[:1]:
        rows = rows.clone().requires_grad_()
        found, truth = (of(rows, features, policy) for of in (expected_logits, in_torch))
        torch.testing.assert_close(found, truth)
        torch.testing.assert_close(gradient(found, rows), gradient(truth, rows))


@pytest.mark.parametrize("change", [-1, 1])
def test_rows_of_another_width_are_refused(change):
    path, features, policy = make_rows(2, 2, 3)
    path = torch.zeros(3, path.shape[-1] + change, dtype=path.dtype)
    with pytest.raises(ValueError, match=f"should be 5 wide, got {5 + change}"):
        expected_logits(path, features, policy)


@pytest.mark.parametrize("n_choices", [2, 3])
@pytest.mark.parametrize("size", [0.0, -1e-17, 1e20, float("inf"), float("nan")])
def test_no_covariance_is_too_odd_for_them(n_choices, size):
    path, features, policy = make_rows(n_choices, 2, 10)
    k = 2 * policy.n_sets
    path = torch.cat([path[:, :k], size * path[:, k:]], -1)
    found = expected_logits(path, features, policy)
    torch.testing.assert_close(found, in_torch(path, features, policy), equal_nan=True)
    if abs(size) <= 1:
        torch.testing.assert_close(found, policy.logits(path[:, :k], features))


def test_threads_change_no_bit(set_threads):
    path, features, policy = make_rows(2, 3, 7000)
    path.requires_grad_()
    results = []
    for n_threads in (1, 3):
        set_threads(n_threads)
        logits = expected_logits(path, features, policy)
        results += [(logits.detach(), gradient(logits, path))]
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_who_asks_for_more_than_is_compiled_gets_torch_or_is_told():
    path, features, policy = make_rows(2, 2, 10)
    path.requires_grad_()
    (first,) = torch.autograd.grad(
        expected_logits(path, features, policy, engine="loop").sum(), path, create_graph=True
    )
    assert first.requires_grad
    with pytest.raises(RuntimeError, match="first derivatives only"):
        torch.autograd.grad(expected_logits(path, features, policy).sum(), path, create_graph=True)
    features.requires_grad_()
    assert torch.autograd.grad(expected_logits(path, features, policy).sum(), features)[0].any()
    half = expected_logits(path.half(), features.detach().half(), policy)
    assert half.dtype == torch.float16
    nowhere = expected_logits(path.to("meta"), features.detach().to("meta"), policy)
    assert nowhere.device.type == "meta"


@pytest.mark.parametrize("engine", ["auto", "fused"])
@pytest.mark.parametrize(("n_choices", "n_features"), [(2, 60), (5, 12), (8, 1), (8, 2)])
def test_what_is_too_large_to_be_compiled_is_torchs(n_choices, n_features, engine):
    path, features, policy = make_rows(n_choices, n_features, 2)
    path.requires_grad_()
    found = expected_logits(path, features, policy, engine=engine)
    truth = in_torch(path, features, policy)
    torch.testing.assert_close(found, truth)
    torch.testing.assert_close(gradient(found, path), gradient(truth, path))


def test_no_rows_have_no_logits():
    path, features, policy = make_rows(3, 2, 0, 5)
    assert expected_logits(path, features, policy).shape == (0, 5, 2)
