"""Objectives, losses, features, regularisers, injectors, optimisers, schedules, augmentations, perturbations and a monitor of collapse for every paper."""

from gansemble import hookimpl


@hookimpl
def gansemble_register(register):
    """Names the parts; nothing is imported until a recipe asks for it."""
    here = __name__
    register("objective", "lsgan", f"{here}.objectives:LeastSquares", "least squares (Mao et al. 2017)")
    register("objective", "hinge", f"{here}.objectives:Hinge", "hinge (Lim and Ye 2017; Miyato et al. 2018)")
    register("objective", "wgan", f"{here}.objectives:Wasserstein", "Wasserstein critic (Arjovsky et al. 2017)")
    register(
        "objective",
        "nonsaturating",
        f"{here}.objectives:NonSaturating",
        "non-saturating logistic (Goodfellow et al. 2014)",
    )
    register(
        "objective",
        "relativistic",
        f"{here}.objectives:Relativistic",
        "real and fake scores compared pair by pair (Jolicoeur-Martineau 2019; R3GAN)",
    )
    register("loss", "mel_l1", f"{here}.losses:MelL1", "L1 of log-mel spectrograms (HiFi-GAN)")
    register(
        "loss",
        "multi_scale_mel",
        f"{here}.losses:MultiScaleMel",
        "L1 of log-mels at several window lengths (DAC, BigVGAN-v2)",
    )
    register(
        "loss",
        "multi_resolution_stft",
        f"{here}.losses:MultiResolutionStftLoss",
        "spectral convergence and log magnitude (Parallel WaveGAN)",
    )
    register(
        "loss",
        "feature_matching",
        f"{here}.losses:FeatureMatching",
        "L1 of the discriminators' feature maps (MelGAN)",
    )
    register("loss", "waveform_l1", f"{here}.losses:WaveformL1", "mean absolute difference of samples")
    register("loss", "waveform_l2", f"{here}.losses:WaveformL2", "mean squared difference of samples")
    register(
        "loss",
        "distillation",
        f"{here}.distillation:Distillation",
        "L1 between the fake and what a trained generator, the recipe's teacher, makes of the same condition",
    )
    register("feature", "energy", f"{here}.features:Energy", "log energy of each frame (FastSpeech 2)")
    register(
        "feature",
        "f0",
        f"{here}.features:FundamentalFrequency",
        "fundamental frequency of each frame by YIN, 0 where unvoiced",
    )
    register(
        "noise_injector",
        "gaussian",
        f"{here}.injectors:Gaussian",
        "instance noise on what the discriminators see",
    )
    register(
        "noise_injector",
        "augment",
        f"{here}.augment:Augment",
        "shifted and masked along time and frequency, at an adaptive rate if wanted (DiffAugment, ADA)",
    )
    register(
        "regulariser",
        "gradient_penalty",
        f"{here}.regularisers:GradientPenalty",
        "norm of the score's gradient held at a target (WGAN-GP); R1 with target 0 at real items",
    )
    register("regulariser", "drift", f"{here}.regularisers:Drift", "mean of squared real scores (progressive GAN)")
    register("regulariser", "r1", f"{here}.regularisers:R1", "squared gradient at real items (Mescheder et al. 2018)")
    register(
        "regulariser", "r2", f"{here}.regularisers:R2", "squared gradient at fake items (Mescheder et al. 2018; R3GAN)"
    )
    register(
        "regulariser",
        "lecam",
        f"{here}.lecam:LeCam",
        "scores held near the other side's running mean (Tseng et al. 2021)",
    )
    register(
        "regulariser",
        "orthogonal",
        f"{here}.orthogonal:Orthogonal",
        "filters at right angles to one another (Brock et al. 2017; BigGAN)",
    )
    register(
        "regulariser",
        "spectral_norm",
        f"{here}.spectral:SpectralNorm",
        "largest singular values cut after each optimiser step (BigGAN)",
        example={"limit": 1.0},
    )
    register("representation", "waveform", "gansemble.parts.build:Waveform", "samples as they are")
    register(
        "augmentation",
        "pitch_shift",
        f"{here}.pitch_shift:PitchShift",
        "short clips at other pitches, of the same duration",
        example={"ratios": [0.75, 1.5]},
    )
    register("perturbation", "random_gain", f"{here}.perturbations:RandomGain", "level of each crop drawn")
    register("perturbation", "random_polarity", f"{here}.perturbations:RandomPolarity", "sign of half of the crops")
    register("perturbation", "speed", f"{here}.perturbations:Speed", "speed and pitch together, as of a tape")
    register("perturbation", "pitch", f"{here}.perturbations:Pitch", "pitch alone, by a phase vocoder")
    register("perturbation", "random_filter", f"{here}.random_filter:RandomFilter", "shelf, peak or band-pass, drawn")
    register(
        "perturbation", "additive_noise", f"{here}.perturbations:AdditiveNoise", "white or pink noise at a drawn SNR"
    )
    register("optimiser", "adamw", f"{here}.optimisers:adamw", "Adam with decoupled weight decay")
    register("optimiser", "adam", f"{here}.optimisers:adam", "Adam")
    register("optimiser", "rmsprop", f"{here}.optimisers:rmsprop", "RMSprop")
    register("optimiser", "sgd", f"{here}.optimisers:sgd", "stochastic gradient descent")
    register(
        "optimiser",
        "muon",
        f"{here}.muon:muon",
        "orthogonalised momentum of matrices, AdamW for the rest (Jordan et al. 2024)",
    )
    register("schedule", "warmup_cosine", f"{here}.schedules:WarmupCosine", "a linear rise, then a cosine to a floor")
    register("schedule", "one_cycle", f"{here}.schedules:OneCycle", "one rise and one fall (Smith and Topin 2018)")
    register(
        "schedule",
        "step",
        f"{here}.schedules:Milestones",
        "lower by a factor at each of a few steps or epochs",
        example={"milestones": [2, 5]},
    )
    register("schedule", "exponential", f"{here}.schedules:Exponential", "a factor after every few epochs or steps")
    register(
        "schedule",
        "inverse_square_root",
        f"{here}.schedules:InverseSquareRoot",
        "a linear rise, then one over the root of the step (Vaswani et al. 2017)",
    )
    register(
        "monitor",
        "collapse",
        f"{here}.collapse:CollapseMonitor",
        "fakes that become alike, scores that run away, against the run's own healthy past",
        example={"warm_up": 0, "window": 4, "patience": 2},
    )
    # Pictures.
    register(
        "representation",
        "pixels",
        f"{here}.pictures:Picture",
        "pictures that are stored as clips of their values",
        example={"segment": 3072},
    )
