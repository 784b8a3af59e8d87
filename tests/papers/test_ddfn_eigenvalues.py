"""Maps whose eigenvalues LAPACK does not find at first: nothing ends, and the departure is right all the same."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch

from gansemble_plugins.ddfn import eigenvalues
from gansemble_plugins.ddfn.departure import departure_from_normality_squared

MAPS = torch.randn(4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def by_schur(x: torch.Tensor) -> float:
    upper, _ = scipy.linalg.schur(x.numpy(), output="complex")
    return float((np.abs(np.triu(upper, 1)) ** 2).sum())


def refusing(monkeypatch: pytest.MonkeyPatch, refuse) -> None:
    for name in ("eig", "eigvals"):
        solve = getattr(torch.linalg, name)

        def stubborn(x, solve=solve):
            if any(refuse(each) for each in x):
                raise torch.linalg.LinAlgError("failed to converge")
            return solve(x)

        monkeypatch.setattr(torch.linalg, name, stubborn)


def test_map_that_does_not_converge_is_solved_as_a_similar_one(monkeypatch):
    """Values and gradients are those of a solver that has no trouble; the other maps are not touched."""
    x = MAPS.clone().requires_grad_()
    expected = departure_from_normality_squared(x)
    (slope,) = torch.autograd.grad(expected.sum(), x)
    refusing(monkeypatch, lambda each: torch.equal(each, MAPS[2]))
    y = MAPS.clone().requires_grad_()
    found = departure_from_normality_squared(y)
    (other,) = torch.autograd.grad(found.sum(), y)
    assert torch.allclose(found, expected, rtol=1e-12) and torch.allclose(other, slope, rtol=1e-9, atol=1e-12)
    assert torch.allclose(departure_from_normality_squared(MAPS), expected, rtol=1e-12)


def test_map_that_never_converges_counts_as_if_its_eigenvalues_were_real(monkeypatch, caplog):
    """Then the departure is half the squared norm of X - X^T, where tr X^2 is positive; the gradient follows it."""
    whole = MAPS + 3 * torch.eye(8, dtype=torch.float64)
    refusing(monkeypatch, lambda each: abs(float(each.trace() - whole[1].trace())) < 1e-9)
    x = whole.clone().requires_grad_()
    value = departure_from_normality_squared(x)
    (slope,) = torch.autograd.grad(value[1], x)
    skew = whole[1] - whole[1].T
    assert float(value[1]) == pytest.approx(0.5 * float(skew.square().sum()))
    assert torch.allclose(slope[1], 2 * skew) and "were not found" in caplog.text
    assert float(value[0]) == pytest.approx(by_schur(whole[0]))


def test_reflections_are_their_own_inverse_and_keep_eigenvalues():
    mirror = eigenvalues._reflection(8, 2.0, MAPS)
    assert torch.allclose(mirror @ mirror, torch.eye(8, dtype=torch.float64), atol=1e-14)
    assert by_schur(mirror @ MAPS[0] @ mirror) == pytest.approx(by_schur(MAPS[0]), rel=1e-10)


def test_half_silent_pictures_have_the_value_of_their_schur_form():
    """Steps, floors and single events, such as real clips with much silence are."""
    drawn = torch.Generator().manual_seed(1)
    for share in (0.4, 0.6, 0.85):
        x = torch.full((6, 64, 64), -1.0, dtype=torch.float64)
        length = round(64 * (1 - share))
        x[:, :length] = torch.rand(6, length, 64, generator=drawn, dtype=torch.float64) * 1.5 - 1
        found = departure_from_normality_squared(x)
        assert found.tolist() == pytest.approx([by_schur(each) for each in x], rel=1e-9)
