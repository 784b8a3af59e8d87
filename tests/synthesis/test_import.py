"""Published HiFi-GAN checkpoints, made here by an independent implementation with torch's old weight norm."""

import json
import pickle
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gansemble.errors import CheckpointError, GansembleError
from gansemble.inference import loading
from gansemble.interfaces import Condition
from gansemble.parts.weight_norm import load_into, translate
from gansemble.recipe import check
from gansemble.training import checkpoint
from gansemble_plugins.hifigan.discriminators import MultiPeriod, MultiScale
from gansemble_plugins.hifigan.published import write_experiment
from gansemble_plugins.specdiff.discriminators import MultiResolution

torch.set_num_threads(1)
CONFIG = {
    "resblock": "1",
    "num_gpus": 0,
    "batch_size": 16,
    "learning_rate": 0.0001,
    "adam_b1": 0.8,
    "adam_b2": 0.99,
    "lr_decay": 0.998,
    "seed": 1234,
    "upsample_rates": [8, 8],
    "upsample_kernel_sizes": [16, 16],
    "upsample_initial_channel": 16,
    "resblock_kernel_sizes": [3, 7],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5]],
    "segment_size": 4096,
    "num_mels": 20,
    "num_freq": 129,
    "n_fft": 256,
    "hop_size": 64,
    "win_size": 256,
    "sampling_rate": 16000,
    "fmin": 0,
    "fmax": 8000,
    "fmax_for_loss": None,
    "resolutions": [[128, 32, 128], [64, 16, 64]],
}


def weight_norm(layer: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nn.utils.weight_norm(layer)


# the published networks, written again ----------------------------------


class Block1(nn.Module):
    def __init__(self, channels, kernel, dilations):
        super().__init__()
        self.convs1 = nn.ModuleList(
            weight_norm(nn.Conv1d(channels, channels, kernel, 1, (kernel * d - d) // 2, d)) for d in dilations
        )
        self.convs2 = nn.ModuleList(
            weight_norm(nn.Conv1d(channels, channels, kernel, 1, (kernel - 1) // 2)) for _ in dilations
        )

    def forward(self, x):
        for c1, c2 in zip(self.convs1, self.convs2, strict=True):
            x = c2(F.leaky_relu(c1(F.leaky_relu(x, 0.1)), 0.1)) + x
        return x


class Block2(nn.Module):
    def __init__(self, channels, kernel, dilations):
        super().__init__()
        self.convs = nn.ModuleList(
            weight_norm(nn.Conv1d(channels, channels, kernel, 1, (kernel * d - d) // 2, d)) for d in dilations
        )

    def forward(self, x):
        for c in self.convs:
            x = c(F.leaky_relu(x, 0.1)) + x
        return x


class Generator(nn.Module):
    def __init__(self, h):
        super().__init__()
        self.kernels = len(h["resblock_kernel_sizes"])
        channels = h["upsample_initial_channel"]
        self.conv_pre = weight_norm(nn.Conv1d(h["num_mels"], channels, 7, 1, 3))
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        for u, k in zip(h["upsample_rates"], h["upsample_kernel_sizes"], strict=True):
            self.ups.append(weight_norm(nn.ConvTranspose1d(channels, channels // 2, k, u, (k - u) // 2)))
            channels //= 2
            for kernel, dilations in zip(h["resblock_kernel_sizes"], h["resblock_dilation_sizes"], strict=True):
                self.resblocks.append((Block1 if h["resblock"] == "1" else Block2)(channels, kernel, dilations))
        self.conv_post = weight_norm(nn.Conv1d(channels, 1, 7, 1, 3))

    def forward(self, x):
        x = self.conv_pre(x)
        for i, up in enumerate(self.ups):
            x = up(F.leaky_relu(x, 0.1))
            total = None
            for j in range(self.kernels):
                made = self.resblocks[i * self.kernels + j](x)
                total = made if total is None else total + made
            x = total / self.kernels
        return torch.tanh(self.conv_post(F.leaky_relu(x)))


class Judge(nn.Module):
    """Convolutions, leaky ReLUs and a last convolution: what all published sub-discriminators share."""

    def __init__(self, convs, post):
        super().__init__()
        self.convs, self.conv_post = nn.ModuleList(convs), post

    def forward(self, x):
        maps = []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.1)
            maps.append(x)
        x = self.conv_post(x)
        return torch.flatten(x, 1, -1), [*maps, x]


class Period(Judge):
    def __init__(self, period, channels):
        widths = [1, *channels]
        convs = [nn.Conv2d(a, b, (5, 1), (3, 1), (2, 0)) for a, b in zip(widths, channels, strict=False)]
        convs.append(nn.Conv2d(channels[-1], channels[-1], (5, 1), 1, (2, 0)))
        super().__init__(map(weight_norm, convs), weight_norm(nn.Conv2d(channels[-1], 1, (3, 1), 1, (1, 0))))
        self.period = period

    def forward(self, x):
        b, c, t = x.shape
        if t % self.period:
            n = self.period - t % self.period
            x = F.pad(x, (0, n), "reflect")
            t += n
        return super().forward(x.view(b, c, t // self.period, self.period))


class Scale(Judge):
    def __init__(self, widths, spectral):
        norm = torch.nn.utils.spectral_norm if spectral else weight_norm
        shapes = [(15, 1, 1, 7), (41, 2, 4, 20), (41, 2, 16, 20), (41, 4, 16, 20), (41, 4, 16, 20), (41, 1, 16, 20),
                  (5, 1, 1, 2)]  # fmt: skip
        before, convs = 1, []
        for width, (kernel, stride, groups, pad) in zip(widths, shapes, strict=True):
            convs.append(nn.Conv1d(before, width, kernel, stride, groups=groups, padding=pad))
            before = width
        super().__init__(map(norm, convs), norm(nn.Conv1d(before, 1, 3, 1, padding=1)))


class Resolution(Judge):
    def __init__(self, sizes, channels):
        convs = [nn.Conv2d(1, channels, (3, 9), padding=(1, 4))]
        convs += [nn.Conv2d(channels, channels, (3, 9), stride=(1, 2), padding=(1, 4)) for _ in range(3)]
        convs.append(nn.Conv2d(channels, channels, (3, 3), padding=(1, 1)))
        super().__init__(map(weight_norm, convs), weight_norm(nn.Conv2d(channels, 1, (3, 3), padding=(1, 1))))
        self.sizes = sizes

    def forward(self, x):
        n_fft, hop, win = self.sizes
        x = F.pad(x, ((n_fft - hop) // 2,) * 2, mode="reflect").squeeze(1)
        x = torch.stft(x, n_fft, hop, win, torch.ones(win), center=False, return_complex=True)
        return super().forward(torch.view_as_real(x).norm(p=2, dim=-1)[:, None])


class Several(nn.Module):
    def __init__(self, discriminators, pools=False):
        super().__init__()
        self.discriminators = nn.ModuleList(discriminators)
        self.meanpools = nn.ModuleList(nn.AvgPool1d(4, 2, padding=2) for _ in discriminators[1:]) if pools else None

    def forward(self, x):
        answers = []
        for i, discriminator in enumerate(self.discriminators):
            if i and self.meanpools is not None:
                x = self.meanpools[i - 1](x)
            answers.append(discriminator(x))
        return answers


def shaken(network: nn.Module, seed: int) -> nn.Module:
    """Trained-looking weights: magnitudes that are not the directions' norms, biases that are not zero."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("weight_g"):
                parameter.mul_(0.5 + torch.rand(parameter.shape, generator=draw))
            elif name.endswith("bias"):
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=draw))
        network.train()
        if isinstance(network, Several):
            for _ in range(3):  # power iterations of the spectral norm
                network(torch.randn(1, 1, 600, generator=draw))
    return network.eval()


def reference_generator(config=CONFIG) -> nn.Module:
    torch.manual_seed(1)
    return shaken(Generator(config), 2)


def reference_mrd() -> nn.Module:
    torch.manual_seed(3)
    return shaken(Several([Resolution(sizes, 32) for sizes in CONFIG["resolutions"]]), 4)


def folded(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if hasattr(module, "weight_g"):
            torch.nn.utils.remove_weight_norm(module)
    return network


def mel(frames: int = 12) -> torch.Tensor:
    return torch.randn(2, 20, frames, generator=torch.Generator().manual_seed(5))


def wave(samples: int = 1500) -> torch.Tensor:
    return torch.randn(2, 1, samples, generator=torch.Generator().manual_seed(6))


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(CONFIG))
    return path


@pytest.fixture
def generator_file(tmp_path):
    path = tmp_path / "g_00001"
    torch.save({"generator": reference_generator().state_dict()}, path)
    return path


def assert_alike(ours, theirs) -> None:
    outputs, answers = ours.eval()(wave(), Condition()), theirs(wave())
    assert len(outputs) == len(answers)
    for output, (score, maps) in zip(outputs, answers, strict=True):
        assert score.std() > 1e-4
        torch.testing.assert_close(output.score, score, atol=1e-5, rtol=0)
        for one, other in zip(output.features, maps, strict=True):
            torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


# the generator ----------------------------------------------------------


@pytest.mark.parametrize("residual", ["1", "2"])
@pytest.mark.parametrize("fold", [False, True], ids=["weight_norm", "folded"])
def test_an_imported_generator_makes_what_the_published_one_makes(tmp_path, residual, fold):
    changed = CONFIG | {"resblock": residual}
    (tmp_path / "config.json").write_text(json.dumps(changed))
    reference = reference_generator(changed)
    expected = reference(mel())
    assert expected.std() > 1e-2
    state = (folded(reference) if fold else reference).state_dict()
    assert any(name.endswith("weight_g") for name in state) is not fold
    torch.save({"generator": state}, tmp_path / "g")
    write_experiment(tmp_path / "g", None, tmp_path / "config.json", tmp_path / "exp")
    loaded = loading.load(tmp_path / "exp")
    torch.testing.assert_close(loaded.generator(Condition(signals={"mel": mel()})), expected, atol=1e-5, rtol=0)
    assert loaded.step == 0


def test_a_folded_filter_of_zeros_stays_zero(tmp_path, config):
    """Weight norm divides by the direction's length; a dead filter must not become NaN."""
    reference = folded(reference_generator())
    with torch.no_grad():
        reference.conv_pre.weight[3] = 0
    torch.save({"generator": reference.state_dict()}, tmp_path / "g")
    write_experiment(tmp_path / "g", None, config, tmp_path / "exp")
    made = loading.load(tmp_path / "exp").generator(Condition(signals={"mel": mel()}))
    torch.testing.assert_close(made, reference(mel()), atol=1e-5, rtol=0)


def test_a_bare_state_dict_is_a_generator_too(tmp_path, config):
    torch.save(reference_generator().state_dict(), tmp_path / "g")
    write_experiment(tmp_path / "g", None, config, tmp_path / "exp")
    made = loading.load(tmp_path / "exp").generator(Condition(signals={"mel": mel()}))
    torch.testing.assert_close(made, reference_generator()(mel()), atol=1e-5, rtol=0)


def test_the_recipe_says_what_the_config_says(tmp_path, config, generator_file):
    recipe = check.load(write_experiment(generator_file, None, config, tmp_path / "exp"))
    audio = recipe.audio
    assert (audio.sample_rate, audio.n_fft, audio.hop, audio.window, audio.mels) == (16000, 256, 64, 256, 20)
    assert (audio.fmin, audio.fmax) == (0, 8000)
    assert (recipe.plan.batch_size, recipe.plan.segment) == (16, 4096)
    optimiser = recipe.many["optimisers"]["generator"]
    assert optimiser.arguments == {"lr": 1e-4, "betas": (0.8, 0.99)}
    assert optimiser.learning_rate.decay == 0.998


# the discriminators -----------------------------------------------------


def test_an_imported_multi_period_discriminator_judges_as_the_published_one():
    torch.manual_seed(7)
    theirs = shaken(Several([Period(p, (8, 16)) for p in (2, 3, 5, 7, 11)]), 8)
    ours = MultiPeriod(channels=(8, 16))
    load_into(ours, theirs.state_dict(), "do_")
    assert_alike(ours, theirs)


@pytest.mark.parametrize("start", ["cold", "warm"])
def test_an_imported_multi_scale_discriminator_judges_as_the_published_one(start):
    widths = (16, 16, 16, 32, 64, 64, 64)
    torch.manual_seed(9)
    theirs = shaken(Several([Scale(widths, i == 0) for i in range(3)], pools=True), 10)
    names = theirs.state_dict().keys()
    spectral = {f"discriminators.0.convs.0.weight_{part}" for part in ("orig", "u", "v")}
    assert spectral | {f"discriminators.1.convs.0.weight_{part}" for part in ("g", "v")} <= names
    ours = MultiScale(width=1 / 16, spectral_norm_start=start)
    load_into(ours, theirs.state_dict(), "do_")
    assert_alike(ours, theirs)


def test_training_goes_on_from_an_imported_spectral_norm_as_from_the_published_one():
    """The vectors' next refinements are the published ones too."""
    torch.manual_seed(9)
    theirs = shaken(Several([Scale((16, 16, 16, 32, 64, 64, 64), True)]), 10).train()
    ours = MultiScale(scales=1, width=1 / 16).train()
    load_into(ours, theirs.state_dict(), "do_")
    for _ in range(3):
        (output,), ((score, _),) = ours(wave(), Condition()), theirs(wave())
        torch.testing.assert_close(output.score, score, atol=1e-6, rtol=0)


def test_a_discriminator_file_is_imported_with_its_experiment(tmp_path, config, generator_file):
    theirs = reference_mrd()
    optimiser = torch.optim.AdamW(theirs.parameters()).state_dict()
    torch.save({"mrd": theirs.state_dict(), "optim_d": optimiser, "steps": 5, "epoch": 1}, tmp_path / "do_1")
    path = write_experiment(generator_file, tmp_path / "do_1", config, tmp_path / "exp")
    recipe = check.load(path)
    assert list(recipe.many["discriminators"]) == ["mrd"] and list(recipe.many["losses"]) == ["mel", "features"]
    saved = checkpoint.Store(tmp_path / "exp/checkpoints").newest()
    ours = MultiResolution(resolutions=tuple(map(tuple, CONFIG["resolutions"])))
    state = saved.network("discriminators")
    ours.load_state_dict({name.removeprefix("parts.mrd."): tensor for name, tensor in state.items()})
    assert_alike(ours, theirs)


# what is refused --------------------------------------------------------


def test_a_config_of_another_network_is_told_with_the_tensors(tmp_path, generator_file):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"upsample_initial_channel": 32}))
    with pytest.raises(CheckpointError, match=r"g_00001: \d+ tensors missing or of another shape, .*this config's\?"):
        write_experiment(generator_file, None, tmp_path / "config.json", tmp_path / "exp")
    assert not checkpoint.Store(tmp_path / "exp/checkpoints").folders()
    (tmp_path / "config.json").write_text(
        json.dumps(CONFIG | {"resblock_kernel_sizes": [3], "resblock_dilation_sizes": [[1, 3, 5]]})
    )
    with pytest.raises(CheckpointError, match=r"[1-9]\d* unknown \(such as .*resblocks"):
        write_experiment(generator_file, None, tmp_path / "config.json", tmp_path / "exp")


def test_a_config_whose_rates_do_not_make_the_hop_is_refused(tmp_path, generator_file):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"hop_size": 32}))
    with pytest.raises(GansembleError, match="hop"):
        write_experiment(generator_file, None, tmp_path / "config.json", tmp_path / "exp")


@pytest.mark.parametrize(
    "text, message",
    [("{}", "lacks resblock, upsample_rates"), ("{", ":1:2: not JSON"), ("[]", "expected a JSON object, got list")],
)
def test_a_config_that_is_none_is_refused(tmp_path, generator_file, text, message):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(GansembleError, match=message):
        write_experiment(generator_file, None, tmp_path / "config.json", tmp_path / "exp")


class Dangerous:
    def __reduce__(self):
        return (exec, ("import builtins; builtins.gansemble_was_fooled = True",))


@pytest.mark.parametrize("how", ["torch", "pickle"])
def test_a_pickle_that_is_not_plain_tensors_is_refused_and_not_run(tmp_path, config, how):
    import builtins

    content = {"generator": Dangerous()}
    if how == "torch":
        torch.save(content, tmp_path / "g")
    else:
        (tmp_path / "g").write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(CheckpointError, match="not readable as a checkpoint of plain tensors"):
        write_experiment(tmp_path / "g", None, config, tmp_path / "exp")
    assert not hasattr(builtins, "gansemble_was_fooled")


def test_files_that_are_no_checkpoints_are_refused(tmp_path, config, generator_file):
    (tmp_path / "text").write_text("no checkpoint")
    with pytest.raises(CheckpointError, match="not readable"):
        write_experiment(tmp_path / "text", None, config, tmp_path / "exp")
    torch.save([torch.zeros(3)], tmp_path / "list")
    with pytest.raises(CheckpointError, match="list"):
        write_experiment(tmp_path / "list", None, config, tmp_path / "exp")
    torch.save({"generator": {}}, tmp_path / "other")
    with pytest.raises(CheckpointError, match="expected entries mpd, msd, mrd, got generator"):
        write_experiment(generator_file, tmp_path / "other", config, tmp_path / "exp")


def test_an_experiment_is_not_overwritten(tmp_path, config, generator_file):
    write_experiment(generator_file, None, config, tmp_path / "exp")
    with pytest.raises(CheckpointError, match="already holds checkpoints"):
        write_experiment(generator_file, None, config, tmp_path / "exp")


def test_weights_that_are_not_finite_are_refused_and_leave_nothing(tmp_path, config, generator_file):
    for name, file in (("ups.0.bias", generator_file), ("resblocks.0.convs1.1.weight_v", tmp_path / "inf")):
        state = reference_generator().state_dict()
        state[name] = torch.full_like(state[name], torch.nan if file is generator_file else torch.inf)
        torch.save({"generator": state}, file)
        with pytest.raises(CheckpointError, match=rf"{file.name}: 1 of \d+ tensors hold NaN or Inf: {name}"):
            write_experiment(file, None, config, tmp_path / "new" / "exp")
    assert list((tmp_path / "new").iterdir() if (tmp_path / "new").exists() else ()) == []


def test_weights_saved_from_several_processes_are_taken(tmp_path, config):
    state = {f"module.{name}": tensor for name, tensor in reference_generator().state_dict().items()}
    torch.save({"generator": state}, tmp_path / "g")
    write_experiment(tmp_path / "g", None, config, tmp_path / "exp")
    made = loading.load(tmp_path / "exp").generator(Condition(signals={"mel": mel()}))
    torch.testing.assert_close(made, reference_generator()(mel()), atol=1e-5, rtol=0)


def test_a_failed_import_leaves_the_folder_as_it_was(tmp_path, config, generator_file):
    """A folder that holds anything is no place for an experiment, whether or not the import would succeed."""
    exp = tmp_path / "exp"
    exp.mkdir()
    (tmp_path / "text").write_text("no checkpoint")
    with pytest.raises(CheckpointError, match="not readable"):
        write_experiment(tmp_path / "text", None, config, exp)
    assert list(exp.iterdir()) == []
    (exp / "recipe.yaml").write_text("mine")
    for file in (generator_file, tmp_path / "text"):
        with pytest.raises(CheckpointError, match=r"exp: holds recipe\.yaml; import into another --exp"):
            write_experiment(file, None, config, exp)
    assert [path.name for path in exp.iterdir()] == ["recipe.yaml"] and (exp / "recipe.yaml").read_text() == "mine"
    (exp / "recipe.yaml").unlink()
    assert write_experiment(generator_file, None, config, exp) == exp / "recipe.yaml" and loading.load(exp).step == 0
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_the_old_names_are_translated():
    names = {"ups.0.weight_g": "ups.0.parametrizations.weight.original0",
             "ups.0.weight_v": "ups.0.parametrizations.weight.original1",
             "c.weight_orig": "c.parametrizations.weight.original",
             "c.weight_u": "c.parametrizations.weight.0._u",
             "c.bias": "c.bias"}  # fmt: skip
    assert list(translate({name: torch.zeros(1) for name in names})) == list(names.values())
