"""Corpora: LJSpeech, and any folder of audio."""

from collections.abc import Callable

from gansemble import hookimpl


@hookimpl
def gansemble_register(register: Callable[..., None]) -> None:
    """The corpora of this plugin."""
    register(
        "corpus",
        "ljspeech",
        f"{__name__}.ljspeech:LJSpeech",
        "LJSpeech 1.1: one reader, 24 h, 22.05 kHz",
        example={},
    )
    register(
        "corpus",
        "folder",
        f"{__name__}.folder:Folder",
        "any folder of audio files, split by name",
        example={},
    )
