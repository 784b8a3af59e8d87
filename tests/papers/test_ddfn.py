"""The departure from normality against closed forms, the Schur form and its invariances; its gradient, bounds and shapes."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import scipy.linalg
import torch
from torch import Tensor

from gansemble_plugins.ddfn.bounds import elsner_lower_bound, henrici_upper_bound, kress_lower_bound
from gansemble_plugins.ddfn.departure import departure_from_normality_squared as exact
from gansemble_plugins.ddfn.literal import literal_approximation
from gansemble_plugins.ddfn.squares import as_square, per_pixel
from gansemble_plugins.ddfn.surrogates import asymmetry, lee_upper_bound, symmetric_part_departure

FORMS = [exact, asymmetry, lee_upper_bound, symmetric_part_departure]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def orthogonal(n: int, seed: int = 0) -> Tensor:
    return torch.linalg.qr(noise(n, n, seed=seed))[0]


def circulant(n: int) -> Tensor:
    first = noise(n, seed=3)
    return torch.stack([first.roll(shift) for shift in range(n)])


def jordan(n: int, corner: float = 0.0) -> Tensor:
    block = torch.diag(torch.ones(n - 1, dtype=torch.float64), 1)
    block[n - 1, 0] += corner
    return block


def schur(x: Tensor) -> float:
    """The strictly upper part's squared norm: a way of its own to the same number."""
    t, _ = scipy.linalg.schur(x.double().numpy(), output="complex")
    return float((abs(t[~torch.tril(torch.ones(t.shape, dtype=torch.bool)).numpy()]) ** 2).sum())


def pixel(i: int, j: int, value: float, rest: float, n: int = 9) -> Tensor:
    x = torch.full((n, n), rest, dtype=torch.float64)
    x[i, j] = value
    return x


# values -----------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5, 40, 128])
def test_the_value_is_that_of_the_schur_form(n: int) -> None:
    x = noise(n, n, seed=n)
    assert float(exact(x)) == pytest.approx(schur(x), abs=1e-12 * float(x.square().sum()), rel=1e-11)
    assert n > 1 or float(exact(x)) == 0


NORMAL = {
    "symmetric": noise(12, 12) + noise(12, 12).T,
    "skew-symmetric": noise(12, 12) - noise(12, 12).T,
    "orthogonal": orthogonal(12),
    "circulant": circulant(12),
    "diagonal": torch.diag(noise(12)),
    "identity": 3 * torch.eye(12, dtype=torch.float64),
    "zero": torch.zeros(12, 12, dtype=torch.float64),
    "constant": torch.full((12, 12), -1.0, dtype=torch.float64),
}


@pytest.mark.parametrize("family", NORMAL)
def test_a_normal_matrix_has_no_departure_and_no_slope(family: str) -> None:
    x = NORMAL[family].clone().requires_grad_()
    value = exact(x)
    (slope,) = torch.autograd.grad(value, x)
    energy = float(x.detach().square().sum())
    assert abs(value.item()) <= 1e-12 * energy
    # Eigenvectors of repeated eigenvalues are only as orthogonal as LAPACK leaves them.
    assert float(slope.abs().max()) <= 1e-7 * max(1.0, energy**0.5)


T, U_, V_ = noise(7, 7, seed=4), noise(8, seed=5), noise(8, seed=6)
CLOSED = {
    "upper triangular": (T.triu(), float(T.triu(1).square().sum())),
    "lower triangular": (T.tril(), float(T.tril(-1).square().sum())),
    "Jordan block": (jordan(6), 5.0),
    "Jordan block with a corner": (jordan(6, 0.3), 5 + 0.09 - 6 * 0.3 ** (2 / 6)),
    "rank one": (torch.outer(U_, V_), float(U_ @ U_ * (V_ @ V_) - (U_ @ V_) ** 2)),
    "2 x 2, real eigenvalues": (torch.tensor([[1.0, 3.0], [0.5, -1.0]]).double(), 6.25),
    "2 x 2, complex eigenvalues": (torch.tensor([[1.0, 3.0], [-2.0, 0.5]]).double(), 1 + 9 + 4 + 0.25 - 2 * (0.5 + 6)),
    "one pixel on black": (pixel(2, 5, 1, 0), 1.0),
    "one pixel on -1": (pixel(2, 5, 1, -1), 4.0),
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms(name: str) -> None:
    x, expected = CLOSED[name]
    assert float(exact(x)) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_what_leaves_the_departure_alone_and_what_does_not() -> None:
    """Swapping time and frequency is one of the former; shifting a clip in time is one of the latter."""
    x, q = noise(12, 12), orthogonal(12, 1)
    same = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    alike = {
        "similar": q.T @ x @ q, "permuted": x[same][:, same], "transposed": x.T, "shifted": x + 5 * torch.eye(12),
        "turned": x.rot90(2), "rolled along both axes": x.roll((3, 3), (0, 1)),
    }  # fmt: skip
    other = {
        "rows permuted": x[same], "flipped": x.flip(1), "later in time": x.roll(3, 1), "brighter": x + 1,
    }  # fmt: skip
    expected = float(exact(x))
    for name, y in alike.items():
        assert float(exact(y)) == pytest.approx(expected, rel=1e-11), name
    for name, y in other.items():
        assert abs(float(exact(y)) - expected) > 1e-3 * expected, name
    assert float(exact(-3 * x)) == pytest.approx(9 * expected, rel=1e-11)
    blocks = torch.block_diag(x, noise(5, 5, seed=9))
    assert float(exact(blocks)) == pytest.approx(expected + float(exact(noise(5, 5, seed=9))), rel=1e-11)


def test_it_is_the_asymmetry_less_what_imaginary_parts_account_for() -> None:
    x = noise(20, 30, 30)
    imaginary = torch.linalg.eigvals(x).imag.square().sum(-1)
    assert torch.allclose(exact(x), asymmetry(x) - 2 * imaginary, rtol=1e-11)


# gradients --------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_gradients_are_those_of_finite_differences(form: Callable[[Tensor], Tensor]) -> None:
    assert torch.autograd.gradcheck(form, noise(3, 6, 6).requires_grad_())


def test_the_gradient_is_the_closed_form() -> None:
    """2 X - 2 Re(W conj(L) W^-1)^T, by numpy's own eigenvectors."""
    x = noise(40, 40).requires_grad_()
    (slope,) = torch.autograd.grad(exact(x), x)
    values, w = scipy.linalg.eig(x.detach().numpy())
    expected = 2 * x.detach() - 2 * torch.from_numpy(
        (w @ torch.diag(torch.from_numpy(values.conj())).numpy() @ scipy.linalg.inv(w)).real.T
    )
    assert torch.allclose(slope, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n", [3, 8])
def test_the_gradient_near_a_jordan_block_grows_unless_it_is_guarded(n: int) -> None:
    """|2 e - 2 e^(2/n - 1)| at the corner e, which no bound holds; guarded it stays that of the asymmetry."""
    x = jordan(n, 1e-8).requires_grad_()
    (plain,) = torch.autograd.grad(exact(x, kappa_max=math.inf), x)
    (guarded,) = torch.autograd.grad(exact(x, kappa_max=1e4), x)
    assert float(plain.abs().max()) == pytest.approx(abs(2e-8 - 2 * 1e-8 ** (2 / n - 1)), rel=1e-6)
    assert torch.equal(guarded, 2 * (x - x.T).detach())


@pytest.mark.parametrize("kappa_max", [1e6, math.inf])
@pytest.mark.parametrize("x", [jordan(8), torch.full((16, 16), -1.0), torch.zeros(16, 16), torch.eye(16)])
def test_gradients_of_what_has_no_eigenbasis_or_is_silent_are_finite(x: Tensor, kappa_max: float) -> None:
    """Beside a good map in one batch, whose gradient is untouched."""
    good = noise(x.shape[-1], x.shape[-1])
    batch = torch.stack([x.double(), good]).requires_grad_()
    alone = good.clone().requires_grad_()
    (slope,) = torch.autograd.grad(exact(batch, kappa_max=kappa_max).sum(), batch)
    (expected,) = torch.autograd.grad(exact(alone), alone)
    assert bool(torch.isfinite(slope).all())
    assert torch.allclose(slope[1], expected, rtol=1e-9, atol=1e-12)


def test_single_precision_maps_get_gradients_of_double_precision() -> None:
    x = noise(2, 64, 64)
    single, double = x.float().requires_grad_(), x.float().double().requires_grad_()
    (ours,) = torch.autograd.grad(exact(single).sum(), single)
    (wide,) = torch.autograd.grad(exact(double).sum(), double)
    assert ours.dtype == torch.float32
    assert float((ours.double() - wide).norm() / wide.norm()) < 2e-7


def test_a_satisfied_bound_costs_no_inverse(monkeypatch: pytest.MonkeyPatch) -> None:
    x = noise(2, 8, 8).requires_grad_()
    value = exact(x)
    monkeypatch.setattr(torch.linalg, "inv_ex", None)
    (slope,) = torch.autograd.grad(0 * value.sum(), x)
    assert torch.equal(slope, torch.zeros_like(slope))


# what comes in ----------------------------------------------------------

SURVIVES = """
import torch
from gansemble_plugins.ddfn.departure import departure_from_normality_squared as exact
from gansemble_plugins.ddfn.literal import literal_approximation
for bad in (float("nan"), float("inf"), -float("inf")):
    for dtype in (torch.float32, torch.float64, torch.float16):
        x = torch.randn(3, 32, 32).to(dtype)
        x[1, 3, 4] = bad
        assert torch.isnan(exact(x)).tolist() == [False, True, False]
        assert torch.isnan(exact(torch.full((1, 16, 16), bad, dtype=dtype))).all()
        assert torch.isnan(literal_approximation(x).log_determinant).tolist() == [False, True, False]
        y = x.clone().requires_grad_()
        value = exact(y)
        value.sum().backward()
        assert torch.isnan(value).tolist() == [False, True, False]
        assert torch.isnan(y.grad).flatten(1).any(1).tolist() == [False, True, False]
print("alive")
"""


def test_numbers_that_are_not_finite_do_not_end_the_process() -> None:
    """In a process of its own: LAPACK may end it at a NaN in single precision."""
    done = subprocess.run([sys.executable, "-c", SURVIVES], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip()) == (0, "alive"), done.stderr[-500:]


@pytest.mark.parametrize("form", [*FORMS, kress_lower_bound, elsner_lower_bound, henrici_upper_bound])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_autocast_change_nothing(form: Callable[[Tensor], Tensor], dtype: torch.dtype) -> None:
    """Half-precision maps are worth what their numbers are worth in float32, inside autocast or not."""
    x = noise(3, 16, 16).to(dtype)
    expected = form(x.float())
    with torch.autocast("cpu", torch.bfloat16):
        inside, wide = form(x), form(x.float())
    for value in (form(x), inside, wide):
        assert value.dtype in (torch.float32, torch.float64)
        assert torch.equal(value, expected)


@pytest.mark.parametrize("form", FORMS)
def test_a_batch_is_its_items_one_by_one(form: Callable[[Tensor], Tensor]) -> None:
    x = noise(2, 3, 10, 10)
    one_by_one = torch.stack([torch.stack([form(each) for each in item]) for item in x])
    assert form(x).shape == (2, 3) and form(x[0, 0]).shape == ()
    assert torch.allclose(form(x), one_by_one, rtol=1e-12)
    assert form(x[:0]).shape == (0, 3)


def test_eigenvalues_may_be_computed_elsewhere() -> None:
    """On the CPU for maps that lie on another device; here there is but one."""
    x = noise(2, 8, 8).float().requires_grad_()
    ours, there = exact(x), exact(x, device="cpu")
    assert torch.equal(ours, there) and there.device == x.device
    assert torch.equal(*(torch.autograd.grad(each.sum(), x)[0] for each in (ours, there)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("x", "says"),
    [
        (torch.zeros(3, 4), r"square maps \[..., n, n\].*\(3, 4\)"),
        (torch.zeros(4), "square"),
        (torch.zeros(2, 0, 0), "square"),
        (torch.zeros(4, 4, dtype=torch.int64), "floating-point numbers, got torch.int64"),
        (torch.zeros(4, 4, dtype=torch.complex64), "real floating-point"),
    ],
)
def test_maps_that_are_none_are_named(form: Callable[[Tensor], Tensor], x: Tensor, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        form(x)


def test_a_condition_number_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match=r"kappa_max must be at least 1.*got 0\.5"):
        exact(torch.zeros(2, 2), kappa_max=0.5)


# bounds and the paper's approximation ------------------------------------


@pytest.mark.parametrize("kind", ["noise", "triangular", "positive", "smooth"])
def test_bounds_keep_their_order(kind: str) -> None:
    x = noise(500, 6, 6)
    x = {"noise": x, "triangular": x.triu(), "positive": x.abs(), "smooth": x.cumsum(-1).cumsum(-2)}[kind]
    energy = x.square().sum((-2, -1))
    trace = (x @ x).diagonal(dim1=-2, dim2=-1).sum(-1)
    chain = [
        torch.zeros_like(energy), elsner_lower_bound(x), kress_lower_bound(x, centre=False), kress_lower_bound(x),
        exact(x), lee_upper_bound(x), torch.minimum(asymmetry(x), energy - trace.abs()),
    ]  # fmt: skip
    for lower, upper in itertools.pairwise(chain):
        # The lower bounds of centred maps are better up to rounding, where both are near nothing.
        assert bool((lower <= upper + 1e-6 * energy).all())
    assert bool((exact(x) <= henrici_upper_bound(x) + 1e-9 * energy).all())


def test_upper_bounds_are_equal_where_eigenvalues_are_real() -> None:
    x = noise(20, 8, 8).triu()
    assert torch.allclose(asymmetry(x), exact(x), rtol=1e-9)
    assert torch.allclose(lee_upper_bound(x), exact(x), rtol=1e-9)


def test_lees_bound_is_the_asymmetry_where_the_trace_is_positive_and_not_where_it_is_negative() -> None:
    symmetric, skew = noise(8, 8) + noise(8, 8).T, noise(8, 8, seed=1) - noise(8, 8, seed=1).T
    x, y = 3 * symmetric + skew, 0.3 * symmetric + skew
    assert float(lee_upper_bound(x)) == pytest.approx(float(asymmetry(x)), rel=1e-12)
    assert float(lee_upper_bound(y)) < 0.7 * float(asymmetry(y))
    assert float(lee_upper_bound(skew)) == pytest.approx(0, abs=1e-12)
    assert float(lee_upper_bound(orthogonal(20))) > 10  # normal, yet not 0


@pytest.mark.parametrize("bound", [lee_upper_bound, kress_lower_bound])
def test_centred_bounds_do_not_move_with_the_diagonal(bound: Callable[[Tensor], Tensor]) -> None:
    """As the departure does not; a bound that is not centred gets worse."""
    x = noise(5, 8, 8)
    shifted = x + 7 * torch.eye(8)
    assert torch.allclose(bound(shifted), bound(x), rtol=1e-8)
    assert bool((kress_lower_bound(shifted, centre=False) < 0.5 * kress_lower_bound(shifted)).all())


def test_the_symmetric_part_at_full_size_is_half_the_asymmetry() -> None:
    x = noise(3, 8, 8)
    assert torch.allclose(symmetric_part_departure(x, factor=1), asymmetry(x) / 2, rtol=1e-12)
    smooth = torch.nn.functional.interpolate(x[:, None], scale_factor=2)[:, 0]
    assert torch.allclose(symmetric_part_departure(smooth), 4 * symmetric_part_departure(x, factor=1), rtol=1e-12)
    with pytest.raises(ValueError, match=r"multiple of 2 .*got 9"):
        symmetric_part_departure(torch.zeros(9, 9))


@pytest.mark.parametrize("k", [1, 16, 41, 128])
def test_the_printed_approximation_stays_in_logarithms(k: int) -> None:
    """Its constant alone is 10^4756 at 256 x 256 pixels."""
    found = literal_approximation(noise(2, 2 * k, 2 * k).float())
    expected = k / 2 * math.log(2) + sum(math.lgamma(i / 2) for i in range(1, k + 1))
    assert found.log_constant == pytest.approx(expected, rel=1e-12)
    assert bool(torch.isfinite(found.log_determinant).all()) and set(found.sign.abs().tolist()) == {1.0}
    if k == 128:
        assert found.log_constant / math.log(10) == pytest.approx(4756, abs=1)


def test_the_printed_approximation_is_of_the_halved_symmetric_part() -> None:
    x = noise(6, 6)
    small = x.reshape(3, 2, 3, 2).mean((1, 3))
    found = literal_approximation(x)
    determinant = float(torch.linalg.det((small + small.T) / 2))
    assert float(found.sign * found.log_determinant.exp()) == pytest.approx(determinant, rel=1e-10)


def test_the_printed_approximation_follows_the_side_and_not_the_map() -> None:
    """ln |det f| + constant moves by k ln c when the map is scaled by c, where sum |eigenvalue|^2 moves by c^2."""
    x = noise(64, 64)
    once, scaled = literal_approximation(x), literal_approximation(10 * x)
    assert float(scaled.log_determinant - once.log_determinant) == pytest.approx(32 * math.log(10), rel=1e-9)


# maps that are not square -------------------------------------------------


def test_policies_make_square_maps() -> None:
    x = noise(2, 3, 8, 12)
    sides = {
        policy: tuple(as_square(x, policy).shape[-2:]) for policy in ("resize_shorter", "resize_longer", "crop", "pad")
    }  # type: ignore[arg-type]
    assert sides == {"resize_shorter": (8, 8), "resize_longer": (12, 12), "crop": (8, 8), "pad": (12, 12)}
    assert torch.equal(as_square(x, "crop"), x[..., 2:10]) and torch.equal(as_square(x.mT, "crop"), x.mT[:, :, 2:10])
    assert torch.equal(as_square(x[..., :8], "error"), x[..., :8])
    with pytest.raises(ValueError, match=r"got 8 x 12; choose squares: resize_shorter"):
        as_square(x, "error")
    with pytest.raises(ValueError, match=r"\[B, C, H, W\], got shape \(8, 12\)"):
        as_square(x[0, 0], "crop")


def test_resizing_keeps_what_is_constant_and_does_not_alias() -> None:
    # A mean of about 16 columns each, not of the two in the middle.
    assert float(as_square(noise(1, 1, 64, 512), "resize_shorter").std()) < 0.4
    assert torch.allclose(as_square(torch.ones(1, 1, 8, 12), "resize_longer"), torch.ones(1, 1, 12, 12))


@pytest.mark.parametrize("tall", [False, True])
def test_padding_counts_all_that_lies_outside_the_leading_square(tall: bool) -> None:
    x = noise(1, 1, 5, 9)
    x = x.mT if tall else x
    eigenvalues = torch.linalg.eigvals(x[0, 0, :5, :5])
    expected = x.square().sum() - eigenvalues.abs().square().sum()
    assert float(exact(as_square(x, "pad"))) == pytest.approx(float(expected), rel=1e-10)


def test_channels_are_averaged_after_or_before() -> None:
    x = noise(2, 3, 8, 8)
    assert torch.allclose(per_pixel(x, exact), exact(x).mean(1) / 64)
    assert torch.allclose(per_pixel(x, exact, channels="average_first"), exact(x.mean(1)) / 64)
    with pytest.raises(ValueError, match="mean or average_first, got 'sum'"):
        per_pixel(x, exact, channels="sum")  # type: ignore[arg-type]


def test_values_per_pixel_do_not_grow_with_the_map() -> None:
    x = noise(1, 1, 16, 16)
    fine = torch.nn.functional.interpolate(x, scale_factor=2)
    assert float(per_pixel(fine, exact)) == pytest.approx(float(per_pixel(x, exact)), rel=1e-10)
