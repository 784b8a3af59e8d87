"""``gansemble export --stream``: a streaming graph from the command line."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from gansemble import cli

pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def export(*words):
    return CliRunner().invoke(cli.group, ["export", *map(str, words)], catch_exceptions=True)


@pytest.fixture(scope="module")
def exp(trained):
    return trained("{use: vocos, dim: 8, hidden: 16, blocks: 1}").source.parent.parent


@pytest.mark.slow
def test_a_streaming_graph_is_written_and_its_latency_told(exp):
    result = export(exp, "--stream", 3)
    assert result.exit_code == 0, result.output
    # Six frames of 4 ms and an overlap of 6 ms ahead, and a block of three frames.
    assert (
        "exp-stream.onnx" in result.output and "blocks of 3, latency 42.0 ms, of it look-ahead 30.0 ms" in result.output
    )
    assert (exp / "export" / "exp-stream.onnx").is_file()
    again = export(exp, "--stream", 3)
    assert again.exit_code != 0 and "is there already" in str(again.output) + str(again.exception)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--stream", 3, "--format", "torchscript"],
            "--stream writes an ONNX graph of one block, without --format torchscript",
        ),
        (["--stream", 3, "--licence", "cc0-1.0"], "without --licence"),
        (["--label", "anna"], "--label goes with --stream BLOCK"),
        (["--stream", 0], "0 is not in the range"),
    ],
)
def test_options_that_do_not_go_together_are_refused(exp, words, said):
    result = export(exp, *words)
    assert result.exit_code == 2 and said in " ".join(result.output.split())
