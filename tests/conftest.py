"""Settings of the whole suite."""

import os
import shutil
import signal
from pathlib import Path

import pytest

from chromium import Browser

# Tensors here are tiny: threads cost more than they give, and spinning ones slow everything beside them.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# Broken plugins are what some tests are about; one test demands that none of ours is.
os.environ.pop("GANSEMBLE_STRICT", None)

#: Markers of tests, by the beginning of their names: what ``make quick`` leaves out, where the files themselves do not say.
MARKED = {
    "cli/test_commands.py::test_every_part_can_be_described[discriminator-biggan": "slow",
    "cli/test_commands.py::test_every_part_can_be_described[generator-biggan": "slow",
    "cli/test_commands.py::test_every_part_can_be_described[generator-gansynth": "slow",
    "cli/test_commands.py::test_every_part_can_be_described[generator-hnsf": "slow",
    "cli/test_run_stages.py::test_a_wrong_recipe_is_refused_in_the_first_stage": "processes",
    "cli/test_run_stages.py::test_an_error_names_its_stage_and_stops_what_follows": "processes",
    "contracts/": "slow",
    "evaluation/test_report.py::test_experiments_are_compared_side_by_side": "slow",
    "evaluation/test_restored.py": "end_to_end",
    "hostile/test_random_ends.py": "kill",
    "matrix/test_expand.py::test_a_shipped_matrix_expands[common_voice": "slow",
    "matrix/test_expand.py::test_a_shipped_matrix_expands[esc50": "slow",
    "matrix/test_expand.py::test_a_shipped_matrix_expands[urbansound8k": "slow",
    "papers/": "slow",
    "papers/test_biggan_processes.py": "processes",
    "plugins/test_band_metrics.py::test_the_ssr_eval_variant_is_its_formula_with_librosas_frames": "slow",
    "plugins/test_basics.py::test_clipped_weights_stay_within_their_bound": "slow",
    "plugins/test_collapse.py": "slow",
    "plugins/test_corpora.py::test_whole_ljspeech_is_split_as_hifi_gan_published": "slow",
    "plugins/test_corpora_labelled.py::test_mini_corpora_are_small_healthy_split_and_labelled[nsynth": "slow",
    "plugins/test_corpora_labelled.py::test_the_kit_finds_every_promise_kept_with_labels[drums": "slow",
    "plugins/test_corpora_labelled.py::test_the_kit_finds_every_promise_kept_with_labels[nsynth": "slow",
    "plugins/test_corpus_classifier.py": "slow",
    "plugins/test_intra_fid_and_pictures.py": "slow",
    "plugins/test_metrics.py::test_a_long_file_of_many_bursts_is_scored_in_segments": "slow",
    "plugins/test_metrics.py::test_the_crash_of_pesq_on_eighty_bursts_at_once_costs_one_value": "slow",
    "plugins/test_pitch_shift.py::test_a_tone_goes_to_its_frequency_times_the_ratio[8000": "slow",
    "plugins/test_set_metrics.py::test_intervals_of_coverage_and_density_hold_what_they_are_for": "slow",
    "recipes/test_continue_with.py": "end_to_end",
    "recipes/test_run_sh.py::test_a_configuration_is_found_by_its_bare_name": "processes",
    "recipes/test_run_sh.py::test_a_failing_stage_shows_how_to_go_on": "processes",
    "recipes/test_run_sh.py::test_help_lists_every_stage_every_option_and_every_configuration": "processes",
    "recipes/test_run_sh.py::test_refused_in_one_line_before_anything_runs": "processes",
    "recipes/test_run_sh.py::test_stages_are_chosen_by_number_or_name": "processes",
    "recipes/test_run_sh.py::test_what_is_given_is_never_executed": "processes",
    "recipes/test_stages_end_to_end.py": "end_to_end",
    "stages/test_up_to_date.py": "slow",
    "stages/test_up_to_date.py::test_sigterm_leaves_no_lock_and_no_half_made_pack": "kill",
    "suite/test_accidents.py": "processes",
    "suite/test_folders.py": "slow",
    "synthesis/test_enhance.py::test_a_minute_is_written_to_vorbis_in_pieces": "slow",
    "test_mutants.py::test_every_module_of_a_room_has_tests": "slow",
    "test_mutants.py::test_the_tests_of_a_module_are_those_of_its_room": "slow",
    "training/test_checkpoint.py::test_disk_that_stays_full_stops_the_run": "slow",
    "training/test_checkpoint.py::test_full_disk_does_not_end_the_run_through_its_curves": "slow",
    "training/test_checkpoint.py::test_full_disk_where_not_even_a_folder_fits": "slow",
    "training/test_checkpoint.py::test_spoiled_checkpoints_do_not_push_sound_ones_out": "slow",
    "training/test_growth_resume.py::test_a_run_resumed_wrongly_is_seen_to_differ": "slow",
    "training/test_growth_resume.py::test_no_checkpoint_is_the_best_before_the_networks_are_grown": "slow",
    "training/test_nan.py::test_a_second_rollback_goes_behind_the_clips_of_both": "slow",
    "training/test_nan.py::test_loss_that_stays_nan_stops_after_some_rollbacks": "slow",
    "training/test_nan.py::test_scaled_gradients_that_are_never_finite_stop_the_run": "slow",
    "training/test_observers.py::test_one_that_fails_is_named_once_and_the_others_are_told[begin": "slow",
    "training/test_observers.py::test_one_that_fails_is_named_once_and_the_others_are_told[clips": "slow",
    "training/test_observers.py::test_one_that_fails_is_named_once_and_the_others_are_told[end": "slow",
    "training/test_pictures_together.py::test_real_statistics_are_those_of_what_a_resumed_run": "slow",
    "training/test_step.py::test_learning_rates_decay_by_the_epoch_a_step_starts_in": "slow",
    "training/test_step.py::test_pretraining_with_a_critic_ratio_reports_and_goes_on": "slow",
    "training/test_watching.py::test_alarm_stops_the_run_and_names_the_checkpoint_from_before": "slow",
}
#: Fixtures that run whole stages, by the file that has them: whatever needs one is end to end.
WHOLE_STAGES = {"synthesis/test_conditions.py": "done", "synthesis/test_sample.py": "done"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks tests by where they are, and puts files of long ones first."""
    here = f"{Path(__file__).parent.as_posix()}/"
    for item in items:
        file = item.path.as_posix()
        if not file.startswith(here):
            continue
        file = file.removeprefix(here)
        name = f"{file}::{item.name}"
        for beginning, marker in MARKED.items():
            if name.startswith(beginning):
                item.add_marker(marker)
        if file.startswith("hostile/") and item.get_closest_marker("slow") is not None:
            item.add_marker("fuzz")
        whole = file in WHOLE_STAGES and WHOLE_STAGES[file] in getattr(item, "fixturenames", ())
        if whole or item.get_closest_marker("recipe") is not None:
            item.add_marker("end_to_end")
    # Files that take long come first: at the end, one process would be left with them alone.
    long = {item.path for item in items if any(map(item.get_closest_marker, ("end_to_end", "kill", "processes")))}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture
def signals_heard():
    """Interrupts and hangups are heard, which a job in the background, or one of nohup, inherits as ignored."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def mark_done():
    """Notes stages of a project as done, on a corpus of whatever its folder holds."""

    def mark(project, names=None) -> None:
        from gansemble.stages import STAGES, Ledger, corpus_files
        from gansemble.stages.ledger import SOURCES

        project.data.mkdir(parents=True, exist_ok=True)
        corpus_files.record(project.dump / SOURCES, project.data, corpus_files.survey(project.data), {})
        ledger = Ledger(project)
        for stage in STAGES:
            if names is None or stage.name in names:
                packed = {} if stage.name == "prepare" else None
                ledger.finish(stage.name, ledger.beginning(stage.name), [], stage.name, packed)

    return mark


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    """A browser for the tests of a file; they are skipped where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next((found for name in names if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("no chromium on this machine")
    found = Browser(program, tmp_path_factory.mktemp("browser"))
    yield found
    found.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, an accessibility checker: of the file axe.min.js of its package on npm, if it is named."""
    path = os.environ.get("GANSEMBLE_AXE")
    if not path:
        pytest.skip("no accessibility checker: GANSEMBLE_AXE does not name axe.min.js of npm's package axe-core")
    return Path(path).read_text(encoding="utf-8")


@pytest.fixture
def accessible(axe, browser):
    """Asserts that axe-core finds nothing serious on a page at this address, in light, dark and narrow windows."""

    def check(address: str) -> None:
        for width, dark in ((1200, False), (1200, True), (390, False)):
            browser.look(width, 900, dark)
            browser.open(address)
            browser.run("document.querySelectorAll('details').forEach((each) => (each.open = true))")
            assert browser.faults(axe) == []
            assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.errors == []

    return check


@pytest.fixture
def browser(chromium):
    """The browser with an empty page, which remembers nothing of the test before."""
    chromium.call("Runtime.evaluate", expression="localStorage.clear()")  # of an empty page, which has none, it fails
    chromium.call("Page.navigate", url="about:blank")
    chromium.errors.clear()
    return chromium
