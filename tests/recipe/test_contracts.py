"""One wrong recipe for each contract between parts: the exact message, and a fix that fixes it."""

from pathlib import Path

import pytest

from gansemble.plugins.loading import Plugins
from gansemble.recipe import check, construct
from gansemble.recipe.document import RecipeError

# What spoils the sound recipe (old text, new text), and what is then said.
GOLDEN = {
    "domain": (
        [
            ("{use: hifigan}", "{use: from_noise, domain: waveform}"),
            ("losses:\n  mel: {use: mel_l1, weight: 45}\n", "representation: {use: picture, bins: 32}\n"),
            ("  mpd: {use: multi_period}", "  critic: {use: picture_critic}"),
        ],
        "base.yaml:3:38: generator.domain: generator (from_noise) works on waveform, but representation (picture) gives picture\n"
        "    3 | generator: {use: from_noise, domain: waveform}\n"
        "      |                                      ^^^^^^^^\n"
        "  base.yaml:7:23: representation (picture) gives picture\n"
        "    7 | representation: {use: picture, bins: 32}\n"
        "      |                       ^^^^^^^\n"
        "  fix: --set generator.domain=picture",
    ),
    "shape": (
        [
            ("{use: hifigan}", "{use: from_noise, domain: picture}"),
            ("losses:\n  mel: {use: mel_l1, weight: 45}\n", "representation: {use: picture, bins: 32}\n"),
            ("  mpd: {use: multi_period}", "  critic: {use: picture_critic, bins: 64}"),
        ],
        "base.yaml:5:39: discriminators.critic.bins: discriminators.critic (picture_critic) works on [B, 1, 64, any], but representation (picture) gives [B, 1, 32, 32] for a segment of 8192\n"
        "    5 |   critic: {use: picture_critic, bins: 64}\n"
        "      |                                       ^^\n"
        "  base.yaml:7:38: representation (picture) gives [B, 1, 32, 32]\n"
        "    7 | representation: {use: picture, bins: 32}\n"
        "      |                                      ^^\n"
        "  fix: --set discriminators.critic.bins=32",
    ),
    "labels": (
        [
            ("corpus: {use: folder}", "corpus: {use: ten_words}"),
            ("{use: hifigan}", "{use: from_noise, classes: 35}"),
        ],
        "base.yaml:3:39: generator.classes: generator (from_noise) is built for 35 classes, but corpus (ten_words) has 10\n"
        "    3 | generator: {use: from_noise, classes: 35}\n"
        "      |                                       ^^\n"
        "  base.yaml:2:15: corpus (ten_words) has 10 classes\n"
        "    2 | corpus: {use: ten_words}\n"
        "      |               ^^^^^^^^^\n"
        "  fix: --set generator.classes=10",
    ),
    "pitch": (
        [
            ("corpus: {use: folder}", "corpus: {use: choir}"),
            ("{use: hifigan}", "{use: sung, pitches: [24, 84]}"),
        ],
        "base.yaml:3:33: generator.pitches: generator (sung) is built for pitches 24 to 84, but corpus (choir) has 21 to 108\n"
        "    3 | generator: {use: sung, pitches: [24, 84]}\n"
        "      |                                 ^^^^^^^^\n"
        "  base.yaml:2:15: corpus (choir) has pitches 21 to 108\n"
        "    2 | corpus: {use: choir}\n"
        "      |               ^^^^^\n"
        "  fix: --set 'generator.pitches=[21, 108]'",
    ),
    "latent size": (
        [
            ("{use: hifigan}", "{use: from_noise, latent: 100}"),
            ("plan: {steps", "regularisers: {back: {use: latent_recovery, latent: 64}}\nplan: {steps"),
        ],
        "base.yaml:10:53: regularisers.back.latent: regularisers.back (latent_recovery) works on a latent vector of 64, but generator (from_noise) reads a latent vector of 100\n"
        "   10 | regularisers: {back: {use: latent_recovery, latent: 64}}\n"
        "      |                                                     ^^\n"
        "  base.yaml:3:38: generator (from_noise) reads a latent vector of 100\n"
        "    3 | generator: {use: from_noise, latent: 100}\n"
        "      |                                      ^^^\n"
        "  fix: --set regularisers.back.latent=100",
    ),
    "sample rate": (
        [
            (
                "{mel_distance: {use: mel_distance}}",
                "{mel_distance: {use: mel_distance}, pesq: {use: pesq, resample: false}}",
            ),
        ],
        "base.yaml:9:74: metrics.pesq.resample: metrics.pesq (pesq) works at 16000 Hz, but audio.sample_rate is 22050\n"
        "    9 | metrics: {mel_distance: {use: mel_distance}, pesq: {use: pesq, resample: false}}\n"
        "      |                                                                          ^^^^^\n"
        "  base.yaml:1:22: audio.sample_rate is 22050\n"
        "    1 | audio: {sample_rate: 22050}\n"
        "      |                      ^^^^^\n"
        "  fix: --set metrics.pesq.resample=true",
    ),
    "hop": (
        [
            ("22050}", "22050, hop: 256}"),
            ("{use: hifigan}", "{use: hifigan, upsample_rates: [8, 8, 2, 4], upsample_kernels: [16, 16, 4, 8]}"),
        ],
        "base.yaml:3:43: generator.upsample_rates: hifigan makes 512 samples of each frame, but audio.hop is 256; change the upsampling so that its product is 256, or audio.hop to 512\n"
        "    3 | generator: {use: hifigan, upsample_rates: [8, 8, 2, 4], upsample_kernels: [16, 16, 4, 8]}\n"
        "      |                                           ^^^^^^^^^^^^\n"
        "  base.yaml:1:34: audio.hop is 256\n"
        "    1 | audio: {sample_rate: 22050, hop: 256}\n"
        "      |                                  ^^^\n"
        "  fix: --set audio.hop=512",
    ),
    "segment granularity": (
        [
            ("{use: hifigan}", "{use: from_noise}"),
            ("steps: 10", "steps: 10, segment: 8448"),
        ],
        "base.yaml:10:28: plan.segment: generator (from_noise) works on multiples of 4096 samples, got 8448\n"
        "   10 | plan: {steps: 10, segment: 8448}\n"
        "      |                            ^^^^\n"
        "  base.yaml:3:18: generator (from_noise) decides the multiple\n"
        "    3 | generator: {use: from_noise}\n"
        "      |                  ^^^^^^^^^^\n"
        "  fix: --set plan.segment=8192",
    ),
    "receptive field": (
        [
            ("  mpd: {use: multi_period}", "  far: {use: farsighted}"),
            ("steps: 10", "steps: 10, segment: 8192"),
        ],
        "base.yaml:10:28: plan.segment: each score of discriminators.far (farsighted) sees 1000000 samples, and a segment of 8192 is less than a quarter of that\n"
        "   10 | plan: {steps: 10, segment: 8192}\n"
        "      |                            ^^^^\n"
        "  base.yaml:5:14: discriminators.far (farsighted) sees 1000000 samples\n"
        "    5 |   far: {use: farsighted}\n"
        "      |              ^^^^^^^^^^\n"
        "  fix: --set plan.segment=1000192",
    ),
    "feature maps": (
        [
            ("  mpd: {use: multi_period}", "  mute: {use: mute_critic}"),
            (
                "  mel: {use: mel_l1, weight: 45}",
                "  mel: {use: mel_l1, weight: 45}\n  features: {use: feature_matching}",
            ),
        ],
        "base.yaml:9:19: losses.features.use: losses.features (feature_matching) needs features, but no discriminator of this recipe returns feature maps\n"
        "    9 |   features: {use: feature_matching}\n"
        "      |                   ^^^^^^^^^^^^^^^^\n"
        "  base.yaml:4:1: discriminators.mute (mute_critic) gives no features\n"
        "    4 | discriminators:\n"
        "      | ^^^^^^^^^^^^^^\n"
        "  fix: --set 'discriminators.multi_period={use: multi_period}'",
    ),
    "square maps": (
        [
            ("{use: hifigan}", "{use: from_noise, domain: picture}"),
            ("losses:\n  mel: {use: mel_l1, weight: 45}\n", "representation: {use: picture, bins: 32}\n"),
            ("  mpd: {use: multi_period}", "  critic: {use: picture_critic}"),
            ("plan: {steps: 10", "regularisers: {dep: {use: square}}\nplan: {steps: 10, segment: 4096"),
        ],
        "base.yaml:9:27: regularisers.dep.use: regularisers.dep (square) works on square maps, but representation (picture) gives [B, 1, 32, 16] for a segment of 4096\n"
        "    9 | regularisers: {dep: {use: square}}\n"
        "      |                           ^^^^^^\n"
        "  base.yaml:10:28: plan.segment is 4096\n"
        "   10 | plan: {steps: 10, segment: 4096}\n"
        "      |                            ^^^^\n"
        "  fix: --set plan.segment=8192",
    ),
    "precision": (
        [
            ("plan: {steps: 10", "regularisers: {gp: {use: single}}\nplan: {steps: 10, precision: fp16"),
        ],
        "base.yaml:10:26: regularisers.gp.use: regularisers.gp (single) works under plan.precision bf16 or no, but it is fp16\n"
        "   10 | regularisers: {gp: {use: single}}\n"
        "      |                          ^^^^^^\n"
        "  base.yaml:11:30: plan.precision is fp16\n"
        "   11 | plan: {steps: 10, precision: fp16}\n"
        "      |                              ^^^^\n"
        "  fix: --set plan.precision=bf16",
    ),
}


@pytest.fixture(scope="module")
def registry():
    """The installed parts, and those that exist to disagree."""
    return Plugins(files=[Path(__file__).with_name("parts.py")]).registry


@pytest.fixture
def spoilt(write, base, monkeypatch):
    """Writes the sound recipe spoilt by a case; building any part of it is a failure."""

    def built(*_: object, **__: object) -> None:
        raise AssertionError("something was built")

    monkeypatch.setattr(construct, "construct", built)

    def spoil(case):
        text = base.read_text()
        for old, new in GOLDEN[case][0]:
            assert old in text
            text = text.replace(old, new)
        return write(base=text)

    return spoil


@pytest.mark.parametrize("case", GOLDEN)
def test_a_violated_contract_names_both_sides_and_a_mend(spoilt, registry, case):
    with pytest.raises(RecipeError) as caught:
        check.load(spoilt(case), (), registry)
    assert [str(problem) for problem in caught.value.problems] == [GOLDEN[case][1]]


@pytest.mark.parametrize("case", GOLDEN)
def test_the_mend_mends(spoilt, registry, case):
    change = GOLDEN[case][1].rpartition("fix: --set ")[2].strip("'")
    assert change
    check.load(spoilt(case), [change], registry)


def test_the_twelve_contracts_are_all_here():
    assert len(GOLDEN) == 12


def test_a_score_that_sees_more_than_the_segment_is_a_note_and_no_error(base):
    recipe = check.load(base, ["discriminators.mrd={use: multi_resolution}"])
    (note,) = recipe.notes
    assert "discriminators.mrd (multi_resolution) sees 24240 samples, and a segment of 8192 is less" in str(note)


def test_no_mend_is_shown_where_no_change_mends(base):
    with pytest.raises(RecipeError) as caught:
        check.load(base, ["generator.kernels=[2]", "generator.dilations=[[1]]"])
    assert "fix:" not in str(caught.value)


def test_a_mend_that_breaks_something_else_is_not_shown(base, registry):
    """audio.hop=512 alone would leave a segment of 8448 between two frames."""
    rates = ["generator.upsample_rates=[8, 8, 2, 4]", "generator.upsample_kernels=[16, 16, 4, 8]"]
    with pytest.raises(RecipeError) as caught:
        check.load(base, [*rates, "plan.segment=8448"], registry)
    assert "fix: --set audio.hop=512 --set plan.segment=8192" in str(caught.value)


def test_what_compares_pairs_does_not_go_with_a_generator_of_its_own_clips(base, registry):
    """A loss and a metric that hold each clip against its own reference."""
    with pytest.raises(RecipeError) as caught:
        check.load(base, ["generator={use: own}"], registry)
    said = [problem.message for problem in caught.value.problems]
    why = "needs pairs, but the generator of this recipe makes clips of its own, which imitate none in particular"
    assert said == [f"losses.mel (mel_l1) {why}", f"metrics.mel_distance (mel_distance) {why}"]


def test_a_critic_of_classes_needs_a_generator_that_reads_them(base, registry):
    """The corpus has labels, the generator reads none: the critic would be told nothing of the fakes."""
    sets = ["corpus={use: ten_words}", "generator={use: from_noise}", "discriminators={c: {use: class_critic}}"]
    with pytest.raises(RecipeError) as caught:
        check.load(base, sets, registry)
    (problem,) = caught.value.problems
    assert (
        problem.message
        == "discriminators.c (class_critic) judges 10 classes, but generator (from_noise) reads no label"
    )
    assert problem.fix == "--set discriminators.c.classes=null"
