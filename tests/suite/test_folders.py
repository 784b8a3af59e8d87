"""From two folders to tables: policies for rates, channels and lengths, hashes of definitions, and what has no value."""

import csv
import json
import math

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from suite_files import RATE, clip, write

import gansemble
from gansemble.audio import files
from gansemble.cli.score import metric_card
from gansemble.cli.score import score as command
from gansemble.errors import DataError, GansembleError
from gansemble.recipe.document import RecipeError
from gansemble.scoring import cards
from gansemble.suite import tables
from gansemble.suite.columns import Asked, Metrics
from gansemble.suite.measuring import measure
from gansemble.suite.signals import Reading, aligned, rate_of, read, survey

SNR = Asked(("snr", "si_sdr"))


def call(*arguments):
    return CliRunner().invoke(command, [str(each) for each in arguments], catch_exceptions=False)


def test_scores_of_one_call_stand_in_tables_that_agree(folders, tmp_path):
    found = gansemble.score(
        folders[0], {"ours": folders[1], "same": folders[0]}, metrics=["snr"], output=tmp_path / "out", jobs=1
    )
    records = {(row["system"], row["id"]): row["scores"]["snr"] for row in found.records()}
    for name in "abcdef":
        made, reference = files.read(folders[1] / f"{name}.wav")[0][0], files.read(folders[0] / f"{name}.wav")[0][0]
        noise = made.astype(np.float64) - reference
        assert records["ours", name] == pytest.approx(
            10 * np.log10(np.sum(reference.astype(np.float64) ** 2) / np.sum(noise**2)), abs=1e-3
        )
    with (tmp_path / "out" / "scores.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    column = next(name for name in rows[0] if name.startswith("snr ["))
    assert {(row["system"], row["id"]): float(row[column]) for row in rows} == records
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    ours = [value for (system, _), value in records.items() if system == "ours"]
    assert summary["systems"]["ours"]["scores"]["snr"]["mean"] == pytest.approx(np.mean(ours))
    assert summary["metrics"]["snr"]["hash"] in column
    comparison = found.comparisons()[0]
    assert comparison.paired.files == 6 and comparison.paired.wins == 1.0
    page = (tmp_path / "out" / "index.html").read_text()
    assert "same is better" in page or "too few clips to tell" in page
    assert "ours" in str(found)


def test_a_system_that_lacks_a_clip_has_no_value_there_and_means_are_over_common_clips(folders, tmp_path):
    (folders[1] / "b.wav").unlink()
    found = gansemble.score(folders[0], [folders[1], folders[0]], metrics=["snr"], jobs=1)
    lacking = next(row for row in found.records() if row["system"] == "made" and row["id"] == "b")
    assert lacking["scores"] == {"snr": None} and lacking["reasons"] == {"snr": "there is no such estimate"}
    assert found.results.common(found.results.keys[0]) == list("acdef")


def test_files_of_two_rates_need_a_rate_to_be_named(folders):
    write(folders[1], "a.wav", clip(0, rate=16000), 16000)
    paths = [folders[0] / "a.wav", folders[1] / "a.wav"]
    with pytest.raises(DataError, match=r"2 sample rates \(8000 Hz: 1 files.*16000 Hz: 1 files.*--rate 8000"):
        rate_of(survey(paths))
    assert abs(read(paths[1], Reading(RATE)).size - clip(0).size) <= 1


def test_several_channels_are_refused_until_it_is_said_what_becomes_of_them(tmp_path):
    path = write(tmp_path, "two.wav", np.stack([clip(0), 0 * clip(0)]))
    with pytest.raises(DataError, match="got 2 channels; give --channels mix or first"):
        read(path, Reading(RATE))
    assert np.allclose(read(path, Reading(RATE, channels="mix")), clip(0) / 2)
    assert np.array_equal(read(path, Reading(RATE, channels="first")), clip(0))


def test_lengths_follow_the_policy():
    long, short = np.ones(10, np.float32), np.ones(7, np.float32)
    assert [each.size for each in aligned(long, short, "cut")] == [7, 7]
    assert [each.size for each in aligned(long, short, "pad")] == [7, 7]
    padded, reference = aligned(short, long, "pad")
    assert padded.tolist() == [1.0] * 7 + [0.0] * 3 and reference.size == 10
    assert [each.size for each in aligned(long, short, "as they are")] == [10, 7]


def test_a_clip_that_cannot_be_scored_has_a_reason_and_the_others_have_values(folders):
    made = folders[1]
    spoilt = clip(4)
    spoilt[5] = np.nan
    write(made, "a.wav", 0 * clip(0))
    write(made, "b.wav", clip(1, 0.2))
    (made / "c.wav").write_bytes((made / "c.wav").read_bytes()[:700])
    (made / "d.wav").write_bytes(b"no audio at all")
    soundfile.write(made / "e.wav", spoilt, RATE, subtype="FLOAT")
    by_id = {row["id"]: row for row in gansemble.score(folders[0], made, metrics=["snr"], jobs=1).records()}
    words = {
        "a": "estimate is silent",
        "b": "more than 1024 apart",
        "c": "truncated",
        "d": "copy or download it again",
        "e": "NaN",
    }
    for name, said in words.items():
        assert by_id[name]["scores"] == {"snr": None} and said in by_id[name]["reasons"]["snr"]
    assert by_id["f"]["scores"]["snr"] is not None


def test_metrics_without_a_reference_are_scored_without_one(awkward, folders):
    found = gansemble.score(None, folders[1], metrics=["level", "awkward"], jobs=1)
    row = found.records()[0]
    assert row["scores"]["level"] == pytest.approx(0.212, abs=0.02)
    assert row["scores"]["awkward"] is None and row["reasons"]["awkward"] == "needs a reference"


def test_sets_of_other_sizes_have_another_hash_and_a_row_of_their_own(awkward, folders, tmp_path):
    smaller = tmp_path / "smaller"
    for name in "abc":
        write(smaller, f"{name}.wav", clip(9))
    found = gansemble.score(
        folders[0], {"six": folders[1], "three": smaller}, metrics=["spread"], jobs=1, output=tmp_path / "out"
    )
    six, three = (found.results.set_value(name, found.results.set_keys[0]) for name in ("six", "three"))
    assert six.clips == 6 and three.clips == 3 and six.hash != three.hash
    assert "not to be compared" in str(found)
    page = (tmp_path / "out" / "index.html").read_text()
    assert page.count("<th>spread <span aria-hidden=true>↓</span>") == 2


def test_the_hash_of_a_definition_follows_what_decides_the_values():
    def hash_of(reading=None, **settings):
        reading = reading or Reading(16000)
        found = Metrics(Asked(given={"p": {"use": "pesq"} | settings}), reading)
        return found.column("p", found.build("p")).hash

    usual = hash_of()
    assert usual == hash_of(timeout=60.0)
    others = [
        hash_of(mode="nb"),
        hash_of(segment_seconds=10.0),
        hash_of(Reading(22050)),
        hash_of(Reading(16000, lengths="cut")),
    ]
    assert len({usual, *others}) == 5


def test_a_metric_that_is_not_known_names_the_nearest():
    with pytest.raises(RecipeError, match="did you mean 'pesq'"):
        Metrics(Asked(("pesk",)), Reading(16000))
    with pytest.raises(RecipeError, match="takes no such parameter"):
        Metrics(Asked(("pesq",), overrides=("metrics.pesq.mod=nb",)), Reading(16000))


def test_a_metric_that_learns_from_a_corpus_says_where_it_is_scored():
    found = Metrics(Asked(("inception_score",)), Reading(16000))
    with pytest.raises(GansembleError, match=r"stage 5 \(gansemble evaluate\)"):
        found.build("inception_score")


def test_a_recipe_serves_as_a_list_of_metrics(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text("audio: {sample_rate: 22050, mels: 20}\ngenerator: {use: nobody}\nmetrics: {quality: {use: snr}}\n")
    found = Metrics(Asked(config=path), Reading(8000))
    assert list(found.parts) == ["quality"] and found.recipe.audio.sample_rate == 8000 and found.recipe.audio.mels == 20


def test_the_command_says_what_has_no_score_and_strict_demands_all(folders, tmp_path):
    write(folders[1], "c.wav", 0 * clip(0))
    arguments = (*folders, "--metrics", "snr", "--output", tmp_path / "out", "--jobs", "1")
    found = call(*arguments)
    assert found.exit_code == 0, found.output
    assert "no score: made: snr of 1 clips, such as c: estimate is silent" in found.output
    with pytest.raises(GansembleError, match="--strict is on"):
        call(*arguments, "--strict")


def test_a_card_says_what_moves_a_score():
    metrics = Metrics(SNR, Reading(RATE))
    card = measure(metrics, "si_sdr", [clip(number) for number in range(4)], "tones")
    of = card["keys"]["si_sdr"]
    assert of["at_20_db"] == pytest.approx(20, abs=0.3) and of["at_30_db"] == pytest.approx(30, abs=0.3)
    assert of["changes"]["gain_minus_6_db"]["change"] == pytest.approx(0, abs=1e-3)  # scale-invariant by definition
    assert of["changes"]["again"]["change"] == 0
    assert of["changes"]["delay_1_sample"]["change"] < -5
    assert of["changes"]["estimate_silent"]["change"] is None and "silent" in of["changes"]["estimate_silent"]["reason"]
    plain = measure(metrics, "snr", [clip(number) for number in range(4)], "tones")["keys"]["snr"]
    assert plain["changes"]["gain_minus_6_db"]["share"] > 1  # 6 dB less level count more than 10 dB of noise
    assert any("estimate 6 dB softer" in line for line in cards.lines("snr", plain))


def test_cards_are_written_and_replaced_by_definition(folders, tmp_path):
    arguments = [
        "snr",
        "--audio",
        str(folders[0]),
        "--clips",
        "3",
        "--rate",
        "8000",
        "--output",
        str(tmp_path / "cards"),
    ]
    for _ in range(2):
        found = CliRunner().invoke(metric_card, arguments, catch_exceptions=False)
        assert found.exit_code == 0, found.output
    written = json.loads((tmp_path / "cards" / "snr.json").read_text())
    assert len(written) == 1 and written[0]["clips"] == 3 and written[0]["sample_rate"] == 8000


def test_every_number_of_a_summary_can_be_written_as_json(folders):
    found = gansemble.score(folders[0], folders[1], metrics=["snr"], jobs=1)
    text = json.dumps(tables.summary(found.results), allow_nan=False)
    assert not math.isnan(json.loads(text)["systems"]["made"]["scores"]["snr"]["low"])
