"""Restoring files: chunks equal the whole, formats and tags stay, and whatever cannot be restored is told."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn

from gansemble.inference import enhancement, keep_below, streaming
from gansemble.interfaces import Condition
from gansemble.parts.build import Waveform

RATE = 22050
CONF = """
name: restorer
audio: {sample_rate: 22050, n_fft: 512, hop: 128, window: 512, mels: 20, fmin: 0, fmax: null}
corpus: {use: folder}
data: {normalise: null}
degradation: {use: low_pass, cutoff: [3000, 5000]}
generator: {use: inception_unet, blocks: 3, widths: [4, 4, 2, 2], kernels: [3, 5, 7, 9], dropout: 0.0}
losses: {time: {use: waveform_l2}}
metrics: {lsd: {use: lsd}, snr: {use: snr}}
plan: {steps: 3, batch_size: 2, segment: 4096, log_every: 1, save_every: 3}
validation: {every: 3, clips: 1, seconds: 1, audio: 1, metrics: [lsd], best: lsd}
optimisers: {generator: {use: adamw, lr: 1e-2}}
"""


class Shifting(nn.Module):
    """Adds a 101-tap moving average, and a pattern that begins anew every 8 samples: context 50 samples and alignment 8."""

    context_frames, alignment = 56, 8

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, 1, 101, generator=torch.Generator().manual_seed(0)))

    def forward(self, condition: Condition) -> Tensor:
        assert condition.signal("degraded") is not None
        x = condition.signal("degraded")
        pattern = torch.arange(x.shape[-1]) % 8
        return nn.functional.conv1d(x, self.weight, padding=50) * (1 + pattern)


def noise(channels: int, length: int) -> Tensor:
    return torch.randn(channels, length, generator=torch.Generator().manual_seed(length))


@pytest.mark.parametrize("length", [1, 7, 8, 55, 56, 57, 800, 801, 2417])
@pytest.mark.parametrize("blocks", [1, 13, 100000])
def test_a_stream_is_restored_as_the_whole(length, blocks):
    """Whatever the length, and the sizes in which it is read."""
    audio, network = noise(2, length), Shifting().eval()
    with torch.no_grad():
        whole = network(Condition(signals={"degraded": audio[:, None]}))[:, 0]
    pieces = streaming.enhancement_stream(network, Waveform(), 160).pieces(iter(audio.split(blocks, 1)))
    made = torch.cat(list(pieces), 1)
    assert made.shape == whole.shape and torch.allclose(made, whole, atol=1e-4)


def test_without_its_context_the_same_stream_differs():
    """The test above can fail."""
    network = Shifting().eval()
    network.context_frames = 0
    audio = noise(1, 801)
    with torch.no_grad():
        whole = network(Condition(signals={"degraded": audio[:, None]}))[:, 0]
    assert (streaming.enhancement_stream(network, Waveform(), 160).whole(audio) - whole).abs().max() > 0.5


def test_no_more_is_held_than_a_core_and_its_context():
    """Memory does not grow with the recording."""
    network, held = Shifting().eval(), []

    def watch(module: nn.Module, inputs: tuple[Condition], output: Tensor) -> None:
        held.append(output.shape[-1])

    network.register_forward_hook(watch)
    for _ in streaming.enhancement_stream(network, Waveform(), 160).pieces(iter(noise(1, 20000).split(64, 1))):
        pass
    assert max(held) <= 160 + 2 * 56


def test_a_context_that_is_no_multiple_of_the_alignment_is_refused():
    network = Shifting()
    network.context_frames = 57
    with pytest.raises(ValueError, match="context_frames must be a multiple of alignment 8, got 57"):
        streaming.enhancement_stream(network, Waveform(), 160)


class Louder(nn.Module):
    """Twice as loud."""

    context_frames, alignment = 0, 16

    def forward(self, condition: Condition) -> Tensor:
        assert condition.signal("degraded") is not None
        return 2 * condition.signal("degraded")


def test_the_band_that_is_kept_stays_and_the_rest_is_made():
    """A tone below the frequency keeps its level, one above it gets the generator's, both to -80 dB."""
    kept = keep_below.KeepBelow(Louder(), RATE, 4000)
    time = torch.arange(3 * RATE, dtype=torch.float64) / RATE
    for hertz, gain in ((440, 1.0), (3500, 1.0), (4500, 2.0), (9000, 2.0)):
        tone = torch.sin(2 * torch.pi * hertz * time).float()[None]
        made = streaming.enhancement_stream(kept, Waveform(), 5000).whole(tone)[0, RATE:-RATE]
        assert float((made - gain * tone[0, RATE:-RATE]).abs().max()) < 2e-4, hertz


def test_the_band_is_kept_in_chunks_as_in_the_whole():
    kept = keep_below.KeepBelow(Shifting().eval(), RATE, 4000)
    audio = noise(1, 9001)
    with torch.no_grad():
        whole = kept(Condition(signals={"degraded": audio[:, None]}))[:, 0]
    assert torch.allclose(streaming.enhancement_stream(kept, Waveform(), 800).whole(audio), whole, atol=1e-3)
    assert kept.context_frames % 8 == 0 and kept.context_frames > 56


@pytest.fixture(scope="module")
def exp(tmp_path_factory) -> Path:
    """An experiment of three steps."""
    from gansemble.data import prepare
    from gansemble.recipe import check
    from gansemble.training.components import Components
    from gansemble.training.trainer import Trainer

    folder = tmp_path_factory.mktemp("enhance")
    (folder / "r.yaml").write_text(CONF)
    recipe = check.load(folder / "r.yaml")
    prepare.corpus_of(recipe).mini(folder / "data")
    prepare.prepare(recipe, folder / "data", folder / "dump", 1, lambda text: None)
    Trainer(Components.build(recipe, folder / "exp", folder / "dump")).run()
    return folder / "exp"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("in")
    tone = 0.3 * np.sin(2 * np.pi * 220 * np.arange(RATE) / RATE)
    both = np.stack([tone, 0.5 * tone], 1)
    soundfile.write(folder / "stereo.flac", both, RATE, subtype="PCM_24")
    with soundfile.SoundFile(folder / "tagged.ogg", "w", RATE, 1, format="OGG", subtype="VORBIS") as out:
        out.title, out.artist = "Song", "Someone"
        out.write(tone)
    soundfile.write(folder / "other.wav", tone, 44100)
    soundfile.write(folder / "short.wav", tone[:5], RATE)
    soundfile.write(folder / "silent.wav", np.zeros(3000), RATE)
    soundfile.write(folder / "broken.wav", tone, RATE)
    data = (folder / "broken.wav").read_bytes()
    (folder / "broken.wav").write_bytes(data[: len(data) // 2])
    return folder


@pytest.fixture
def enhance(gansemble_command, exp):
    return lambda *words: gansemble_command("enhance", "--exp", str(exp), *map(str, words))


@pytest.fixture
def gansemble_command(capsys):
    from gansemble.cli import main

    def run(*words: str) -> tuple[int, str, str]:
        status = 0
        try:
            main(list(words))
        except SystemExit as stop:
            status = int(stop.code or 0)
        found = capsys.readouterr()
        return status, found.out, found.err

    return run


@pytest.mark.slow
def test_files_keep_format_channels_length_and_tags(enhance, inputs, tmp_path):
    status, out, err = enhance(inputs / "stereo.flac", inputs / "tagged.ogg", "--output", tmp_path)
    assert (status, err) == (0, "")
    made = soundfile.SoundFile(tmp_path / "stereo.flac")
    assert (made.subtype, made.channels, made.frames, made.samplerate) == ("PCM_24", 2, RATE, RATE)
    song = soundfile.SoundFile(tmp_path / "tagged.ogg")
    assert (song.title, song.artist, song.subtype) == ("Song", "Someone", "VORBIS")
    assert "stereo.flac: 1.00 s" in out and "bandwidth" in out
    facts = json.loads((tmp_path / "enhancement.json").read_text())
    assert set(facts) == {"stereo.flac", "tagged.ogg"} and facts["stereo.flac"]["step"] == 3


def test_tags_that_are_left_out_are_named(enhance, tmp_path):
    soundfile.write(tmp_path / "a.flac", np.zeros(2000), RATE)
    data, texts = (
        (tmp_path / "a.flac").read_bytes(),
        (b"TITLE=Song", b"ALBUMARTIST=All", b"REPLAYGAIN_TRACK_GAIN=-6 dB"),
    )
    listed = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    comments = struct.pack("<II", 0, len(texts)) + listed
    # Right behind the first block of metadata, which has 38 bytes and begins behind the first 4.
    (tmp_path / "a.flac").write_bytes(data[:42] + bytes([4]) + len(comments).to_bytes(3, "big") + comments + data[42:])
    status, out, _ = enhance(tmp_path / "a.flac", "--output", tmp_path / "out")
    assert status == 0 and "a.flac: tags that were left out: albumartist, replaygain_track_gain" in out
    assert soundfile.SoundFile(tmp_path / "out" / "a.flac").title == "Song"


def test_a_file_is_restored_as_its_samples_are(enhance, exp, inputs, tmp_path):
    """What is written is what the generator makes of the whole recording."""
    from gansemble.inference import loading

    enhance(inputs / "stereo.flac", "--output", tmp_path, "--format", "float", "--chunk-seconds", "0.05")
    made, _ = soundfile.read(tmp_path / "stereo.wav", dtype="float32")
    audio, _ = soundfile.read(inputs / "stereo.flac", dtype="float32")
    with torch.no_grad():
        whole = loading.load(exp).generator(Condition(signals={"degraded": torch.from_numpy(audio.T.copy())[:, None]}))[
            :, 0
        ]
    assert np.abs(made - whole.numpy().T).max() < 1e-5
    assert np.abs(made - audio).max() > 1e-4  # it did something


def test_one_bad_file_stops_no_other(enhance, inputs, tmp_path):
    status, _, err = enhance(inputs, "--output", tmp_path)
    assert status == 1 and "2 of 6 files could not be restored" in err
    assert "broken.wav: truncated: its header states" in err and "copy or download it again" in err
    assert "other.wav: is at 44100 Hz, the generator works at 22050 Hz; pass --resample" in err
    assert "which leaves out all above 11025 Hz" in err
    assert {path.name for path in tmp_path.glob("*.*")} == {
        "stereo.flac", "tagged.ogg", "short.wav", "silent.wav", "enhancement.json"
    }  # fmt: skip
    assert not list(tmp_path.glob(".*")), "no temporary file is left"
    silence, _ = soundfile.read(tmp_path / "silent.wav")
    assert len(silence) == 3000 and np.isfinite(silence).all()
    assert soundfile.info(tmp_path / "short.wav").frames == 5


def test_a_second_command_goes_on_where_the_first_was(enhance, inputs, tmp_path):
    enhance(inputs / "short.wav", "--output", tmp_path)
    before = (tmp_path / "short.wav").stat().st_mtime_ns
    status, out, _ = enhance(inputs / "short.wav", inputs / "silent.wav", "--output", tmp_path)
    assert status == 0 and "short.wav: is there already, made of the same input; --overwrite makes it again" in out
    assert (tmp_path / "short.wav").stat().st_mtime_ns == before
    enhance(inputs / "short.wav", "--output", tmp_path, "--overwrite")
    assert (tmp_path / "short.wav").stat().st_mtime_ns > before


def test_other_rates_are_resampled_when_asked(enhance, inputs, tmp_path):
    status, out, _ = enhance(inputs / "other.wav", "--output", tmp_path, "--resample")
    assert status == 0 and "resampled from 44100 Hz" in out
    made = soundfile.info(tmp_path / "other.wav")
    assert (made.samplerate, made.frames) == (RATE, RATE // 2)


def test_a_band_may_be_kept(enhance, inputs, tmp_path):
    """What the tiny model did to a tone of 220 Hz is undone."""
    enhance(inputs / "stereo.flac", "--output", tmp_path / "a", "--format", "float")
    status, _, _ = enhance(
        inputs / "stereo.flac", "--output", tmp_path / "b", "--format", "float", "--keep-below", 3000
    )
    given, plain, kept = (
        soundfile.read(path)[0]
        for path in (inputs / "stereo.flac", tmp_path / "a/stereo.wav", tmp_path / "b/stereo.wav")
    )
    assert status == 0 and np.abs(kept - given).max() < 0.5 * np.abs(plain - given).max()
    status, _, err = enhance(inputs / "stereo.flac", "--output", tmp_path / "c", "--keep-below", 20000)
    assert status == 1 and "--keep-below 20000: the band that is kept must end between 200 Hz and 10825 Hz" in err


def test_the_inputs_folder_is_no_output(enhance, inputs):
    status, _, err = enhance(inputs / "short.wav", "--output", inputs)
    assert status == 1 and "is the folder of the input short.wav" in err


def test_an_output_within_the_inputs_is_refused(enhance, tmp_path):
    """The originals would be written over, or restored twice."""
    (tmp_path / "album" / "one").mkdir(parents=True)
    soundfile.write(tmp_path / "album" / "one" / "a.wav", np.zeros(100), RATE)
    before = (tmp_path / "album" / "one" / "a.wav").read_bytes()
    for output in (tmp_path / "album", tmp_path / "album" / "restored"):
        status, _, err = enhance(tmp_path / "album", "--output", output, "--force")
        assert status == 1 and "would lie in the input folder" in err
    assert (tmp_path / "album" / "one" / "a.wav").read_bytes() == before


def test_names_that_a_format_makes_equal_are_refused(enhance, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.wav", "a.flac"):
        soundfile.write(tmp_path / "in" / name, np.zeros(100), RATE)
    status, _, err = enhance(tmp_path / "in", "--output", tmp_path / "out", "--format", "pcm16")
    assert status == 1 and "several inputs would be written to" in err
    assert enhance(tmp_path / "in", "--output", tmp_path / "out")[0] == 0


def test_the_record_grows_with_the_folder(enhance, inputs, tmp_path):
    for name in ("short.wav", "silent.wav"):
        enhance(inputs / name, "--output", tmp_path)
    assert set(json.loads((tmp_path / "enhancement.json").read_text())) == {"short.wav", "silent.wav"}


def test_a_minute_is_written_to_vorbis_in_pieces(exp, tmp_path):
    """libsndfile's writer crashes on so much at once."""
    from gansemble.inference import loading

    soundfile.write(tmp_path / "long.wav", np.zeros((60 * RATE, 2), np.float32), RATE)
    with soundfile.SoundFile(tmp_path / "long.ogg", "w", RATE, 2, format="OGG", subtype="VORBIS") as out:
        for _ in range(60):
            out.write(0.01 * np.ones((RATE, 2), np.float32))
    wanted = enhancement.EnhanceOptions(core=10**9)
    loaded = loading.load(exp)
    loaded.generator = Louder()
    done = enhancement.enhance(loaded, tmp_path / "long.ogg", tmp_path / "out.ogg", wanted)
    assert done.seconds == pytest.approx(60, abs=0.1)


def test_what_is_not_finite_is_not_written(exp, inputs, tmp_path):
    from gansemble.errors import DataError
    from gansemble.inference import loading

    class Broken(Louder):
        def forward(self, condition: Condition) -> Tensor:
            assert condition.signal("degraded") is not None
            return condition.signal("degraded") / 0

    loaded = loading.load(exp)
    loaded.generator = Broken()
    with pytest.raises(DataError, match=r"silent\.wav: the generator made NaN or Inf of it, near 0\.0 s"):
        enhancement.enhance(loaded, inputs / "silent.wav", tmp_path / "out.wav", enhancement.EnhanceOptions(core=4096))
    assert not list(tmp_path.iterdir())


def test_lengths_of_chunks_that_are_none_are_refused(enhance, inputs, tmp_path):
    for value in ("nan", "inf", "0"):
        status, _, err = enhance(inputs / "short.wav", "--output", tmp_path, "--chunk-seconds", value)
        assert status == 2 and "--chunk-seconds" in err, value


def test_folders_in_the_way_are_told(enhance, inputs, tmp_path):
    (tmp_path / "out" / "short.wav").mkdir(parents=True)
    status, _, err = enhance(inputs / "short.wav", "--output", tmp_path / "out")
    assert status == 1 and "short.wav: is a folder" in err
    (tmp_path / "file").write_text("")
    status, _, err = enhance(inputs / "short.wav", "--output", tmp_path / "file")
    assert status == 1 and "must be a folder that can be written" in err


def test_two_inputs_of_one_name_are_refused(enhance, inputs, tmp_path):
    (tmp_path / "a").mkdir()
    soundfile.write(tmp_path / "a" / "short.wav", np.zeros(10), RATE)
    status, _, err = enhance(inputs / "short.wav", tmp_path / "a" / "short.wav", "--output", tmp_path / "out")
    assert status == 1 and "several inputs would be written to" in err


def test_other_commands_say_what_to_use(gansemble_command, exp, inputs, tmp_path):
    _, _, err = gansemble_command("sample", "--exp", str(exp), "--output", str(tmp_path))
    assert "use gansemble enhance --exp" in err
    _, _, err = gansemble_command("synthesise", "--exp", str(exp), "--input", str(inputs), "--output", str(tmp_path))
    assert "not a mel spectrogram; use gansemble enhance --exp" in err


def test_a_full_disk_is_told_and_leaves_nothing(exp, inputs, tmp_path, monkeypatch):
    from gansemble.errors import DataError
    from gansemble.inference import loading

    class Full(soundfile.SoundFile):
        def write(self, data: np.ndarray) -> None:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(enhancement.soundfile, "SoundFile", Full)
    with pytest.raises(DataError, match=r"out\.wav: cannot be written \(No space left on device\); is the disk full\?"):
        enhancement.enhance(
            loading.load(exp), inputs / "short.wav", tmp_path / "out.wav", enhancement.EnhanceOptions(core=4096)
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_page_has_each_file_beside_its_input(enhance, inputs, tmp_path):
    words = (
        inputs / "stereo.flac",
        inputs / "tagged.ogg",
        "--output",
        tmp_path / "out",
        "--page",
        tmp_path / "page.html",
    )
    status, out, err = enhance(*words)
    assert (status, err) == (0, "") and "2 files to compare" in out
    page = (tmp_path / "page.html").read_text()
    assert (
        page.count("<section class=clip data-clip") == 2
        and page.count('data-name="input"') == page.count('data-name="restored"') == 2
    )
    (tmp_path / "page.html").unlink()
    status, out, err = enhance(*words)  # nothing is to make; the page is written all the same
    assert (status, err) == (0, "") and (tmp_path / "page.html").is_file()


def test_a_page_that_is_not_ours_stops_before_the_work(enhance, inputs, tmp_path):
    (tmp_path / "page.html").write_text("mine")
    status, _, err = enhance(inputs / "stereo.flac", "--output", tmp_path / "out", "--page", tmp_path / "page.html")
    assert status and "no page of this program" in err and not (tmp_path / "out").exists()
