"""The conformance kit catches broken parts: each mistake by the check it breaks, with a message that says so."""

import importlib
import sys
from pathlib import Path

import pytest

from gansemble.errors import MissingNeed
from gansemble.plugins.registry import KINDS, Entry
from gansemble.testing import conformance
from gansemble.testing.subject import Fault

# The parts are imported by name, here and in the processes that a check starts, which get this process' sys.path.
HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)

PLURALS = {"corpus": "corpora", "loss": "losses"}
#: Sound parts, which every check of their kind must let pass.
CONTROLS = {kind: ("Sound",) for kind in KINDS} | {
    "discriminator": ("Sound", "Spectral"),
    "loss": ("Sound", "FrozenFeatures"),
    "metric": ("Sound", "SoundAlone", "SoundSet"),
    "representation": ("Sound", "Levelled"),
    "perturbation": ("Sound", "SoundStretch", "SoundFixed"),
    "optimiser": ("Sound", "TwoRates", "ByName"),
}
#: kind -> (the broken part, the check that must catch it, what its message must say).
LISTING = {
    "generator": [
        ("Growing", "grows_as_it_says", "its contract must say where it is grown: grows_to"),
        ("GrownEarlier", "grows_as_it_says", "at progress 0.5, where its contract says it is grown"),
        ("NeverGrows", "grows_as_it_says", "says that it grows to 2, but it has no set_progress"),
        ("Shortsighted", "restores_in_chunks", "restored in chunks with 2 samples of context"),
        ("ByPairs", "restores_in_chunks", "or an alignment that chunks must begin at"),
        (
            "SmoothsFurther",
            "streams_as_the_whole",
            "of overlapping blocks (there is no rule for the operation avg_pool2d)",
        ),
        ("LearnsAfterAll", "is_a_network", "it says learns = False and has parameters"),
        ("BatchNormed", "two_processes_agree", "running statistics need synchronising, or a norm without them"),
        ("MainProcessOnly", "two_processes_agree", "no gradient reaches residual.weight, residual.bias in process 1"),
        ("LeftoverHead", "teaches_every_parameter", "no gradient reaches old_head.weight"),
        ("PlainList", "is_a_network", "it has no parameters"),
        ("ShortSighted", "reaches_as_far_as_it_says", "context_frames says 1, but a frame changes samples 2 frames"),
        ("HalvesFrames", "makes_any_length", "frames at 256 samples each should make [1, 1, "),
        ("AlwaysDropping", "repeats_itself", "two calls in eval differ"),
        ("NormalisesInPlace", "leaves_its_inputs_alone", "it writes into its inputs"),
        ("FixedProjection", "keeps_its_state", "register what it needs as buffers"),
        ("NumpyWeights", "is_built_the_same_from_one_seed", "draw initial weights from torch's generator"),
        ("Standardises", "takes_silence_and_full_scale", "of silence is not finite"),
        ("HalfSpectrum", "survives_autocast", "it fails under bfloat16 autocast"),
        ("NoChannel", "makes_what_its_contract_says", "expected [2, 1, 8192], got [2, 8192]"),
        ("DoublePrecision", "keeps_dtype_device_and_finiteness", "expected float32 of float32 inputs"),
        ("SwitchesMode", "knows_training_from_eval", "calling it changes the mode"),
        ("Positional", "constructor_can_be_checked", "keyword-only"),
        ("DecidesByItsValues", "can_be_exported", "if hidden.abs().max() < 1 else hidden: what it computes depends on"),
        (
            "SaysItCannotBeExported",
            "can_be_exported",
            "it says that it cannot be exported (nobody has tried), but it can",
        ),
        ("SilentOnItsTask", "says_what_it_reads", "the generator does not say what it reads"),
        ("OfAnotherKind", "contract_is_sound", "returns TermContract, but a generator has a GeneratorContract"),
        ("MisnamedReason", "contract_is_sound", "because names 'condition', which is no parameter"),
        ("Undocumented", "constructor_can_be_checked", "document gain in the docstring's Args"),
        ("CachedRamp", "makes_any_length", "must match the size of tensor b (7)"),
        ("OldWeightNorm", "keeps_its_state", "it cannot be copied, which the average of weights needs"),
        ("CentresTheBatch", "makes_items_apart", "keep dimension 0 out of means"),
        ("SeedsItself", "is_built_the_same_from_one_seed", "building it seeds torch's generator"),
        ("SeedsEachCall", "repeats_itself", "a call seeds torch's generator"),
        ("ConstantOnCpu", "works_on_other_devices", "it makes a tensor on the CPU"),
    ],
    "discriminator": [
        ("MinibatchDeviation", "keeps_its_word_on_items_apart", "it says items_apart"),
        ("ScoresAcross", "answers_with_outputs", "a score must be [B, N] with B = 2, got [1, 2]"),
        ("ForgetsFeatures", "answers_with_outputs", 'gives "features", but its outputs have none'),
        ("HidesFeatures", "answers_with_outputs", 'its contract does not give "features"'),
        (
            "OldStyle",
            "answers_with_outputs",
            "must return DiscriminatorOutput or a sequence of DiscriminatorOutput, got tuple",
        ),
        ("WrongClasses", "answers_with_outputs", "logits must be (2, 10), got (2, 9)"),
        ("RootOfPower", "takes_silence_and_full_scale", "the gradient to silence is not finite"),
        ("LogOfPower", "takes_silence_and_full_scale", "its output of silence is not finite"),
        ("BlindFrontEnd", "passes_gradients_to_what_it_hears", "no gradient of the score reaches its input"),
        ("SaysTooLittle", "sees_as_much_as_it_says", "a score sees 31 samples, measured 103"),
        ("SaysTooMuch", "sees_as_much_as_it_says", "a score sees 412 samples, measured only 103"),
        ("NeedsMore", "works_at_its_shortest", "256 samples are enough, but 256 fail"),
        ("CentresInPlace", "leaves_its_inputs_alone", "it writes into its inputs"),
        ("Remembers", "repeats_itself", "two calls in eval differ"),
        ("SilentNorm", "says_that_it_has_batch_norm", 'its contract must give "batch_norm"'),
        ("DetachedFeatures", "passes_gradients_to_what_it_hears", "so feature matching teaches nothing"),
        ("ShufflesItems", "keeps_items_in_order", "with the items in another order they get other scores"),
        ("HearsTheFirst", "keeps_items_in_order", "or one is judged for all"),
        ("UnusedScale", "teaches_every_parameter", "no gradient reaches scales.2.first.weight"),
    ],
    "noise_injector": [
        ("DrawsByItself", "injector_draws_only_from_the_batch", "draw from batch.draws"),
        ("SeedsByItself", "injector_draws_only_from_the_batch", "its noise is the same for other draws"),
        ("SharesNoise", "two_halves_are_the_whole", "real items see other noise than together"),
        ("AddsInPlace", "injector_leaves_its_inputs_alone", "it writes into its inputs"),
        ("StopsGradients", "injector_passes_gradients", "no gradient reaches the fake"),
        ("DividesByLevel", "injector_takes_silence", "of silence the discriminators would see what is not finite"),
        ("ForgetsItsLevel", "injector_keeps_its_state", "restored from its state dict it injects other noise"),
        ("OneNumberForAll", "injector_keeps_its_state", "statistic() must give one number per item, [4], got []"),
        (
            "AdaptsInNoTurn",
            "injector_keeps_its_state",
            "statistic_turn must be 'generator' or 'discriminator', got 'discriminators'",
        ),
        ("FiltersInHalf", "injector_keeps_precision_under_autocast", "compute it with autocast off"),
        ("CropsTheTail", "injector_keeps_shapes", "expected [2, 1, 8192], got [2, 1, 8184]"),
        ("LearnsItsLevel", "is_no_network_by_accident", "parameters that no optimiser would learn: level"),
        ("NeverStarts", "injects_something", "it changes none of sixteen items"),
        ("FakeOnly", "injects_something", "it changes fake items only"),
        ("DrawsInNumpy", "injector_draws_only_from_the_batch", "torch's, numpy's or Python's generator"),
        ("AdaptsByChance", "injector_draws_only_from_the_batch", "adapted alike, its noise differs"),
        ("NeverAdapts", "injector_keeps_its_state", "it has adapt() but no state_dict"),
        ("OtherWindow", "injector_keeps_its_state", "statistic_window must be 'interval' or 'last', got 'latest'"),
        ("ClampsInPlace", "injector_leaves_its_inputs_alone", "use x = x + y, not x += y"),
        ("LateOnFakes", "injects_something", "it changes fake items only"),
        ("LateByItself", "injector_draws_only_from_the_batch", "torch's, numpy's or Python's generator"),
        ("GrowsInPlace", "injector_leaves_its_inputs_alone", "it writes into its inputs"),
        ("ShapesOnCpu", "injector_works_on_other_devices", "it makes a tensor on the CPU"),
    ],
    "regulariser": [
        ("Sums", "is_a_mean_over_items", "take a mean over items"),
        ("WithoutGraph", "teaches_the_side_whose_turn_it_is", "nothing can learn from it in the discriminator's turn"),
        ("InEveryTurn", "teaches_the_side_whose_turn_it_is", "no gradient reaches the generator in its turn"),
        ("MisspeltTurn", "has_turns_and_gives_scalars", "got frozenset({'discriminators'})"),
        ("NoTurns", "has_turns_and_gives_scalars", 'frozenset({"generator"})'),
        ("InterpolatesByItself", "draws_only_from_the_batch", "draw from step.batch.draws"),
        ("DistanceOfScores", "takes_silence_full_scale_and_equality", "keep square roots, logarithms and divisions"),
        ("RunningSlope", "term_keeps_its_state", "restored from its state dict, its next value differs"),
        ("LearnsWithIt", "is_no_network_by_accident", "parameters that no optimiser would learn: layer.weight"),
        ("NoisesTheStep", "leaves_the_step_alone", "it writes into step.fake, step.seen_fake"),
        ("RelativeToTheBatch", "is_a_mean_over_items", "something each item has by itself"),
        ("OneTurnAsText", "has_turns_and_gives_scalars", "such as frozenset({\"generator\"}), got 'discriminator'"),
        ("TurnsOnGradients", "leaves_the_step_alone", "it changes requires_grad of step.real"),
        ("GoesBackward", "leaves_the_step_alone", "it adds to the gradient of step.discriminators"),
        ("LeavesEval", "leaves_the_step_alone", "it puts a network into train or eval mode"),
        ("Freezes", "leaves_the_step_alone", "it changes requires_grad of step.generator"),
        ("ClipsWeights", "leaves_the_step_alone", "it writes into step.discriminators"),
        ("CentresFeatures", "leaves_the_step_alone", "it writes into step.real_output"),
        ("ForgetsItsMean", "term_keeps_its_state", "but it has no state_dict"),
        ("ReachesTheGenerator", "teaches_the_side_whose_turn_it_is", "say step.seen_fake.detach()"),
        ("Observes", "teaches_the_side_whose_turn_it_is", "what only looks is no term but a monitor"),
        ("LazySums", "is_a_mean_over_items", "take a mean over items"),
        ("LazyInPlace", "leaves_the_step_alone", "it writes into step.real, step.seen_real"),
        ("RestsInAList", "has_turns_and_gives_scalars", "expected a scalar, got shape (1,)"),
    ],
    "metric": [
        ("Unlimited", "scores_better_what_is_better", "snr: is infinite"),
        ("PeeksAtReference", "scores_better_what_is_better", "says needs_reference = False, but scores otherwise"),
        ("UpsideDown", "scores_better_what_is_better", "lower is better, but a perfect estimate scores 100"),
        ("DistanceUpsideDown", "scores_better_what_is_better", "higher is better, but a perfect estimate scores 0"),
        ("NoDirection", "scores_better_what_is_better", "better must be 'higher' or 'lower', got 'max'"),
        ("Undefined", "scores_better_what_is_better", "it has no definition"),
        ("PlainNumbers", "scores_better_what_is_better", "expected Score, got float"),
        ("NeverOfNoise", "scores_better_what_is_better", "snr: a noisy tone has no score (the estimate is no copy)"),
        ("NoReason", "gives_a_reason_for_no_score", "is NaN without a reason"),
        ("FramesOrFails", "gives_a_reason_for_no_score", "score raises ValueError"),
        ("ScoresTheBroken", "gives_a_reason_for_no_score", "an estimate that is not finite scores"),
        ("KeyOfTheFile", "gives_a_reason_for_no_score", "its keys change from file to file"),
        ("CentresInPlace", "metric_repeats_itself", "it writes into the audio it scores"),
        ("RunningMean", "metric_repeats_itself", "scored again"),
        ("RandomPieces", "metric_repeats_itself", "scored again"),
        ("LimitsInPlace", "metric_repeats_itself", "it writes into the audio it scores; use x = x - y"),
        ("SetUpsideDown", "scores_sets_better_what_is_better", "higher is better, but a set against itself scores 0"),
        ("SetUndefined", "scores_sets_better_what_is_better", "it has no definition"),
        ("KeysOfAnother", "scores_sets_better_what_is_better", "its keys say ['bands', 'bands_deviation'], score_set"),
        ("AveragesNone", "gives_a_reason_for_no_set_score", "give NaN with a reason"),
        ("ScoresTheBrokenSet", "gives_a_reason_for_no_set_score", "with a clip that is not finite it scores"),
        ("ScoresUnfitted", "gives_a_reason_for_no_set_score", "before it is fitted it scores"),
        ("PairsByPlace", "does_not_mind_the_order_of_clips", "with the clips in another order"),
        ("LimitsTheSetInPlace", "set_metric_repeats_itself", "it writes into the audio it scores; use x = x - y"),
        ("DrawsASubset", "set_metric_repeats_itself", "scored again"),
        ("LearnsAgain", "learns_once", "it writes to the folder again instead of loading"),
        ("LearnsFromTorchsDraws", "learns_once", "fit draws from torch's generator"),
    ],
    "objective": [
        ("Swapped", "teaches_both_sides", "discriminator() does not want real scores up"),
        ("Obliging", "teaches_both_sides", "generator() does not want fake scores up"),
        ("ForgetsTheFake", "teaches_both_sides", "discriminator() does not want fake scores down"),
        ("DetachedScore", "teaches_both_sides", "generator() has no gradient to the scores"),
        ("SumsOpinions", "is_a_mean_over_items_and_opinions", "every opinion twice over"),
        ("SumsItems", "is_a_mean_over_items_and_opinions", "every item twice over"),
        ("LogOfSigmoid", "gives_scalars_of_any_score", "it is not finite for scores of ±10000"),
        ("Probabilities", "gives_scalars_of_any_score", "all elements of input should be between 0 and 1"),
        ("OneValueAnItem", "gives_scalars_of_any_score", "expected a scalar, got shape (2,)"),
        ("ClampsInPlace", "objective_leaves_scores_alone", "it writes into the scores"),
        ("SmoothsAtRandom", "objective_leaves_scores_alone", "must draw nothing and remember nothing"),
        ("KeepsABaseline", "objective_leaves_scores_alone", "two calls with the same scores differ"),
        ("StaysInHalf", "gives_scalars_of_any_score", "expected float32 of bfloat16 scores"),
        ("LearnsItsTarget", "is_no_network_by_accident", "parameters that no optimiser would learn: target"),
        ("TargetOnCpu", "objective_works_on_other_devices", "it makes a tensor on the CPU"),
    ],
    "loss": [
        ("Sums", "is_a_mean_over_items", "take a mean over items"),
        ("NormOverTheBatch", "is_a_mean_over_items", "something each item has by itself"),
        ("RootMeanSquare", "takes_silence_full_scale_and_equality", "keep square roots, logarithms and divisions"),
        ("LogOfSilence", "takes_silence_full_scale_and_equality", "its value for silence and silence is not finite"),
        ("DetachedFake", "teaches_the_side_whose_turn_it_is", "nothing can learn from it in the generator's turn"),
        ("OneValueAnItem", "has_turns_and_gives_scalars", "expected a scalar, got shape (2,)"),
        ("PlainNumber", "has_turns_and_gives_scalars", "expected a Tensor, got float"),
        ("CropsByItself", "draws_only_from_the_batch", "draw from step.batch.draws"),
        ("CentresInPlace", "leaves_the_step_alone", "it writes into step.real, step.seen_real"),
        ("CosineInHalf", "keeps_precision_under_autocast", "compute it with autocast off"),
        ("LearnsItsWeight", "is_no_network_by_accident", "parameters that no optimiser would learn: log_variance"),
        ("RunningScale", "term_keeps_its_state", "restored from its state dict, its next value differs"),
        ("LogSpectrumInHalf", "keeps_precision_under_autocast", "of its gradient is rounding"),
        ("CurvatureInHalf", "keeps_precision_under_autocast", "of its gradient is rounding"),
        ("UnaskedOutput", "asks_for_what_it_reads", "says needs_real_output = True"),
        ("ClampsInPlace", "leaves_the_step_alone", "it writes into step.fake, step.seen_fake"),
        ("WindowOnCpu", "term_works_on_other_devices", "it makes a tensor on the CPU"),
        ("AsksNobody", "has_turns_and_gives_scalars", "'NoneType' object is not callable"),
        ("SavesItsNetwork", "saves_no_weights_that_never_learn", "512 bytes of weights that never learn (net.weight)"),
        ("SavesWhatItHolds", "saves_no_weights_that_never_learn", "self.net = gansemble.Frozen(net)"),
    ],
    "representation": [
        ("StaysSmall", "representation_grows_as_it_says", "it encodes otherwise than newly made"),
        ("DropsNyquist", "encodes_what_its_contract_says", "behind the batch, encode gives [2, 256, 65]"),
        ("OtherDomain", "encodes_what_its_contract_says", "says domain 'complex_spectrum', the part 'spectrum'"),
        ("Nameless", "encodes_what_its_contract_says", "its domain must be text that is not empty, got None"),
        ("LosesTheTail", "decodes_to_audio", "should give [2, 1, 8192], got [2, 1, 7680]"),
        ("LosesThePhase", "decodes_to_audio", "of the original's away from it"),
        ("LogOfSilence", "representation_takes_silence", "encoded silence is not finite"),
        ("ScalesByTheBatch", "representation_keeps_items_apart", "encoded otherwise alone than in a batch"),
        ("Dithers", "representation_keeps_items_apart", "two calls of encode differ"),
        ("PreEmphasisInPlace", "representation_leaves_its_inputs_alone", "encode writes into the audio"),
        ("UnscalesInPlace", "representation_leaves_its_inputs_alone", "decode writes into what it decodes"),
        ("ForgetsItsLevel", "representation_keeps_its_state", "restored from its state dict it encodes otherwise"),
        ("FitsAgain", "representation_keeps_its_state", "it must say fitted = True"),
        ("NeverFitted", "representation_keeps_its_state", "it has fit() but no fitted, state_dict"),
        ("RemembersItsScale", "representation_keeps_items_apart", "decode depends on what was encoded last"),
        ("LimitsTheBatch", "representation_keeps_items_apart", "an item is decoded otherwise alone"),
        ("ComesLate", "decodes_in_time", "decoded, a burst is 256 samples late"),
        ("WindowOnCpu", "representation_works_on_other_devices", "it makes a tensor on the CPU"),
    ],
    "corpus": [
        ("PathsAsIds", "lists_sound_clips", "ids must be file names without separators"),
        ("TakesAndTakes", "lists_sound_clips", "ids must be unique, but 60 comes again"),
        ("OtherSplits", "lists_sound_clips", "splits must be of train, validation, test"),
        ("NothingHeldOut", "lists_sound_clips", "needs train and validation clips"),
        ("PathsFromInside", "lists_sound_clips", "paths must be relative to the folder and exist"),
        ("OwnEntries", "lists_sound_clips", "scan must give gansemble.data.manifest.Clip, got ['dict']"),
        ("OpensAudio", "scans_without_opening_audio", "scan opens the audio"),
        ("UnseededMini", "makes_the_same_mini_corpus_twice", "seed what it draws"),
        ("OtherRate", "makes_the_same_mini_corpus_twice", "its contract says [22050] Hz"),
        ("PitchAsText", "gives_the_labels_its_contract_says", "pitch '60' is not in 60..72"),
        ("LabelsFromOne", "gives_the_labels_its_contract_says", "label 8 is not in 0..7"),
        ("LabelsOfSome", "gives_the_labels_its_contract_says", "each clip needs a label of the same name"),
        ("NumbersAndNames", "gives_the_labels_its_contract_says", "is a text of some clips, such as 'seven'"),
        ("MoreNames", "gives_the_labels_its_contract_says", "says 4 classes, but clips have 8 labels"),
        ("SilentAboutNothing", "refuses_a_folder_that_is_not_its_own", "gives 0 clips, expected DataError"),
        ("RaisesItsOwn", "refuses_a_folder_that_is_not_its_own", "raises FileNotFoundError"),
        ("SplitsAtRandom", "scans_without_opening_audio", "two scans of one folder differ"),
        ("AbsolutePaths", "lists_sound_clips", "paths must be relative to the folder"),
        ("WipesTheFolder", "makes_its_mini_corpus_beside_others_files", "deletes files that were in the folder"),
        ("DownloadsItsMini", "makes_the_same_mini_corpus_twice", "its mini corpus asks the network for"),
    ],
    "optimiser": [
        ("ForgetsItsSteps", "goes_on_exactly", "keep everything it needs in state_dict"),
        ("SlowWeightsApart", "goes_on_exactly", "going on from its state dict gives other weights"),
        ("IgnoresTheSchedule", "follows_its_rate", "read lr from param_groups at each step"),
        ("DecaysWithoutRate", "follows_its_rate", "at a learning rate of zero weights move"),
        ("NoRate", "takes_parameters", "its parameter groups have no lr to schedule"),
        ("DecaysItself", "takes_parameters", "parameter 'decay' is reserved by the recipe"),
        ("OtherFirstName", "takes_parameters", "must be called parameters, or named_parameters"),
        ("Averages", "takes_parameters", "expected a torch.optim.Optimizer, got Averages"),
        ("NormalisesByNothing", "survives_a_zero_gradient", "a gradient of zero makes weights that are not finite"),
        ("ExpectsAGradient", "survives_a_zero_gradient", "'NoneType' object has no attribute"),
        ("Uphill", "goes_downhill", "twenty steps raise the loss"),
        ("ReturnsEarly", "goes_downhill", "parameters [1, 2, 3] do not move"),
        ("IgnoresItsRate", "takes_parameters", "built with lr 0.125 and with 0.25"),
        (
            "KeepsADeque",
            "goes_on_exactly",
            "a checkpoint cannot hold its state dict (collections.deque in it is refused)",
        ),
    ],
    "degradation": [
        ("Causal", "degradation_stays_in_time", "it moves the sound by"),
        ("Decimates", "degradation_keeps_length", "expected [8192], got [4096]"),
        ("InDouble", "degradation_keeps_length", "expected float32, got float64"),
        ("NeedsLength", "degradation_keeps_length", "padlen"),
        ("Normalises", "degradation_takes_silence", "of silence it makes sound"),
        ("AddsHiss", "degradation_takes_silence", "of silence it makes sound"),
        ("DoesNothing", "degrades_something", "it changes none of sixteen clips of noise"),
        ("Amplifies", "degrades_something", "more than twice as loud"),
        ("DrawsByItself", "degradation_draws_only_from_rng", "draw from rng alone"),
        ("DrawsInNumpy", "degradation_draws_only_from_rng", "draw from rng alone"),
        ("Remembers", "degradation_draws_only_from_rng", "keep nothing from clip to clip"),
        ("InPlace", "degradation_leaves_its_input_alone", "it writes into its input"),
        ("ShortMargin", "crops_are_those_of_the_whole", "make margin larger"),
        ("DrawsByPlace", "crops_are_those_of_the_whole", "draw what does not depend on where the crop begins"),
        ("NoMargin", "crops_are_those_of_the_whole", "margin must be a whole number of samples, at least 0, got 0.1"),
        ("SaysNothing", "says_that_it_degrades", 'its contract must give "degraded"'),
        ("HoldsAFunction", "degradation_can_be_sent", "it cannot be sent to a loading process"),
    ],
    "augmentation": [
        ("SpacesInNames", "variants_have_names", "a letter or digit first, got ['6 dB less']"),
        ("PathsInNames", "variants_have_names", "a letter or digit first, got ['../quiet']"),
        ("OneName", "variants_have_names", "but quiet comes again"),
        ("Faster", "variants_keep_length", "faster: expected [8192], got [4096]"),
        ("InDouble", "variants_keep_length", "expected float32, got float64"),
        ("Integers", "variants_keep_length", "expected float32, got int16"),
        ("DividesByItsLevel", "augmentation_takes_silence", "of silence it makes what is not finite"),
        ("Same", "makes_other_clips", "is its clip, or another variant, again"),
        ("NextToNothing", "makes_other_clips", "next to nothing is left of its clip"),
        ("ForShortClips", "makes_other_clips", "of none of three clips it makes a variant"),
        ("Draws", "variants_are_the_clips_alone", "draw nothing"),
        ("Remembers", "variants_are_the_clips_alone", "keep nothing from clip to clip"),
        ("InPlace", "augmentation_leaves_its_input_alone", "it writes into its input"),
        ("OneBuffer", "augmentation_leaves_its_input_alone", "changed when the next one is made"),
        ("AddsHiss", "augmentation_takes_silence", "of silence it makes sound"),
        ("BySeed", "takes_nothing_of_the_plan", "it takes seed of the toolkit"),
    ],
    "perturbation": [
        ("HalfOfIt", "makes_as_many_samples_as_asked", "it must make at least 8192, got 4096"),
        ("OtherDraw", "makes_as_many_samples_as_asked", "it must make at least 8192"),
        ("ReadsHalves", "makes_as_many_samples_as_asked", "reads(8192) must be a whole number"),
        ("InDouble", "makes_as_many_samples_as_asked", "expected float32, got float64"),
        (
            "InSeconds",
            "makes_as_many_samples_as_asked",
            "margin must be a whole number of samples, at least 0, got 0.1",
        ),
        ("WithItsMargins", "leaves_out_its_margins", "it moves the sound by about 20"),
        ("DoesNothing", "perturbs_something", "it changes nothing in sixteen draws"),
        ("SecretlyFixed", "perturbs_something", "draw from rng, or declare draws = False"),
        ("SecretlyDraws", "perturbs_something", "it says draws = False"),
        ("DrawsInNumpy", "perturbation_draws_only_from_rng", "draw from rng alone"),
        ("DrawsByItself", "perturbation_draws_only_from_rng", "draw from rng alone"),
        ("Remembers", "perturbation_draws_only_from_rng", "keep nothing from crop to crop"),
        ("InPlace", "perturbation_leaves_its_input_alone", "it writes into its input"),
        ("Normalises", "perturbation_takes_silence", "of silence it makes what is not finite"),
        ("ClipsPairs", "suits_pairs_as_it_says", "it says suits_pairs"),
        ("HoldsAFunction", "perturbation_can_be_sent", "it cannot be sent to a loading process"),
    ],
    "embedder": [
        ("GivesOneVector", "embeds_as_it_says", "expected [L, 4], got float32 [4]"),
        ("InDouble", "embeds_as_it_says", "expected float32, got float64"),
        ("LeavesOutShortAudio", "embeds_as_it_says", "it makes no window; pad short audio with zeros"),
        ("RateInKilohertz", "embeds_as_it_says", "sample_rate must be a whole number, at least 1, got 16.0"),
        ("DividesByTheLevel", "tells_sounds_apart", "of other sounds it gives the same numbers"),
        ("LogOfNothing", "embeds_as_it_says", "it makes what is not finite"),
        ("WithoutAWindow", "embeds_as_it_says", "it lacks window"),
        ("SpacedKey", "embedder_is_named", "got 'Levels of quarters'"),
        ("CountsInItsDefinition", "embedder_is_named", "its definition changes with what it hears"),
        ("AddsDither", "embedder_repeats_itself", "gives other numbers; draw nothing"),
        ("RunningMean", "embedder_repeats_itself", "keep nothing from clip to clip"),
        ("CentresInPlace", "embedder_repeats_itself", "it writes into its input"),
        ("SwitchesGradientsOff", "takes_no_gradients", "with torch.no_grad()"),
        ("ByTheRecipe", "embedder_takes_nothing_of_the_plan", "it takes seed of the toolkit"),
    ],
    "observer": [
        ("Rounds", "changes_nothing", "it changes what it is told; copy it first"),
        ("TakesOut", "changes_nothing", "it changes what it is told"),
        ("PicksByChance", "changes_nothing", "it draws from torch's or NumPy's generator"),
        ("PicksInNumpy", "changes_nothing", "it draws from torch's or NumPy's generator"),
        ("Counts", "takes_what_is_not_finite", "cannot convert float NaN to integer"),
        ("BeginsOnce", "follows_a_run_that_goes_on", "File exists"),
        ("SaysWell", "follows_a_run", "the disk is full"),
        ("NamesFiles", "follows_a_run", "b/c.npy"),
    ],
    "schedule": [
        ("GivesTensor", "gives_a_factor", "step 0 of 1, epoch 0: expected a float, got Tensor; say float(x)"),
        ("GivesNumpy", "gives_a_factor", "expected a float, got float64"),
        ("RunsPastItsEnd", "gives_a_factor", "and a negative rate unlearns"),
        ("DividesByTheLastStep", "gives_a_factor", "division by zero"),
        ("LogOfTheStep", "gives_a_factor", "its factor is inf"),
        ("NeverLearns", "lets_something_be_learnt", "nothing would be learnt"),
        ("CountsItsCalls", "is_the_same_in_any_order", "compute it of step, epoch and steps alone"),
        ("Jitters", "is_the_same_in_any_order", "asked again"),
        ("DrawsAndThrowsAway", "draws_no_numbers", "it draws from torch's or NumPy's generator"),
        ("SaysItGoesOn", "says_whether_it_ends_with_the_plan", "a run that is made longer would be another"),
    ],
    "feature": [
        ("OneFrameMore", "gives_a_frame_for_each_hop", "expected [2, 1, 32], got [2, 1, 33]"),
        ("NoChannels", "gives_a_frame_for_each_hop", "expected [2, 1, 32], got [2, 32]"),
        ("SaysTwo", "gives_a_frame_for_each_hop", "expected [2, 2, 32], got [2, 1, 32]"),
        ("SaysNothing", "gives_a_frame_for_each_hop", "its contract must say how many channels it gives"),
        ("TermsContract", "contract_is_sound", "returns TermContract, but a feature has a FeatureContract"),
        ("InDouble", "gives_a_frame_for_each_hop", "expected float32, got torch.float64"),
        ("LogOfSilence", "feature_takes_silence_and_full_scale", "of silence it makes what is not finite"),
        ("RelativeToTheBatch", "hears_items_apart", "in a batch than alone"),
        ("Dithers", "hears_items_apart", "two calls differ"),
        ("DrawsAndThrowsAway", "hears_items_apart", "it draws from torch's generator"),
        ("Centres", "feature_leaves_its_input_alone", "it writes into its input"),
        ("Constant", "follows_the_sound", "tones, noise and silence all have the same feature"),
        ("OtherHop", "follows_the_sound", "make a frame for each audio.hop"),
        ("WeightsOnCpu", "feature_works_on_other_devices", "it makes a tensor on the CPU"),
        ("Learns", "feature_has_nothing_to_learn", "conv.weight"),
    ],
    "monitor": [
        ("LooksNever", "looks_every_few_steps", "every must be a whole number of steps, at least 1, got 0"),
        ("MeasuresTheBatch", "gives_values_of_each_item", "expected one entry per item first, [8, ...], got []"),
        ("KeepsTheGraph", "gives_values_of_each_item", "fake has a gradient, which keeps the graph alive"),
        ("RelativeToTheBatch", "measures_items_apart", "leave what is of all items to summarise"),
        ("CentresInPlace", "monitor_leaves_the_step_alone", "it writes into step.real"),
        ("LeavesEval", "monitor_leaves_the_step_alone", "it puts a network into train or eval mode"),
        ("LooksAtAFew", "draws_nothing", "it draws from torch's generator"),
        ("DividesByNought", "summarises_in_finite_numbers", "of silence, spread is not finite"),
        ("GivesTensors", "summarises_in_finite_numbers", "spread: expected a number, got Tensor; say float(x)"),
        ("ComparesWithTheFirst", "does_not_mind_the_order_of_items", "with the items in another order, first differs"),
        ("AlarmsAtOnce", "judges", "its first look at all is an alarm (nothing is well)"),
        ("SaysTrue", "judges", "judge must give None or Alarm, got bool"),
        ("OnsetAhead", "judges", "its alarm says that all was well at"),
        ("NeedsItsNumber", "judges_what_it_can", "of no numbers judge raises KeyError"),
        ("ForgetsItsCount", "monitor_keeps_its_state", "keep all that it remembers"),
        ("HalfAState", "monitor_keeps_its_state", "it has no load_state_dict"),
        ("WindowOnCpu", "monitor_works_on_other_devices", "it makes a tensor on the CPU"),
        ("FitsAndForgets", "summarises_in_finite_numbers", "it has fit_items() but no fitted"),
    ],
}
BROKEN = [(kind, *row) for kind, rows in LISTING.items() for row in rows]
SOUND = [(kind, name) for kind, names in CONTROLS.items() for name in names]


def entry(kind: str, name: str) -> Entry:
    """A part of the folder ``broken`` as the registry would have it."""
    return Entry(kind, name, f"broken.{PLURALS.get(kind, kind + 's')}:{name}", "", "broken", {})


conformance.note([entry(kind, name) for kind, name in SOUND])  # all controls run in one pair of processes


def fault_of(kind: str, name: str, check: str) -> str:
    """What a check says of a part.

    Raises:
        AssertionError: if the check lets it pass.
    """
    (chosen,) = (each for each in conformance.CHECKS[kind] if each.__name__ == check)
    with pytest.raises(Fault) as caught:
        conformance.hold(entry(kind, name), chosen)
    return str(caught.value)


@pytest.mark.parametrize(("kind", "name", "check", "phrase"), BROKEN, ids=[f"{row[0]}-{row[1]}" for row in BROKEN])
def test_a_mistake_is_caught_and_told(kind: str, name: str, check: str, phrase: str) -> None:
    """By the check of the promise it breaks, in words that say what was expected or what to do."""
    said = fault_of(kind, name, check)
    assert phrase in said
    assert len(said) > 20 and "AssertionError" not in said


CASES = [(kind, name, check) for kind, name in SOUND for check in conformance.CHECKS[kind]]


@pytest.mark.parametrize(
    ("kind", "name", "check"), CASES, ids=[f"{kind}-{name}-{check.__name__}" for kind, name, check in CASES]
)
def test_a_sound_part_passes(kind: str, name: str, check: conformance.Check) -> None:
    """The parts above differ from this one by their mistake, so that the check caught the mistake."""
    conformance.hold(entry(kind, name), check)


def test_a_part_that_lacks_a_package_is_neither_kept_nor_broken() -> None:
    """What cannot be built is skipped by the tests, and a check on the command line says what is needed."""
    unmet = Entry("metric", "utmos", "gansemble_plugins.metrics.unreferenced:Utmos", "", "metrics", {})
    (check,) = (each for each in conformance.CHECKS["metric"] if each.__name__ == "metric_repeats_itself")
    with pytest.raises(MissingNeed, match="TorchScript file"):
        conformance.hold(unmet, check)
    found = {result.name: result for result in conformance.examine([unmet])}
    assert found["constructor_can_be_checked"].fault is found["constructor_can_be_checked"].untested is None
    repeats = found["metric_repeats_itself"]
    assert repeats.fault is None and str(repeats.untested).startswith("metric utmos needs")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_five_different_mistakes(kind: str) -> None:
    """Different by the check or by what it says, each with a part of its own, and a sound part beside them."""
    rows = LISTING[kind]
    assert "Sound" in CONTROLS[kind]
    assert len({name for name, _, _ in rows}) == len(rows)
    assert len({(check, phrase) for _, check, phrase in rows}) >= 5


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_of_the_folder_is_listed(kind: str) -> None:
    """A broken part that no row names would prove nothing."""
    module = importlib.import_module(entry(kind, "Sound").target.partition(":")[0])
    there = {name for name, each in vars(module).items() if getattr(each, "__module__", "") == module.__name__}
    assert there == {name for name, _, _ in LISTING[kind]} | set(CONTROLS[kind])


def test_every_check_catches_something() -> None:
    """A check that no broken part breaks could be empty."""
    checks = {check.__name__ for kind in KINDS for check in conformance.CHECKS[kind]}
    assert not checks - {check for _, _, check, _ in BROKEN}, "add a part to broken/ that breaks it, and its row above"
