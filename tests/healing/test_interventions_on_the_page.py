"""The report's table of interventions."""

from __future__ import annotations

import json
from pathlib import Path

from gansemble.evaluation import onsets
from gansemble.evaluation.systems import System
from gansemble.recipe.healing import Intervention
from gansemble.training import healing


def system(exp: Path, count: int) -> System:
    chosen = Intervention("lower_rate", factor=0.25, side="discriminators")
    done = [
        healing.record(chosen, "won", "<b> have won since step 5", 1000 * (number + 1), 500) for number in range(count)
    ]
    healing.write(exp, done)
    return System("one", exp, None, {"scores": {}}, {}, "#112233")


def test_each_intervention_has_a_row_with_what_was_changed_and_why(tmp_path):
    text = onsets.section([system(tmp_path, 2)])
    assert "<h2>Interventions</h2>" in text and text.count("<tr>") == 3
    assert "<td>2</td><td>2,000</td><td>500</td>" in text
    assert "learning rates of the discriminators times 0.25" in text
    assert "&lt;b&gt; have won since step 5" in text and "<b> have" not in text


def test_many_are_cut_and_none_are_no_section(tmp_path):
    text = onsets.section([system(tmp_path / "many", 20)])
    assert "The first 12 of 20 interventions." in text and text.count("<tr>") == 13
    assert onsets.section([system(tmp_path / "none", 0)]) == ""


def test_a_log_with_a_damaged_line_is_read_without_it(tmp_path):
    system(tmp_path, 1)
    path = tmp_path / "logs" / "interventions.jsonl"
    path.write_text(path.read_text() + json.dumps({"step": 3}) + "\n")
    assert len(healing.interventions(tmp_path)) == 1
