"""Published BigVGAN checkpoints, made here by an independent implementation with torch's old weight norm."""

import json
import math
import warnings

import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from torch import nn

from gansemble.errors import CheckpointError, GansembleError
from gansemble.inference import loading
from gansemble.interfaces import Condition
from gansemble.recipe import check
from gansemble.training import checkpoint
from gansemble_plugins.bigvgan.command import command
from gansemble_plugins.bigvgan.discriminators import MultiScaleSubBandCqt
from gansemble_plugins.bigvgan.published import recipe_of, write_experiment
from gansemble_plugins.hifigan.discriminators import MultiPeriod

torch.set_num_threads(1)
CONFIG = {
    "resblock": "1",
    "batch_size": 32,
    "learning_rate": 0.0001,
    "adam_b1": 0.8,
    "adam_b2": 0.99,
    "lr_decay": 0.9999996,
    "upsample_rates": [8, 8],
    "upsample_kernel_sizes": [16, 16],
    "upsample_initial_channel": 16,
    "resblock_kernel_sizes": [3, 7],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5]],
    "activation": "snakebeta",
    "snake_logscale": True,
    "resolutions": [[128, 32, 128], [64, 16, 64], [256, 64, 256]],
    "mpd_reshapes": [2, 3, 5],
    "use_spectral_norm": False,
    "discriminator_channel_mult": 0.125,
    "segment_size": 4096,
    "num_mels": 20,
    "n_fft": 256,
    "hop_size": 64,
    "win_size": 256,
    "sampling_rate": 16000,
    "fmin": 0,
    "fmax": 8000,
    "fmax_for_loss": None,
}
SECOND = CONFIG | {
    "use_tanh_at_final": False,
    "use_bias_at_final": False,
    "use_cqtd_instead_of_mrd": True,
    "cqtd_filters": 8,
    "cqtd_hop_lengths": [128],
    "cqtd_n_octaves": [8],
    "cqtd_bins_per_octaves": [12],
    "cqtd_dilations": [1, 2],
    "use_multiscale_melloss": True,
    "lambda_melloss": 15,
    "clip_grad_norm": 500,
}


def weight_norm(layer: nn.Module) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nn.utils.weight_norm(layer)


# the published networks, written again ----------------------------------

#: The half-band filter's first half, of the released code.
HALF = [0.002028965, 0.009389466, -0.025543459, -0.057657383, 0.128572583, 0.443209797]


class Filter(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("filter", torch.tensor(HALF + HALF[::-1]).view(1, 1, 12))


class Down(nn.Module):
    def __init__(self):
        super().__init__()
        self.lowpass = Filter()


class Wave(nn.Module):
    def __init__(self, channels, h):
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels) if h["snake_logscale"] else torch.ones(channels))
        if h["activation"] == "snakebeta":
            self.beta = nn.Parameter(self.alpha.detach().clone())
        self.log = h["snake_logscale"]

    def forward(self, x):
        a, b = self.alpha, getattr(self, "beta", self.alpha)
        a, b = (a.exp(), b.exp()) if self.log else (a, b)
        return x + torch.sin(x * a[:, None]) ** 2 / (b[:, None] + 1e-9)


class Filtered(nn.Module):
    def __init__(self, channels, h):
        super().__init__()
        self.act, self.upsample, self.downsample = Wave(channels, h), Filter(), Down()

    def forward(self, x):
        channels = x.shape[1]
        kernel = self.upsample.filter.expand(channels, -1, -1)
        x = F.conv_transpose1d(F.pad(x, (5, 5), "replicate"), kernel, stride=2, groups=channels)[..., 15:-15] * 2
        return F.conv1d(F.pad(self.act(x), (5, 6), "replicate"), kernel, stride=2, groups=channels)


class Block(nn.Module):
    def __init__(self, channels, kernel, dilations, h):
        super().__init__()

        def conv(d):
            return weight_norm(nn.Conv1d(channels, channels, kernel, 1, (kernel * d - d) // 2, d))

        if h["resblock"] == "1":
            self.convs1 = nn.ModuleList(map(conv, dilations))
            self.convs2 = nn.ModuleList(conv(1) for _ in dilations)
            self.order = [list(pair) for pair in zip(self.convs1, self.convs2, strict=True)]
        else:
            self.convs = nn.ModuleList(map(conv, dilations))
            self.order = [[each] for each in self.convs]
        self.activations = nn.ModuleList(Filtered(channels, h) for pair in self.order for _ in pair)

    def forward(self, x):
        activations = iter(self.activations)
        for pair in self.order:
            y = x
            for conv in pair:
                y = conv(next(activations)(y))
            x = x + y
        return x


class Generator(nn.Module):
    def __init__(self, h):
        super().__init__()
        self.h, channels = h, h["upsample_initial_channel"]
        self.conv_pre = weight_norm(nn.Conv1d(h["num_mels"], channels, 7, 1, 3))
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        for u, k in zip(h["upsample_rates"], h["upsample_kernel_sizes"], strict=True):
            up = nn.ConvTranspose1d(channels, channels // 2, k, u, (k - u) // 2)
            self.ups.append(nn.ModuleList([weight_norm(up)]))
            channels //= 2
            for kernel, dilations in zip(h["resblock_kernel_sizes"], h["resblock_dilation_sizes"], strict=True):
                self.resblocks.append(Block(channels, kernel, dilations, h))
        self.activation_post = Filtered(channels, h)
        self.conv_post = weight_norm(nn.Conv1d(channels, 1, 7, 1, 3, bias=h.get("use_bias_at_final", True)))

    def forward(self, x):
        x, many = self.conv_pre(x), len(self.h["resblock_kernel_sizes"])
        for i, up in enumerate(self.ups):
            x = up[0](x)
            x = torch.stack([self.resblocks[i * many + j](x) for j in range(many)]).mean(0)
        x = self.conv_post(self.activation_post(x))
        return torch.tanh(x) if self.h.get("use_tanh_at_final", True) else x.clamp(-1, 1)


class Cqt(nn.Module):
    """The layers of a published constant-Q discriminator; what it reads is given."""

    def __init__(self, h):
        super().__init__()
        n = h["cqtd_filters"]
        self.conv_pres = nn.ModuleList(nn.Conv2d(2, 2, (3, 9), padding=(1, 4)) for _ in range(h["cqtd_n_octaves"][0]))
        self.convs = nn.ModuleList([nn.Conv2d(2, n, (3, 9), padding=(1, 4))])
        for d in h["cqtd_dilations"]:
            self.convs.append(weight_norm(nn.Conv2d(n, n, (3, 9), (1, 2), (d, 4), (d, 1))))
        self.convs.append(weight_norm(nn.Conv2d(n, n, (3, 3), padding=(1, 1))))
        self.conv_post = weight_norm(nn.Conv2d(n, 1, (3, 3), padding=(1, 1)))
        self.cqt_transform, self.resample = nn.Module(), nn.Module()
        self.cqt_transform.register_buffer("lowpass_filter", torch.ones(1, 1, 256))
        self.resample.register_buffer("kernel", torch.ones(2, 1, 9))

    def forward(self, z):
        width = z.shape[-1] // len(self.conv_pres)
        x = torch.cat([conv(z[..., i * width : (i + 1) * width]) for i, conv in enumerate(self.conv_pres)], -1)
        maps = []
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.1)
            maps.append(x)
        return self.conv_post(x).flatten(1), maps


class Period(nn.Module):
    def __init__(self, h):
        super().__init__()
        a, b, c, d = (int(w * h["discriminator_channel_mult"]) for w in (32, 128, 512, 1024))
        convs = [nn.Conv2d(x, y, (5, 1), (3, 1), (2, 0)) for x, y in ((1, a), (a, b), (b, c), (c, d))]
        convs.append(nn.Conv2d(d, d, (5, 1), 1, (2, 0)))
        self.convs = nn.ModuleList(map(weight_norm, convs))
        self.conv_post = weight_norm(nn.Conv2d(d, 1, (3, 1), 1, (1, 0)))


class Several(nn.Module):
    def __init__(self, discriminators):
        super().__init__()
        self.discriminators = nn.ModuleList(discriminators)


def shaken(network: nn.Module, seed: int) -> nn.Module:
    """Trained-looking weights: no magnitude is its direction's norm, no parameter is where it began."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("weight_g"):
                parameter.mul_(0.5 + torch.rand(parameter.shape, generator=draw))
            elif name.endswith(("bias", "alpha", "beta")):
                parameter.add_(0.3 * torch.rand(parameter.shape, generator=draw))
    return network.eval()


def reference(config=CONFIG) -> nn.Module:
    torch.manual_seed(1)
    return shaken(Generator(config), 2)


def folded(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if hasattr(module, "weight_g"):
            torch.nn.utils.remove_weight_norm(module)
    return network


def mel(frames: int = 12) -> torch.Tensor:
    return torch.randn(2, 20, frames, generator=torch.Generator().manual_seed(5))


def written(folder, config, state) -> dict:
    (folder / "config.json").write_text(json.dumps(config))
    torch.save({"generator": state}, folder / "g")
    return {"generator_file": folder / "g", "config_file": folder / "config.json", "exp": folder / "exp"}


# the generator ----------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"resblock": "2"}, {"activation": "snake"}, {"snake_logscale": False},
        {"use_tanh_at_final": False, "use_bias_at_final": False},
    ],
    ids=["first release", "one convolution", "snake", "linear scale", "second release"],
)  # fmt: skip
@pytest.mark.parametrize("fold", [False, True], ids=["weight_norm", "folded"])
def test_an_imported_generator_makes_what_the_published_one_makes(tmp_path, changes, fold):
    config = CONFIG | changes
    network = reference(config)
    expected = network(mel())
    assert expected.std() > 1e-2
    state = (folded(network) if fold else network).state_dict()
    assert any(name.endswith(".upsample.filter") for name in state)
    assert any(name.endswith("weight_g") for name in state) is not fold
    write_experiment(discriminator_file=None, **written(tmp_path, config, state))
    made = loading.load(tmp_path / "exp").generator(Condition(signals={"mel": mel()}))
    torch.testing.assert_close(made, expected, atol=1e-5, rtol=0)


def test_the_command_makes_an_experiment(tmp_path):
    files = written(tmp_path, CONFIG, reference().state_dict())
    options = ["--generator", files["generator_file"], "--config", files["config_file"], "--exp", files["exp"]]
    result = CliRunner().invoke(command, list(map(str, options)))
    assert result.exit_code == 0 and "ready; synthesise with" in result.output
    assert checkpoint.Store(tmp_path / "exp/checkpoints").newest() is not None


def test_the_recipe_says_what_the_config_says(tmp_path):
    path = write_experiment(discriminator_file=None, **written(tmp_path, CONFIG, reference().state_dict()))
    recipe = check.load(path)
    assert (recipe.plan.batch_size, recipe.plan.segment, recipe.plan.clip) == (32, 4096, 1000)
    rate = recipe.many["optimisers"]["generator"].learning_rate
    assert (rate.decay, rate.decay_every) == (0.9999996, 1)
    losses = recipe_of(SECOND, [])["losses"]
    assert losses == {"mel": {"use": "multi_scale_mel", "weight": 15}}
    assert recipe_of(SECOND, [])["plan"]["clip"] == 500


# the discriminators -----------------------------------------------------


def discriminators(config) -> dict:
    torch.manual_seed(3)
    return {
        "mpd": shaken(Several(Period(config) for _ in config["mpd_reshapes"]), 4),
        "mrd": shaken(Several([Cqt(config)]), 5),
    }


def test_published_discriminators_of_the_second_release_judge_alike(tmp_path):
    """Those of the constant-Q transform stand under ``mrd``, with buffers that are computed here."""
    theirs = discriminators(SECOND)
    torch.save(
        {name: each.state_dict() for name, each in theirs.items()} | {"optim_d": {}, "steps": 5}, tmp_path / "do"
    )
    files = written(tmp_path, SECOND, reference(SECOND).state_dict())
    recipe = check.load(write_experiment(discriminator_file=tmp_path / "do", **files))
    parts = recipe.many["discriminators"]
    assert {name: part.use for name, part in parts.items()} == {
        "mpd": "multi_period",
        "mrd": "multi_scale_sub_band_cqt",
    }
    state = checkpoint.Store(tmp_path / "exp/checkpoints").newest().network("discriminators")
    ours = MultiScaleSubBandCqt(audio=recipe.audio, **parts["mrd"].arguments).eval()
    ours.load_state_dict({n.removeprefix("parts.mrd."): t for n, t in state.items() if n.startswith("parts.mrd.")})
    x = 0.3 * torch.randn(2, 1, 3000, generator=torch.Generator().manual_seed(6))
    (output,), (score, maps) = ours(x), theirs["mrd"].discriminators[0](ours.discriminators[0].spectrum(x))
    assert score.std() > 1e-3
    torch.testing.assert_close(output.score, score, atol=1e-5, rtol=0)
    assert len(maps) == len(output.features) == 4
    for one, other in zip(output.features, maps, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
    periods = MultiPeriod(**parts["mpd"].arguments)
    assert [each.period for each in periods.discriminators] == [2, 3, 5]
    periods.load_state_dict({n.removeprefix("parts.mpd."): t for n, t in state.items() if n.startswith("parts.mpd.")})


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({}, {"use": "multi_resolution", "resolutions": CONFIG["resolutions"], "channels": 4}),
        ({"mrd_channel_mult": 0.5}, {"use": "multi_resolution", "resolutions": CONFIG["resolutions"], "channels": 16}),
        ({"use_mbd_instead_of_mrd": True}, {"use": "multi_resolution_bands", "windows": [2048, 1024, 512]}),
    ],
)
def test_the_second_discriminator_is_what_the_config_says(changes, expected):
    assert recipe_of(CONFIG | changes, ["mrd"])["discriminators"]["mrd"] == expected


# what is refused --------------------------------------------------------


def test_another_filter_is_refused(tmp_path):
    state = reference().state_dict()
    name = "activation_post.downsample.lowpass.filter"
    state[name] = state[name] * 1.01
    with pytest.raises(CheckpointError, match=r"activation_post.downsample.lowpass.filter must be the 12 taps"):
        write_experiment(discriminator_file=None, **written(tmp_path, CONFIG, state))
    assert not (tmp_path / "exp").exists()


@pytest.mark.parametrize(
    "config, message",
    [
        ({"activation": None}, "expected a BigVGAN configuration, but it lacks activation"),
        ({"use_spectral_norm": True}, "use_spectral_norm must be false"),
        ({"fmax_for_loss": 4000}, "fmax_for_loss must be null or fmax 8000, got 4000"),
        ({"use_cqtd_instead_of_mrd": True, "cqtd_n_octaves": [9, 8, 9]}, r"one number of cqtd_n_octaves.* got \[9, 8, 9\]"),
        ({"use_cqtd_instead_of_mrd": True, "cqtd_filters_scale": 2}, "cqtd_filters_scale"),
    ],
)  # fmt: skip
def test_a_config_of_something_else_is_refused(config, message):
    changed = {key: value for key, value in (CONFIG | config).items() if value is not None or key == "fmax_for_loss"}
    with pytest.raises(GansembleError, match=message):
        recipe_of(changed, ["mpd", "mrd"])


def test_weights_of_another_width_are_told(tmp_path):
    files = written(tmp_path, CONFIG | {"upsample_initial_channel": 32}, reference().state_dict())
    with pytest.raises(CheckpointError, match=r"tensors missing or of another shape, .*is it this config's\?"):
        write_experiment(discriminator_file=None, **files)


def test_the_half_band_filter_sums_to_one():
    assert math.isclose(2 * sum(HALF), 1, abs_tol=1e-6)
