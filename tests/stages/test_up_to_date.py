"""What is up to date, and what is done about it: one decision, wherever it is asked for; and where things may lie."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

STAGES = ("fetch", "prepare", "statistics", "train", "synthesise", "evaluate", "report")
ALL_DONE = dict.fromkeys(STAGES, "done")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# moved and copied experiments -------------------------------------------


def test_a_moved_experiment_is_the_same_experiment(place, done, run, words_of, tmp_path):
    """Alone, away from its corpus and packed data, which stay where they are."""
    done(*STAGES)
    moved = tmp_path / "archive" / "old run"
    moved.parent.mkdir()
    shutil.move(place.experiment, moved)
    assert words_of(moved) == ALL_DONE
    for stage in STAGES:
        assert f"{stage}: up to date" in run(stage, at=place.at(exp=moved))[1]
    assert not (moved / "previous").exists()


@pytest.mark.parametrize("copy", [shutil.copy, shutil.copy2], ids=["new times", "old times"])
def test_a_copied_tree_is_up_to_date_and_stands_for_itself(place, done, run, words_of, tmp_path, copy):
    """The whole recipe folder, with corpus and packed data; what is changed in the copy concerns the copy alone."""
    done(*STAGES)
    twin = place.at(root=tmp_path / "twin")
    shutil.copytree(place.root, twin.root, copy_function=copy)
    assert words_of(twin.experiment) == ALL_DONE
    for stage in STAGES:
        assert f"{stage}: up to date" in run(stage, at=twin)[1]
    twin.recipe.write_text(twin.recipe.read_text().replace("weight: 45", "weight: 30"))
    assert words_of(twin.experiment)["train"] == "stale" and words_of(place.experiment) == ALL_DONE
    twin.write("clip9", 9)
    assert words_of(twin.experiment)["prepare"] == "stale" and words_of(place.experiment)["prepare"] == "done"


def test_a_moved_tree_is_up_to_date(place, done, run, words_of, tmp_path):
    done(*STAGES)
    shutil.move(place.root, tmp_path / "moved")
    moved = place.at(root=tmp_path / "moved")
    assert words_of(moved.experiment) == ALL_DONE
    assert all("up to date" in run(stage, at=moved)[1] for stage in STAGES)


@pytest.mark.parametrize("lost", ["dump", "data"])
def test_a_copied_tree_never_works_in_the_original(place, done, run, words_of, tmp_path, lost):
    """Without its packed data or its corpus it lacks them, and status and the stages say the same."""
    done(*STAGES)
    twin = place.at(root=tmp_path / "twin")
    shutil.copytree(place.root, twin.root)
    shutil.rmtree(twin.root / lost)
    before = contents(place.root)
    told = words_of(twin.experiment)
    assert told["prepare"] == ("missing" if lost == "dump" else "stale")
    for stage in STAGES:
        assert ("up to date" in run(stage, "--dry-run", at=twin)[1]) == (told[stage] == "done")
    run("prepare", at=twin)
    assert contents(place.root) == before


def test_packed_data_that_a_copied_experiment_only_remembers_are_read_and_not_written(place, done, run, tmp_path):
    given = place.at(dump=place.root / "packed")
    done(*STAGES, at=given)
    twin = place.at(root=tmp_path / "twin")
    shutil.copytree(place.root, twin.root)
    shutil.rmtree(twin.root / "packed")
    assert "stage 4 synthesise: up to date" in run("synthesise", at=twin)[1]
    twin.write("clip9", 9)
    before = contents(place.root)
    status, said = run("prepare", at=twin)
    assert status == 1 and "are not written to from here; give packed data with --dump" in said
    assert contents(place.root) == before


def test_a_renamed_corpus_folder_is_packed_again_and_nothing_is_trained_again(place, done, run, tmp_path):
    given = place.at(data=tmp_path / "corpus")
    shutil.move(place.corpus, given.data)
    done(*STAGES, at=given)
    renamed = given.at(data=tmp_path / "renamed")
    shutil.move(given.data, renamed.data)
    done("fetch", "prepare", at=renamed)
    assert "stage 3 train: up to date" in run("train", at=renamed)[1]


def test_a_link_to_the_corpus_folder_is_the_corpus(place, done, run, tmp_path):
    done("fetch", "prepare")
    link = tmp_path / "link"
    link.symlink_to(place.corpus)
    assert "stage 1 prepare: up to date" in run("prepare", at=place.at(data=link))[1]


def test_no_record_holds_an_absolute_path_but_to_fall_back_on(place, done):
    """What decides is relative; where a thing was, absolute, is only looked at when it is not beside the experiment."""
    done(*STAGES)
    root = str(place.root.parent)
    for record in (place.experiment / "stage.json", place.packed() / "stage.json"):
        for stage in json.loads(record.read_text()).values():
            stage["inputs"].get("folder", {}).pop("absolute", None)
            assert root not in json.dumps(stage)
    assert root not in (place.experiment / "samples" / "index.json").read_text()


# folders in one another -------------------------------------------------


@pytest.mark.parametrize("where", ["", "within", "within/deep"])
@pytest.mark.parametrize("option", ["exp", "dump"])
def test_results_within_the_corpus_are_refused_before_anything_is_written(place, run, option, where):
    folder = place.corpus / where if where else place.corpus
    before = sorted(place.corpus.rglob("*"))
    for stage in STAGES:
        status, said = run(stage, at=place.at(**{option: folder}))
        assert status == 1 and f"--{option} {folder}: " in said and "would become clips of the corpus" in said
    assert sorted(place.corpus.rglob("*")) == before


def test_links_do_not_hide_that_results_lie_in_the_corpus(place, run, tmp_path):
    (tmp_path / "way").symlink_to(place.corpus)
    (place.corpus / "inner").mkdir()
    (tmp_path / "other").symlink_to(place.corpus / "inner")
    for folder in (tmp_path / "way" / "exp", tmp_path / "other", tmp_path / "other" / "exp"):
        status, said = run("fetch", at=place.at(exp=folder))
        assert status == 1 and "lies in the corpus folder" in said, folder


@pytest.mark.parametrize("name", ["samples", "checkpoints", "logs", "report", "samples/validation"])
@pytest.mark.parametrize("option", ["data", "dump"])
def test_what_a_stage_moves_away_or_writes_anew_holds_neither_corpus_nor_packed_data(
    place, run, tmp_path, option, name
):
    exp = tmp_path / "exp"
    folder = exp / name
    if option == "data":
        shutil.copytree(place.corpus, folder)
    status, said = run("prepare", at=place.at(**{"exp": exp, option: folder}))
    assert status == 1 and f"--{option} {folder}: lies in {exp / name.partition('/')[0]}" in said


def test_results_that_a_link_leads_into_the_corpus_are_refused(place, run, done):
    done("fetch", "prepare", "train")
    (place.experiment / "samples").symlink_to(place.corpus)
    status, said = run("synthesise")
    assert status == 1 and "samples: is the corpus folder itself" in said


def test_packed_data_and_experiment_in_one_folder_are_refused(place, run, tmp_path):
    status, said = run("prepare", at=place.at(exp=tmp_path / "one", dump=tmp_path / "one"))
    assert status == 1 and "--exp and --dump are one folder" in said
    shutil.copytree(place.corpus, tmp_path / "dump" / "corpus")
    status, said = run("prepare", at=place.at(dump=tmp_path / "dump", data=tmp_path / "dump" / "corpus"))
    assert status == 1 and "the folder of packed data" in said


def test_results_beside_the_corpus_are_not_refused(place, done, tmp_path):
    """A name that begins like the corpus' is not within it, and a corpus may lie in the experiment's folder."""
    done("fetch", at=place.at(exp=place.corpus.with_name(place.corpus.name + "-exp")))
    inner = place.at(exp=tmp_path / "exp", data=tmp_path / "exp" / "corpus", dump=tmp_path / "dump")
    shutil.copytree(place.corpus, inner.data)
    done("fetch", "prepare", at=inner)


@pytest.mark.parametrize("command", ["synthesise", "sample"])
def test_output_within_the_corpus_is_refused(place, done, run, capsys, command):
    from gansemble.cli import main

    done("fetch", "prepare", "train")
    inputs = ["--input", str(place.corpus / "clip0.wav")] if command == "synthesise" else []
    if command == "sample":
        pytest.skip("the tiny recipe's generator imitates; tests/synthesis/test_sample.py holds it")
    before = contents(place.corpus)
    with pytest.raises(SystemExit) as left:
        main([command, "--exp", str(place.experiment), *inputs, "--output", str(place.corpus / "made")])
    assert left.value.code == 1 and "lies in the corpus folder" in capsys.readouterr().err
    assert contents(place.corpus) == before


def test_output_within_an_input_folder_is_refused(place, done, tmp_path, capsys):
    from gansemble.cli import main

    done("fetch", "prepare", "train")
    inputs = tmp_path / "inputs"
    shutil.copytree(place.corpus, inputs)
    before = contents(inputs)
    with pytest.raises(SystemExit) as left:
        main(["synthesise", "--exp", str(place.experiment), "--input", str(inputs), "--output", str(inputs / "made")])
    assert left.value.code == 1 and "in the input folder" in capsys.readouterr().err
    assert contents(inputs) == before


def test_packing_deletes_nothing_that_it_did_not_make(place, done, tmp_path):
    """Whatever lies in the folder that was given for packed data."""
    dump = tmp_path / "store"
    mine = [
        dump / "audio-of-mine.i16",
        dump / "notes.txt",
        dump / "shards" / "mine" / "a.wav",
        dump / "shards" / "1-of-2" / "b.wav",
    ]
    for path in mine:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
    done("prepare", at=place.at(dump=dump))
    done("prepare", at=place.at(dump=dump), words=("--force",))
    assert all(path.read_text() == "mine" for path in mine)


# steps and schedules ----------------------------------------------------

COSINE = ("--set", "optimisers.generator.cosine=true")
SCHEDULE = ("--set", "schedules.generator={use: warmup_cosine}")
ENDLESS = ("--set", "schedules.generator={use: inverse_square_root, warmup: 2}")


def test_a_plan_of_fewer_steps_than_are_done_is_refused(place, done, run, words_of):
    """The record goes on telling what is there."""
    done("fetch", "prepare", "train")
    before = place.record("train")
    status, said = run("train", "--set", "plan.steps=2")
    assert status == 1 and "plan.steps is 2, but the run there is at step 4; a run is not made shorter" in said
    assert place.record("train") == before and place.steps() == [2, 4] and not place.previous()
    assert words_of(place.experiment)["train"] == "done"


def test_a_plan_of_fewer_steps_than_an_interrupted_run_is_refused(place, done, run):
    done("fetch", "prepare")
    assert run("train", "--stop-after", 3)[0] == 75
    status, said = run("train", "--set", "plan.steps=2")
    assert status == 1 and "a run is not made shorter" in said and place.steps() == [2, 3]


def test_a_longer_plan_goes_on(place, done):
    done("fetch", "prepare", "train")
    done("train", words=("--set", "plan.steps=6"))
    assert place.steps()[-1] == 6 and not place.previous()


def test_a_longer_plan_goes_on_under_a_schedule_that_does_not_ask_for_its_end(place, done):
    done("fetch", "prepare")
    done("train", words=ENDLESS)
    done("train", words=(*ENDLESS, "--set", "plan.steps=6"))
    assert place.steps()[-1] == 6 and not place.previous()


def test_another_schedule_is_another_training(place, done, run):
    done("fetch", "prepare")
    assert run("train", "--stop-after", 2)[0] == 75
    status, said = run("train", *ENDLESS)
    assert status == 1 and "schedules.generator.use: (absent) -> inverse_square_root" in said


@pytest.mark.parametrize("rate", [COSINE, SCHEDULE], ids=["key", "schedule"])
def test_a_longer_plan_is_another_training_where_the_rate_ends_with_the_plan(place, done, run, rate):
    """Half way down a cosine is not where a longer one would be: refused while it runs, trained anew when finished."""
    done("fetch", "prepare")
    assert run("train", "--stop-after", 2, *rate)[0] == 75
    status, said = run("train", *rate, "--set", "plan.steps=6")
    assert status == 1 and "plan.steps: 4 -> 6" in said and "--allow-change" in said
    done("train", words=rate)
    done("train", words=(*rate, "--set", "plan.steps=6"))
    assert len(place.previous()) == 1 and place.steps()[-1] == 6
    rates = [json.loads(line) for line in (place.experiment / "logs" / "train.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rates] == list(range(1, 7)), "from the first step on"
    assert [row["rate/generator"] for row in rates] == sorted((r["rate/generator"] for r in rates), reverse=True)


def test_leaving_the_cosine_out_of_a_longer_plan_is_a_change_too(place, done, run):
    done("fetch", "prepare")
    assert run("train", "--stop-after", 2, *COSINE)[0] == 75
    status, said = run("train", "--set", "plan.steps=6")
    assert status == 1 and "optimisers.generator.cosine: True -> False" in said and "plan.steps: 4 -> 6" in said


def test_a_run_interrupted_while_it_was_made_longer_is_not_begun_anew(place, done, run):
    """It goes on under its recipe, and under another one it is refused like any unfinished run."""
    done("fetch", "prepare", "train")
    assert run("train", "--set", "plan.steps=9", "--stop-after", 3)[0] == 75
    status, said = run("train", "--set", "plan.steps=9", "--set", "optimisers.generator.lr=2e-3")
    assert status == 1 and "optimisers.generator.lr: 0.001 -> 0.002" in said and not place.previous()
    done("train", words=("--set", "plan.steps=9"))
    assert place.steps()[-1] == 9 and not place.previous()


def test_a_run_that_was_let_go_on_with_other_data_goes_on_after_an_interruption(place, done, run):
    done("fetch", "prepare", "train")
    place.write("clip7", 7)
    done("prepare")
    assert run("train", "--allow-change", "--set", "plan.steps=9", "--stop-after", 3)[0] == 75
    done("train", words=("--set", "plan.steps=9"))
    assert place.steps()[-1] == 9 and not place.previous()


def test_writing_a_default_out_changes_nothing(place, done, run):
    done("fetch", "prepare", "train")
    for words in (("--set", "plan.drop_last=false"), ("--set", "data.channels=error")):
        assert "stage 3 train: up to date" in run("train", *words)[1]


def test_a_refused_training_is_not_remembered(place, done, run, tmp_path):
    """The next command without --dump goes by the packed data the run was trained on."""
    done("fetch", "prepare")
    assert run("train", "--stop-after", 2)[0] == 75
    before = (place.experiment / "project.json").read_bytes()
    other = place.at(dump=tmp_path / "other")
    shutil.copytree(place.packed(), other.dump)
    place.write("clip8", 8)
    done("fetch", "prepare", at=other.at(exp=tmp_path / "elsewhere"))
    assert run("train", at=other)[0] == 1
    assert (place.experiment / "project.json").read_bytes() == before
    (place.corpus / "clip8.wav").unlink()
    done("train")
    assert place.steps()[-1] == 4


def test_packed_data_of_another_recipe_are_not_trained_on(place, done, run, tmp_path):
    one = place.at(dump=tmp_path / "dump")
    done("fetch", "prepare", at=one, words=("--set", "corpus.minimum_validation=3"))
    status, said = run("train", at=one)
    assert status == 1 and "was packed under another recipe (corpus.minimum_validation: 3 -> 2)" in said


def test_a_finished_run_is_not_set_aside_for_one_on_damaged_audio(place, done, run):
    done("fetch", "prepare", "train")
    (pack,) = place.packed().glob("audio-*.i16")
    pack.write_bytes(bytes(pack.stat().st_size))
    status, said = run("train", "--force")
    assert status == 1 and "not what the manifest says" in said and not place.previous() and place.steps() == [2, 4]


def test_a_run_whose_lock_was_taken_saves_its_state_elsewhere(place, done, run, monkeypatch):
    """As one that was suspended for long, and then goes on."""
    from gansemble.training.trainer import Trainer

    done("fetch", "prepare")
    step = Trainer._step

    def losing(self, batches):
        if self.counters.step == 2:
            (place.experiment / ".lock" / "owner.json").write_text(json.dumps({"token": "theirs", "host": "elsewhere"}))
        return step(self, batches)

    monkeypatch.setattr(Trainer, "_step", losing)
    status, said = run("train")
    assert status == 1 and "another run took this folder while this one gave no sign of life" in said
    assert place.steps() == [2]
    (aside,) = place.previous()
    assert f"--exp {aside}" in said and aside.name.endswith("-taken")
    done("train", at=place.at(exp=aside))  # from the state that was saved there
    assert place.at(exp=aside).steps() == [3, 4]


@pytest.mark.parametrize("steps", [2, 4, 6])
def test_force_begins_anew_whatever_else_is_set(place, done, steps):
    done("fetch", "prepare", "train")
    said = done("train", words=("--force", "--set", f"plan.steps={steps}"))
    assert "(forced)" in said and len(place.previous()) == 1
    rows = (place.experiment / "logs" / "train.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in rows] == list(range(1, steps + 1))


def test_two_runs_set_aside_in_one_second_lie_side_by_side(place, done, monkeypatch):
    """Or in one and the same second twice, when the clock goes back."""
    import time

    done("fetch", "prepare", "train")
    monkeypatch.setattr(time, "strftime", lambda *_: "20260101-000000")
    done("train", words=("--force",))
    done("train", words=("--force",))
    assert [path.name for path in place.previous()] == ["20260101-000000", "20260101-000000-1"]
    assert all((path / "checkpoints" / "step-00000004").is_dir() for path in place.previous())


def test_a_deleted_last_checkpoint_is_made_again_from_the_one_before(place, done, run):
    done("fetch", "prepare", "train")
    last = place.experiment / "checkpoints" / "step-00000004"
    before = load_file(last / "generator.safetensors")
    shutil.rmtree(last)
    assert "is gone" in run("train", "--dry-run")[1]
    done("train")
    after = load_file(last / "generator.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before) and not place.previous()


# one decision -----------------------------------------------------------

CHANGES = {
    "nothing": lambda place: None,
    "a loss": lambda place: place.recipe.write_text(place.recipe.read_text().replace("weight: 45", "weight: 30")),
    "a metric": lambda place: place.recipe.write_text(place.recipe.read_text().replace("  snr: {use: snr}\n", "")),
    "the steps": lambda place: place.recipe.write_text(place.recipe.read_text().replace("steps: 4", "steps: 5")),
    "a clip": lambda place: place.write("clip9", 9),
    "samples gone": lambda place: (place.experiment / "samples" / "index.json").unlink(),
    "a page cut": lambda place: (place.experiment / "report" / "index.html").write_text("half"),
    "packed data gone": lambda place: shutil.rmtree(place.packed()),
    "a damaged record": lambda place: (place.experiment / "stage.json").write_text("{half"),
    "a record of other types": lambda place: _retype(place.experiment / "stage.json", "train", "keys"),
    "an identity of other types": lambda place: _retype(place.packed() / "stage.json", "prepare", "data"),
}


def _retype(path: Path, stage: str, field: str) -> None:
    records = json.loads(path.read_text())
    records[stage][field] = "x"
    path.write_text(json.dumps(records))


@pytest.mark.parametrize("change", CHANGES)
def test_status_dry_run_and_the_run_decide_alike(place, done, run, words_of, change):
    done(*STAGES)
    CHANGES[change](place)
    told = words_of(place.experiment)
    for stage in STAGES:
        before = contents(place.experiment)
        shown = run(stage, "--dry-run")[1]
        assert ("up to date" in shown) == (told[stage] == "done"), (stage, shown)
        assert contents(place.experiment) == before, "a dry run writes nothing"
    for stage in STAGES[3:]:  # alone, with what is before it as it is
        if told[stage] == "done":
            assert "up to date" in run(stage)[1]


def test_commands_that_only_read_write_no_records(place, done, run, tmp_path):
    """A report beside another experiment, without --data, leaves every stage up to date and every record as it was."""
    given = place.at(data=tmp_path / "corpus", dump=tmp_path / "dump")
    shutil.move(place.corpus, given.data)
    words = ("--set", "plan.steps=2")
    done(*STAGES, at=given, words=words)
    other = given.at(exp=tmp_path / "other")
    done(*STAGES, at=other, words=words)
    files = [given.experiment / "project.json", given.dump / "stage.json"]
    before = [path.read_bytes() for path in files]
    assert run("report", "--compare", other.exp, at=place)[0] == 0
    assert run("status", given.experiment)[0] == 0 and run("train", "--dry-run", *words, at=place)[0] == 0
    assert [path.read_bytes() for path in files] == before
    rows = json.loads(run("status", given.experiment, "--json")[1])
    assert {row["name"]: row["state"] for row in rows} == ALL_DONE, rows
    assert all("up to date" in run(stage, *words, at=place)[1] for stage in STAGES)


def test_a_stage_that_did_not_finish_is_not_up_to_date(place, done, run, words_of, monkeypatch):
    """Forced, and ended by an error half way: what it left may be half of each."""
    from gansemble.evaluation import synthesis

    done(*STAGES)

    def fail(*_):
        raise OSError(28, "No space left on device", "samples")

    monkeypatch.setattr(synthesis.files, "write", fail)
    assert run("synthesise", "--force")[0] == 1
    monkeypatch.undo()
    assert words_of(place.experiment)["synthesise"] == "stale"
    assert "it was begun again" in run("synthesise", "--dry-run")[1]
    done("synthesise")
    assert words_of(place.experiment)["synthesise"] == "done"


@pytest.mark.parametrize("at", ["prepare", "train", "synthesise"])
def test_sigterm_leaves_no_lock_and_no_half_made_pack(place, done, at):
    """And says with which signal it ended, so that nobody calls it a failure."""
    import signal
    import time

    done("fetch", *(["prepare"] if at != "prepare" else []), *(["train"] if at == "synthesise" else []))
    for seed in range(6, 30) if at == "prepare" else ():
        place.write(f"clip{seed}", seed, frames=400_000)
    folder = place.packed() if at == "prepare" else place.experiment
    lock = {"prepare": ".lock", "train": ".lock", "synthesise": ".lock-results"}[at]
    child = place.start(at, *(["--set", "plan.steps=100000"] if at == "train" else []))
    limit = time.monotonic() + 60
    while not (folder / lock / "owner.json").exists():
        assert child.poll() is None and time.monotonic() < limit, child.communicate()[0]
        time.sleep(0.005)
    os.kill(child.pid, signal.SIGTERM)
    said = child.communicate(timeout=60)[0]
    assert child.returncode == (75 if at == "train" else 143) or (at == "synthesise" and child.returncode == 0), said
    assert not (folder / lock).exists() and not list(folder.glob(".*.part")) and "Traceback" not in said


def test_records_of_stages_that_finish_in_one_instant_are_all_kept(place, mark_done, monkeypatch):
    """Each of four processes reads the records, takes its time, and writes them with its own."""
    import multiprocessing
    import time

    from gansemble.stages import Ledger, Project, locks

    project = Project.of(place.recipe)
    mark_done(project)
    read = Ledger._read

    def slowly(self, folder):
        found = read(self, folder)
        time.sleep(0.1)
        return found

    monkeypatch.setattr(Ledger, "_read", slowly)
    monkeypatch.setattr(locks, "POLL_SECONDS", 0.01)
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.starmap(_finish, [(place.recipe, name) for name in STAGES[3:]], chunksize=1)
    records = json.loads((project.exp / "stage.json").read_text())
    assert {name: record["result"] for name, record in records.items()} == {name: f"{name}!" for name in STAGES[3:]}


def _finish(recipe: Path, name: str) -> None:
    from gansemble.stages import Ledger, Project

    ledger = Ledger(Project.of(recipe))
    ledger.finish(name, ledger.beginning(name), [], f"{name}!")


def test_an_experiment_on_data_that_another_one_prepared_remembers_where_they_are(place, done, run, tmp_path):
    """Its first stages are up to date; a later command without --data and --dump goes by what it was started with."""
    done("fetch", "prepare")
    shared = place.at(exp=tmp_path / "second", data=place.corpus, dump=place.packed())
    status, text = run("prepare", at=shared)
    assert status == 0 and "up to date" in text
    facts = json.loads((tmp_path / "second" / "project.json").read_text())
    assert facts["data"]["absolute"] == str(place.corpus)
