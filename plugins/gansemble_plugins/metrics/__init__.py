"""Metrics of a generated clip, most of them against its reference: perceptual, spectral, of pitch and waveform."""

from gansemble import hookimpl


@hookimpl
def gansemble_register(register):
    """Registers the metrics. Their modules are imported only when one is built."""
    parts = {
        "pesq": ("perceptual:Pesq", "PESQ MOS-LQO, wide- or narrow-band (ITU-T P.862)"),
        "stoi": ("perceptual:Stoi", "short-time objective intelligibility (Taal et al. 2011)"),
        "estoi": ("perceptual:estoi", "extended short-time objective intelligibility (Jensen & Taal 2016)"),
        "mel_distance": ("spectral:MelDistance", "mean absolute difference of log-mel spectrograms [nat]"),
        "multi_resolution_stft": (
            "spectral:MultiResolutionStftDistance",
            "spectral convergence + log magnitude over three STFTs",
        ),
        "lsd": ("spectral:Lsd", "log-spectral distance of super-resolution papers [log10 power]"),
        "lsd_hf": ("bands:LsdHigh", "log-spectral distance above a cut-off [log10 power]"),
        "lsd_lf": ("bands:LsdLow", "log-spectral distance below a cut-off [log10 power]"),
        "lsd_ssr_eval": ("bands:LsdSsrEval", "log-spectral distance as ssr_eval computes it, without a floor"),
        "flatness_distance": ("bands:FlatnessDistance", "mean difference of spectral flatness, plain and weighted"),
        "si_sdr": ("waveform:SiSdr", "scale-invariant signal-to-distortion ratio [dB]"),
        "snr": ("waveform:Snr", "signal-to-noise ratio [dB]"),
        "mcd": ("mcd:Mcd", "mel-cepstral distortion, in named variants [dB]"),
        "warpq": ("warpq:WarpQ", "warped cost of finding the estimate's speech in the reference (Jassim et al. 2022)"),
        "f0_rmse": ("voice:F0Rmse", "difference of pitch where both are voiced [Hz, cents]"),
        "vuv_f1": ("voice:VuvF1", "F1 of voiced frames (Morrison et al. 2022)"),
        "periodicity": ("voice:Periodicity", "difference of periodicity (Morrison et al. 2022)"),
        "visqol": ("visqol:Visqol", "ViSQOL MOS-LQO, of audio or speech (Chinen et al. 2020)"),
        "dnsmos": ("unreferenced:Dnsmos", "DNSMOS, predicted scores of noisy speech, without a reference"),
        "utmos": ("unreferenced:Utmos", "UTMOS, predicted naturalness of speech, without a reference; your weights"),
        "residual_snr": ("levels:ResidualSnr", "signal-to-noise ratio to the clip whose phase was borrowed [dB]"),
        "power_ratio_snr": (
            "levels:PowerRatioSnr",
            "power of the clip whose phase was borrowed by the estimate's [dB]",
        ),
    }
    examples = {"lsd_hf": {"cutoff": 2000.0}, "lsd_lf": {"cutoff": 2000.0}}
    for name, (target, summary) in parts.items():
        register("metric", name, f"{__name__}.{target}", summary, example=examples.get(name, {}))
