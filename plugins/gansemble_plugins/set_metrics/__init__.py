"""Metrics that compare a set of clips with another set, some of them by a classifier that is trained on the corpus."""

from gansemble import hookimpl


@hookimpl
def gansemble_register(register):
    """Registers the metrics. Their modules are imported only when one is built."""
    small = {"classifier": {"width": 4, "blocks": 2, "steps": 12}}
    parts = {
        "inception_score": ("metrics:InceptionScore", "how sure and how varied a classifier finds the clips", small),
        "fid": ("metrics:Fid", "Fréchet distance of a classifier's features", small),
        "kid": ("metrics:Kid", "kernel distance of a classifier's features, for few clips", small),
        "intra_fid": ("classwise:IntraFid", "Fréchet distance within each class, and the worst of them", small),
        "precision_recall": (
            "neighbours:PrecisionRecall",
            "precision, recall, density and coverage of a classifier's features",
            small | {"nearest": 3},
        ),
        "pitch_accuracy": ("pitch:PitchAccuracy", "share of clips heard at the pitch they were made with", small),
        "pitch_entropy": ("pitch:PitchEntropy", "how unsure a classifier is of each clip's pitch [nat]", small),
        "ndb": ("spectra:Ndb", "share of k-means cells that hold too many or too few clips", {"cells": 2}),
        "nearest_neighbour": ("spectra:NearestNeighbour", "distances to other clips and to training clips", {}),
        "artefact_spectrum": (
            "spectra:ArtefactSpectrum",
            "how much of the mean spectrum is what upsampling leaves",
            {"generators": 20},
        ),
    }
    heard = {"embedder": {"use": "logmel", "seconds": 0.05}}
    parts |= {
        "fad": ("audio_distances:Fad", "Fréchet audio distance, by any embedder", heard),
        "fad_inf": (
            "audio_distances:FadInfinity",
            "Fréchet audio distance of endless estimates, by any embedder",
            heard | {"least": 20, "sizes": 5},
        ),
        "kad": ("audio_distances:Kad", "kernel audio distance, for few clips, by any embedder", heard),
    }
    for name, (target, summary, example) in parts.items():
        register("metric", name, f"{__name__}.{target}", summary, example=example)
    random = {"weights": "random"}
    embedders = {
        "vggish": ("vggish:Vggish", "VGGish: 128 numbers for each 0.96 s", random),
        "panns": ("panns:Panns", "PANNs CNN14: 2048 numbers for each 10 s", random),
        "clap": ("clap:Clap", "CLAP's audio embedding for each 10 s, by transformers", {"folder": "random"}),
        "logmel": ("log_mel_statistics:LogMel", "mean and deviation of log-mel bands; no weights", {"seconds": 0.2}),
        "corpus_classifier": ("corpus_embedder:CorpusEmbedder", "features of a classifier of the corpus", small),
    }
    for name, (target, summary, example) in embedders.items():
        register("embedder", name, f"{__name__}.{target}", summary, example=example)
