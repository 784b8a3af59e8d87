"""Corpora: speech, digits, environmental sounds, drums, piano, notes, music and pictures; any folder of audio or of pairs."""

from collections.abc import Callable

from gansemble import hookimpl

CORPORA = {
    "ljspeech": ("ljspeech:LJSpeech", "LJSpeech 1.1: one reader, 24 h, 22.05 kHz"),
    "folder": ("folder:Folder", "any folder of audio files, split by name"),
    "sc09": ("sc09:SC09", "SC09: ten spoken digits of Speech Commands, labelled, 16 kHz"),
    "fsdd": ("fsdd:FSDD", "Free Spoken Digit Dataset: ten digits, labelled, 8 kHz"),
    "drums": ("drums:Drums", "drum hits, WaveGAN's or yours, labelled on request"),
    "piano": ("piano:Piano", "piano recordings, WaveGAN's or yours"),
    "nsynth": ("nsynth:NSynth", "NSynth: notes of 4 s with pitches, GANSynth's split, 16 kHz"),
    "musdb18": ("musdb18:MUSDB18", "MUSDB18-HQ: 150 tracks of music and their stems, 44.1 kHz stereo"),
    "vctk48": ("vctk48:VCTK48", "VCTK 0.92: 108 speakers, NU-Wave 2's split, 48 kHz"),
    "vctk": ("vctk:VCTK", "VCTK 0.92: speakers seen or unseen in training, two microphones, 48 kHz"),
    "libritts": ("libritts:LibriTTS", "LibriTTS: audio books read by many, in the published subsets, 24 kHz"),
    "timit": ("timit:TIMIT", "TIMIT: ten sentences by each of 630 speakers, 16 kHz"),
    "maps": ("maps:MAPS", "MAPS: nine pianos, two of them recorded, 44.1 kHz stereo"),
    "enst_drums": ("enst_drums:ENSTDrums", "ENST-Drums: three drummers, mixes and microphones, 44.1 kHz"),
    "musicnet": ("musicnet:MusicNet", "MusicNet: 330 recordings of classical music, labelled on request, 44.1 kHz"),
    "birds": ("birds:Birds", "recordings of birds, xeno-canto's or yours"),
    "pairs": ("pairs:Pairs", "two folders of files with equal names: clean and degraded"),
    "teacher_forced": ("teacher_forced:TeacherForced", "recordings, and mels that a TTS system predicts of them"),
    "esc50": ("esc50:ESC50", "ESC-50 and ESC-10: environmental sounds of 5 s, labelled, five folds, 44.1 kHz"),
    "urbansound8k": ("urbansound8k:UrbanSound8K", "UrbanSound8K: city sounds of up to 4 s, ten classes, ten folds"),
    "common_voice": ("common_voice:CommonVoice", "Common Voice: sentences by volunteers, labelled on request"),
    "labelled_folder": ("labelled_folder:LabelledFolder", "any folder of class folders, split within each class"),
    "cifar10": ("cifar10:Cifar10", "CIFAR-10: pictures of 32 x 32 pixels as clips, labelled"),
}


@hookimpl
def gansemble_register(register: Callable[..., None]) -> None:
    """The corpora of this plugin."""
    for name, (target, summary) in CORPORA.items():
        register("corpus", name, f"{__name__}.{target}", summary, example={})
