"""The model card: metadata as the hub reads it, text that says what it says for any name, and nothing that is not on record."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from gansemble.audio.spec import AudioSpec
from gansemble.evaluation import card_metadata, model_card, papers
from gansemble.evaluation.account import Account, TrainedClips, Used
from gansemble.evaluation.markdown import block, plain
from gansemble.evaluation.model_card import Facts
from gansemble.recipe.task import Task

ENVIRONMENT = {"machine": "a Fast 3000", "gansemble": "1.2", "commit": "0123456789ab"}
STINT: Any = {"from_step": 0, "seconds": 5400.0, "starts": 1, "environment": ENVIRONMENT, "device": "cuda"}
STINT |= {"processes": 2, "threads": 1}
ACCOUNT = Account(
    exp=Path("exp"),
    name="tiny",
    task=Task.VOCODING,
    generator=Used("", "small_net"),
    discriminators=[Used("near", "periods")],
    losses=[Used("mel", "mel_l1", 45.0)],
    regularisers=[],
    objective=Used("", "hinge"),
    noise_injector=None,
    parameters={"generator": 10, "discriminators": 20},
    data=TrainedClips("voices", 5, 2, 4.0, {}, False),
    highest=None,
    sample_rate=16000,
    step=7,
    last=7,
    planned=9,
    batch_size=4,
    segment=8000,
    crops=28,
    stints=[STINT],
    imported=False,
    stand_in=False,
    toy=False,
    origin=None,
    teacher=None,
    toolkit="1.2",
)
SPEC = AudioSpec(sample_rate=16000, fmax=None)
NAMES = [
    "tiny",
    "<script>alert('x')</script> & <b>bold</b>",
    "\"quoted\": 'twice' # no comment, [a, list]",
    "שלום עולם",
    "n" * 100,
    "---",
    "- *a* _b_ `c` | d $e$ ~~f~~",
    "1. one",
    "yes",
    "12",
    "null",
    "tab\tand\nnew line",
    "line\u2028separator \x07bell",
    "{curly: braces}",
    "!tag &anchor *alias",
    "émile 🎻",
]


def row(mean: float | None, metric: str, count: int = 12, better: str = "lower", **more: Any) -> Any:
    facts = {"mean": mean, "low": None, "high": None, "n_ok": count, "n_total": 12, "definition": f"what |{metric}| is"}
    return facts | {"better": better, "metric": metric} | more


def summary(**scores: Any) -> Any:
    known = {"name": "tiny", "step": 7, "split": "test", "real_time_factor": 0.125, "device": "cpu", "threads": 1}
    return known | {"environment": {"torch": "2.0", "date": "2026-01-02"}, "scores": scores}


def rendered(text: str) -> str:
    """The card's text as HTML, by an implementation of CommonMark."""
    return str(MarkdownIt("commonmark", {"html": True}).enable("table").render(text.split("---\n", 2)[2]))


def seen(text: str) -> str:
    """What a reader sees of it."""
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", rendered(text))).split())


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_valid_yaml_and_shown_as_it_is(name: str):
    scored = summary(**{name: row(0.5, name)})
    data = TrainedClips(name, 5, 2, 4.0, {}, False)
    made = replace(ACCOUNT, name=name, data=data, generator=Used("", name), origin=(name, "step-00000001"))
    text = model_card.card(made, Facts(SPEC, licence=name, corpus_licence=name, papers=[name], summary=scored))
    metadata = yaml.safe_load(text.split("---\n", 2)[1]) if "\n---\n" in text else {}
    card = ModelCard(text)
    assert card.data.library_name == "gansemble" and metadata["model-index"][0]["name"] == name
    (result,) = card.data.eval_results
    assert (result.metric_value, result.dataset_name, result.dataset_split) == (0.5, name, "test")
    heading = re.search("<h1>(.*?)</h1>", rendered(text), re.DOTALL)
    assert heading is not None
    wanted = " ".join(name.replace("\x07", "\\x07").split())
    assert html.unescape(heading.group(1)) == wanted
    assert "<script>" not in rendered(text) and len(re.findall("<h2>", rendered(text))) == 8


def test_the_hub_reads_task_data_and_scores():
    scored = summary(pesq=row(2.5, "pesq", better="higher"), odd=row(None, "odd"), whole=row(1.0, "a_set"))
    data = ModelCard(model_card.card(ACCOUNT, Facts(SPEC, summary=scored))).data
    assert data.pipeline_tag == "audio-to-audio" and data.license == "unknown" and data.model_name == "tiny"
    assert data.tags == ["audio", "gan", "gansemble", "vocoder", "neural-vocoder", "small-net"]
    found = [(each.task_type, each.dataset_type, each.metric_type, each.metric_name) for each in data.eval_results]
    assert found == [("vocoding", "voices", "pesq", "pesq"), ("vocoding", "voices", "a-set", "whole")]
    assert data.datasets is None and data.base_model is None, "these are looked up at the hub"


@pytest.mark.parametrize(
    ("licence", "found"),
    [
        (None, {"license": "unknown"}),
        (" ", {"license": "unknown"}),
        ("cc-by-4.0", {"license": "cc-by-4.0"}),
        ("Ask me: first", {"license": "other", "license_name": "Ask me: first"}),
    ],
)
def test_a_licence_is_only_told_where_one_was_given(licence: str | None, found: dict[str, str]):
    text = card_metadata.front_matter(ACCOUNT, None, licence)
    metadata = yaml.safe_load(text.split("---\n")[1])
    assert {key: value for key, value in metadata.items() if key.startswith("license")} == found
    assert "model-index" not in metadata


def test_the_sections_tell_what_is_on_record():
    low = row(0.12345, "lsd", low=0.1, high=0.2)
    text = seen(model_card.card(ACCOUNT, Facts(SPEC, 0.9, reads=frozenset({"mel"}), summary=summary(lsd=low))))
    for said in (
        "tiny is a vocoder",
        "It reads mel. Mel spectrograms must be natural logarithms",
        "80 bands from 0 to 8000 Hz, at 16,000 Hz",
        "had not reached the end of its plan",
        'vocoder = gansemble.load("EXPERIMENT")',
        "gansemble synthesise --exp EXPERIMENT --input FILES",
        "5 clips (4 s of audio) of the corpus voices",
        "Its licence is unknown to the toolkit",
        "90 % interval",
        "lsd 0.1235 0.1 … 0.2 12 lower",
        "what |lsd| is",
        "0.125 s on cpu",
        "Hours of training: 1.5",
        "a Fast 3000: 2 processes on cuda, 1.5 hours",
        "at commit 0123456789ab",
        "torch 2.0",
        "name no paper",
    ):
        assert said in text, said
    assert "Too few" not in text and "toy" not in text


def test_what_is_not_on_record_is_not_claimed():
    bare = replace(ACCOUNT, task=None, parameters=None, data=None, stints=[], toy=None, planned=None, toolkit=None)
    text = seen(model_card.card(bare, Facts(SPEC)))
    for said in (
        "the record does not tell what it reads",
        "number of parameters unknown",
        "What it was trained on is unknown",
        "How long this took is unknown",
        "It has not been evaluated",
        "Hours of training: unknown",
        "by which commit it was trained is unknown",
    ):
        assert said in text, said
    assert "model-index" not in model_card.card(bare, Facts(SPEC, summary=summary(lsd=row(1.0, "lsd"))))


def test_a_toy_and_too_few_files_are_told_before_and_beside_the_numbers():
    scored = summary(lsd=row(1.0, "lsd", 4), pesq=row(2.0, "pesq", 11), none=row(None, "none", 0, reason="too short"))
    text = seen(model_card.card(replace(ACCOUNT, toy=True), Facts(SPEC, summary=scored)))
    assert text.index("This is a toy") < text.index("is a vocoder")
    assert "Too few to tell: some scores rest on 4 files" in text and "No value: too short" in text
    assert "lsd 1 – 4 of 12 lower" in text and "none – – 0 of 12 lower" in text


def test_each_score_has_its_own_direction_and_scores_of_one_definition_have_it_once():
    scored = summary(
        near=row(1.0, "near"),
        near_train=row(2.0, "near", better="target", target=1.0),
        near_deviation=row(2.0, "near", better="none"),
        far=row(3.0, "far", better="higher"),
    )
    text = seen(model_card.card(ACCOUNT, Facts(SPEC, summary=scored)))
    assert "near 1 – 12 lower near_train 2 – 12 at 1 near_deviation 2 – 12 – far 3 – 12 higher" in text
    assert text.count("what |near| is") == 1 and "near, near_train, near_deviation : what |near| is" in text


def test_a_stand_in_is_called_neither_by_the_corpus_name_nor_under_its_licence():
    facts = Facts(SPEC, corpus_licence="CC BY 4.0", summary=summary(lsd=row(1.0, "lsd")))
    text = model_card.card(replace(ACCOUNT, stand_in=True, toy=True), facts)
    (result,) = ModelCard(text).data.eval_results
    assert (result.dataset_type, result.dataset_name) == ("stand-in-for-voices", "stand-in for voices")
    assert "a small synthesised stand-in for the corpus voices" in text and "CC BY" not in text


def test_baselines_and_real_clips_stand_beside_the_scores():
    scored = summary(lsd=row(1.0, "lsd"), fid=row(4.0, "fid"))
    scored |= {
        "baselines": {"sinc": {"scores": {"lsd": row(2.0, "lsd")}}},
        "anchors": {"held-out": {"fid": row(0.5, "fid")}},
    }
    text = seen(model_card.card(ACCOUNT, Facts(SPEC, summary=scored)))
    assert "better sinc real clips: held-out lsd 1 – 12 lower 2 – fid 4 – 12 lower – 0.5" in text


@pytest.mark.parametrize("task", [Task.GENERATION, Task.ENHANCEMENT])
def test_each_task_has_its_own_use(task: Task):
    text = model_card.card(replace(ACCOUNT, task=task), Facts(SPEC, summary=summary(lsd=row(1.0, "lsd"))))
    assert task.command("EXPERIMENT") in text and ("pipeline_tag" in text) == (task is Task.ENHANCEMENT)
    assert ModelCard(text).data.eval_results[0].dataset_name == "voices"


def test_imported_weights_were_not_trained_here():
    text = seen(model_card.card(replace(ACCOUNT, imported=True, data=None, step=0, last=0, stints=[]), Facts(SPEC)))
    assert "published elsewhere and imported by gansemble 1.2" in text and "Not on record here" in text


def test_papers_are_linked_where_they_have_a_number():
    text = model_card.card(ACCOUNT, Facts(SPEC, papers=["A (B 2020, arXiv 2010.05646)", "C (D 1999; as E, arXiv 1.2)"]))
    assert "arXiv 2010.05646) <https://arxiv.org/abs/2010.05646>\n* C (D 1999; as E, arXiv 1.2)\n" in text


def test_papers_are_those_of_the_plugins_that_have_the_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "mine" / "inner").mkdir(parents=True)
    for folder in ("mine", "mine/inner"):
        (tmp_path / folder / "__init__.py").write_text("")
    (tmp_path / "mine" / "inner" / "net.py").write_text("")
    (tmp_path / "mine" / "fidelity.yaml").write_text('paper: "A paper\n  (Its Author 2020)"\nclaims: []\n')
    monkeypatch.syspath_prepend(tmp_path)
    __import__("mine.inner.net")
    assert papers.card_of("mine.inner.net") == tmp_path / "mine" / "fidelity.yaml"
    assert papers.card_of("json") is None and papers.card_of("never.imported") is None

    def part(section: str, target: str) -> Any:
        return SimpleNamespace(path=(section, "x"), entry=SimpleNamespace(target=target))

    used = [part("generator", "mine.inner.net:A"), part("losses", "mine.inner.net:B"), part("metrics", "json:C")]
    recipe: Any = SimpleNamespace(parts=lambda: used)
    assert papers.papers_of(recipe) == ["A paper (Its Author 2020)"]
    assert papers.papers_of(SimpleNamespace(parts=lambda: [part("metrics", "mine.inner.net:A")])) == []  # type: ignore[arg-type]
    (tmp_path / "mine" / "fidelity.yaml").write_text("paper: [\n")
    assert papers.papers_of(recipe) == []


def test_the_card_of_an_experiment_is_of_the_checkpoint_that_was_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[Any] = []
    monkeypatch.setattr(model_card.accounts, "read", lambda *given: asked.append(given) or ACCOUNT)
    monkeypatch.setattr(model_card.index, "read", lambda exp: SimpleNamespace(checkpoint="step-00000007"))
    (tmp_path / "scores").mkdir()
    (tmp_path / "scores" / "summary.json").write_text(json.dumps(summary(lsd=row(1.0, "lsd"))))
    corpus = SimpleNamespace(target=type("Voices", (), {"licence": "CC BY 4.0"}))
    recipe = SimpleNamespace(
        audio=SPEC,
        task=Task.VOCODING,
        evaluation=SimpleNamespace(confidence=0.95),
        generator_contract=SimpleNamespace(reads=frozenset({"mel"})),
        single={"corpus": corpus},
        parts=list,
    )
    project: Any = SimpleNamespace(exp=tmp_path, dump=tmp_path / "dump", checked=lambda: recipe)
    path = model_card.write(project, "mit")
    assert asked == [(tmp_path, "step-00000007", tmp_path / "dump", Task.VOCODING)]
    assert path == tmp_path / "report" / "README.md" and ModelCard.load(path).data.license == "mit"
    assert "Its licence, as the toolkit knows it: CC BY 4.0." in seen(path.read_text())
    monkeypatch.setattr(model_card.accounts, "read", lambda *given: replace(ACCOUNT, origin=("/a/\udcff", "step")))
    assert "\\udcff" in model_card.write(project).read_text()


@pytest.mark.parametrize("text", ["a ``` b", "````", "plain"])
def test_a_block_of_code_holds_any_backticks(text: str):
    assert html.unescape(MarkdownIt().render(block(text))) == f"<pre><code>{text}\n</code></pre>\n"


@pytest.mark.parametrize(
    "text", ["+ a", "= b", "16.5 Hz", "2) b", "a\\b", "https://x.y/_z_", "[a](b)", "![a](b)", "&lt;"]
)
def test_plain_text_is_shown_as_it_is(text: str):
    assert html.unescape(MarkdownIt().render(plain(text))) == f"<p>{text}</p>\n"
