"""The optimisers' TensorFlow forms, held to what TensorFlow's own make of the same gradients (README_tensorflow.md)."""

from __future__ import annotations

import functools
import io
import math
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
import torch

from gansemble.recipe import check, fill
from gansemble.training.ema import Ema
from gansemble_plugins.basics.optimisers import adam, adamw, rmsprop
from gansemble_plugins.wavegan.published import recipe_of

from . import oracles

torch.set_num_threads(1)
STEPS, SIZE = 60, 16
ADAMS = {"wavegan": (1e-4, (0.5, 0.9)), "gansynth": (8e-4, (0.0, 0.99)), "slow": (1e-3, (0.9, 0.999))}
EGS = Path(__file__).parents[3] / "egs"
PUBLISHED = [*(f"{corpus}/{name}" for corpus in ("sc09", "drums", "piano") for name in ("wavegan", "specgan"))]
PUBLISHED += ["nsynth/gansynth"]
every_adam = pytest.mark.parametrize("name", ADAMS)


@functools.cache
def stored() -> dict[str, np.ndarray]:
    return oracles.load("tensorflow_adam")


def gradients(dtype: torch.dtype = torch.float64) -> Iterable[torch.Tensor]:
    """As make_tensorflow_adam.py draws them: factors from 1 to 1e-12."""
    factors = 10.0 ** -(12 * (np.arange(SIZE) / (SIZE - 1)))
    return (torch.from_numpy(each).to(dtype) for each in oracles.noise(0, STEPS, SIZE) * factors)


def fresh(dtype: torch.dtype = torch.float64, *shape: int) -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.zeros(shape or (SIZE,), dtype=dtype))


def path(
    make: Callable[..., torch.optim.Optimizer], dtype: torch.dtype = torch.float64, **condition: object
) -> torch.Tensor:
    """The weights after each step, from zeros [STEPS, SIZE]."""
    weight = fresh(dtype)
    optimiser, found = make([weight], **condition), []
    for each in gradients(dtype):
        weight.grad = each
        optimiser.step()
        found.append(weight.detach().clone())
    return torch.stack(found)


def named(name: str, form: str) -> dict[str, object]:
    rate, betas = ADAMS[name]
    return {"lr": rate, "betas": betas, "epsilon_form": form}


def apart(ours: torch.Tensor, theirs: np.ndarray, rate: float) -> float:
    """The largest difference of any weight at any step, in learning rates."""
    return float((ours.double() - torch.from_numpy(theirs)).abs().max()) / rate


@every_adam
def test_adam_is_tensorflows(name: str) -> None:
    """Every weight after each of 60 steps, whatever the size of its gradients; torch's form is another thing."""
    rate = ADAMS[name][0]
    assert apart(path(adam, **named(name, "tensorflow")), stored()[name], rate) < 1e-11
    assert apart(path(adam, **named(name, "torch")), stored()[name], rate) > 0.1


def test_adam_is_tensorflows_in_float32() -> None:
    assert apart(path(adam, torch.float32, **named("wavegan", "tensorflow")), stored()["wavegan"], 1e-4) < 1e-4


def test_adamw_without_decay_is_adam() -> None:
    condition = named("wavegan", "tensorflow")
    assert torch.equal(path(adamw, weight_decay=0.0, **condition), path(adam, **condition))


def test_rmsprop_is_tensorflows() -> None:
    """Its mean square begins at 1 and epsilon is added to it: neither is so in torch's."""
    condition = {"lr": 5e-5, "alpha": 0.9, "eps": 1e-10}
    ours = path(rmsprop, epsilon_form="tensorflow", **condition)
    assert apart(ours, stored()["rmsprop"], 5e-5) < 1e-11
    assert apart(path(rmsprop, **condition), stored()["rmsprop"], 5e-5) > 1


def test_the_average_of_weights_is_tensorflows() -> None:
    """GANSynth's: it begins with the first weights, and its decay is the same from the first step on."""
    network = torch.nn.ParameterList([torch.ones(SIZE, dtype=torch.float64)])
    average = Ema(network, 1 - float(np.float32(1) - np.float32(0.999)))  # TensorFlow keeps a decay in float32
    for given, theirs in zip(oracles.noise(1, STEPS, SIZE), stored()["average"], strict=True):
        network[0].data.copy_(torch.from_numpy(given))
        average.update(network)
        assert np.allclose(average.shadow[0].numpy(), theirs, rtol=0, atol=1e-14)  # type: ignore[index]


@pytest.mark.parametrize("recipe", [*PUBLISHED, "fsdd/wavegan", "fsdd/specgan"])
def test_recipes_as_published_choose_tensorflows_epsilon(recipe: str) -> None:
    """And imported experiments do."""
    filled = fill.fill(check.load(EGS / recipe / "conf" / "v1.yaml"))
    rate, betas = ADAMS["gansynth" if recipe == "nsynth/gansynth" else "wavegan"]
    for side in ("generator", "discriminators"):
        condition = filled["optimisers"][side]
        found = (
            condition["use"],
            condition["lr"],
            tuple(condition["betas"]),
            condition["eps"],
            condition["epsilon_form"],
        )
        assert found == ("adam", rate, betas, 1e-8, "tensorflow")
    if recipe == "nsynth/gansynth":
        assert filled["discriminators"]["critic"]["minibatch_deviation_gradient"] == "tensorflow"
        assert filled["plan"]["ema"] == 0.999
    shape = {"dim": 64, "kernel": 25, "base": 16, "channels": 1, "segment": 16384}
    assert all(each["epsilon_form"] == "tensorflow" for each in recipe_of(shape, 16000)["optimisers"].values())


@pytest.mark.parametrize("make", [adam, adamw, rmsprop])
def test_torchs_form_is_torchs_own(make: Callable[..., torch.optim.Optimizer]) -> None:
    """Nothing hangs on it, and its steps are the same to the last bit."""
    own = {adam: torch.optim.Adam, adamw: torch.optim.AdamW, rmsprop: torch.optim.RMSprop}[make]
    condition = {"lr": 1e-3} if make is rmsprop else {"lr": 1e-3, "betas": (0.5, 0.9)}
    optimiser = make([fresh()], **condition)
    assert type(optimiser) is own and not optimiser._optimizer_step_pre_hooks
    fused = {} if make is rmsprop else {"fused": True}
    assert torch.equal(path(make, torch.float32, **condition), path(own, torch.float32, **condition, **fused))


def test_the_first_steps_epsilon_is_larger_by_the_root_of_the_correction() -> None:
    """eps / sqrt(1 - beta2): 3.2e-8 for WaveGAN, 1e-7 for GANSynth."""
    for beta, expected in ((0.9, 3.16e-8), (0.99, 1e-7)):
        weight, gradient = fresh(torch.float64, 1), 1e-8
        optimiser = adam([weight], lr=1.0, betas=(0.0, beta), epsilon_form="tensorflow")
        weight.grad = torch.full((1,), gradient, dtype=torch.float64)
        optimiser.step()
        epsilon = 1e-8 / math.sqrt(1 - beta)
        assert epsilon == pytest.approx(expected, rel=1e-2)
        assert -weight.item() == pytest.approx(gradient / (gradient + epsilon), rel=1e-12)


def kept(optimiser: torch.optim.Optimizer) -> dict[str, object]:
    """Its state by way of a file."""
    file = io.BytesIO()
    torch.save(optimiser.state_dict(), file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("make", [adam, rmsprop])
@pytest.mark.parametrize("stop", [1, 30])
def test_a_resumed_run_goes_on_bit_for_bit(make: Callable[..., torch.optim.Optimizer], stop: int) -> None:
    condition = {"lr": 1e-3, "epsilon_form": "tensorflow"}
    whole, weight = path(make, **condition), fresh()
    optimiser = make([weight], **condition)
    for step, each in enumerate(gradients()):
        if step == stop:
            state, weight = kept(optimiser), fresh()
            weight.data.copy_(whole[step - 1])
            optimiser = make([weight], **condition)
            optimiser.load_state_dict(state)
            assert optimiser.param_groups[0]["eps"] == 1e-8  # the recipe's, not a step's
        weight.grad = each
        optimiser.step()
        assert torch.equal(weight, whole[step])


def test_state_that_was_cleared_counts_from_the_start() -> None:
    """As a phase with fresh optimisers clears it, also after the correction has faded."""
    whole, weight = path(adam, epsilon_form="tensorflow"), fresh()
    optimiser = adam([weight], epsilon_form="tensorflow")
    for _ in range(400):
        weight.grad = torch.ones_like(weight)
        optimiser.step()
    optimiser.state.clear()
    weight.data.zero_()
    for step, each in enumerate(gradients()):
        weight.grad = each
        optimiser.step()
        assert torch.equal(weight, whole[step])


def test_groups_have_their_own_betas_and_epsilons() -> None:
    """Two groups step as two optimisers would."""
    condition = [{"betas": (0.5, 0.9), "eps": 1e-8}, {"betas": (0.0, 0.99), "eps": 1e-5}]
    apart_ = [path(adam, epsilon_form="tensorflow", **each) for each in condition]
    weights = [fresh(), fresh()]
    groups = [{"params": [weight], **each} for weight, each in zip(weights, condition, strict=True)]
    optimiser = adam(groups, epsilon_form="tensorflow")  # type: ignore[arg-type]
    for step, each in enumerate(gradients()):
        for weight in weights:
            weight.grad = each.clone()
        optimiser.step()
        assert all(torch.equal(weight, alone[step]) for weight, alone in zip(weights, apart_, strict=True))


def test_a_step_that_a_gradient_scaler_leaves_out_is_not_counted() -> None:
    """A scaler hands its findings to the fused kernel, which then changes nothing."""
    whole, weight = path(adam, torch.float32, epsilon_form="tensorflow"), fresh(torch.float32)
    optimiser, scaler = adam([weight], epsilon_form="tensorflow"), torch.amp.GradScaler("cpu", init_scale=2.0)
    for step, each in enumerate(gradients(torch.float32)):
        for gradient in (torch.full_like(each, math.inf), each) if step % 7 == 3 else (each,):
            scaler.scale((weight * gradient).sum()).backward()
            scaler.step(optimiser)
            scaler.update()
            optimiser.zero_grad()
        assert torch.allclose(weight, whole[step], rtol=1e-5, atol=1e-9)
    assert int(optimiser.state[weight]["step"]) == STEPS
