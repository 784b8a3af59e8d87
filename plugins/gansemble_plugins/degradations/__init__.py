"""Degradations for music super-resolution: what took the high frequencies away that a generator shall give back."""

from gansemble import hookimpl


@hookimpl
def gansemble_register(register):
    """Names the parts; their modules are imported when one is built."""
    parts = {
        "low_pass": ("low_pass:LowPass", "zero-phase low-pass whose family, order, ripple and cut-off are drawn"),
        "muffle": ("muffle:Muffle", "an equaliser's high shelf and gentle low-pass, zero-phase, gains drawn"),
        "decimate": ("decimate:Decimate", "resampled to a lower rate and back"),
        "codec": ("codec:Codec", "MP3, Ogg Vorbis or Opus: really encoded and decoded, at a drawn strength"),
        "codec_band": ("codec_band:CodecBand", "a lossy codec's band limit, and bands missing at times"),
    }
    for name, (target, summary) in parts.items():
        register("degradation", name, f"{__name__}.{target}", summary, example={})
