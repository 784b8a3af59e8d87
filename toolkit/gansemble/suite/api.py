"""``gansemble.score``: scores of folders of audio from Python."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from gansemble.errors import DataError
from gansemble.suite import page, tables
from gansemble.suite.columns import Asked
from gansemble.suite.matching import named
from gansemble.suite.run import Request, score_folders
from gansemble.suite.signals import Channels, Lengths
from gansemble.suite.summary import Comparison, Results

Place = str | os.PathLike[str]


class Scores:
    """What :func:`score` found.

    Args:
        results: of the run; see :class:`gansemble.suite.summary.Results`.
    """

    def __init__(self, results: Results) -> None:
        self.results = results

    def __str__(self) -> str:
        """The table as text."""
        return "\n".join(tables.lines(self.results))

    def records(self) -> list[dict[str, object]]:
        """A record for each clip of each system: ``system``, ``id``, ``scores`` and ``reasons`` by score."""
        return tables.per_file(self.results)

    def summary(self) -> dict[str, object]:
        """Means, intervals, definitions and versions, as JSON holds them."""
        return tables.summary(self.results)

    def comparisons(self) -> list[Comparison]:
        """Every two systems compared by every score."""
        return self.results.comparisons


def score(
    reference: Place | None,
    estimate: Place | Sequence[Place] | Mapping[str, Place],
    *,
    metrics: Sequence[str] | Mapping[str, Mapping[str, object]] | Place = (),
    output: Place | None = None,
    rate: int | None = None,
    lengths: Lengths = "as they are",
    channels: Channels = "mono",
    strip: str = "",
    jobs: int | None = None,
    timeout: float | None = None,
    retry: bool = False,
    confidence: float = 0.95,
) -> Scores:
    """Scores one or several folders of audio against a folder of references, by the names of the files.

    ::

        print(gansemble.score("reference/", {"ours": "ours/", "theirs": "theirs/"}, metrics=["pesq", "stoi"]))

    Args:
        reference: a folder, or one file; None for metrics that need none.
        estimate: a folder, or several, or folders by the systems' names; files where the reference is one.
        metrics: names; or metrics by name with their parameters, ``{"pesq_nb": {"use": "pesq", "mode": "nb"}}``; or a YAML
            file with a section ``metrics``. Empty takes those that are computed by default.
        output: folder that rows and tables are written to, and from which an interrupted call goes on.
        rate: to score at [Hz]; None demands that all files have one.
        lengths, channels: see :class:`gansemble.suite.signals.Reading`.
        strip: end of the estimates' names that is not part of the clip's, such as ``_generated``.
        jobs: worker processes; None takes as many as there are processors.
        timeout: longest time of a metric for a file [s].
        retry: compute again what crashed, hung or was killed the last time.
        confidence: probability of the intervals.

    Returns:
        The scores, which print as a table.

    Raises:
        DataError: if the folders do not fit together.
        RecipeError: if a metric cannot be built.
    """
    where = None if output is None else Path(output)
    if where is not None:
        where.mkdir(parents=True, exist_ok=True)
    against, workers = None if reference is None else Path(reference), jobs or len(os.sched_getaffinity(0))
    policy = (rate, lengths, channels, strip, workers, timeout, retry, where)
    request = Request(against, _systems(estimate), _asked(metrics), *policy)
    found = Results(score_folders(request, lambda text: None), confidence=confidence)
    if where is not None:
        tables.write(found, where)
        page.write(found, where / "index.html")
    return Scores(found)


def _systems(estimate: Place | Sequence[Place] | Mapping[str, Place]) -> dict[str, Path]:
    if isinstance(estimate, Mapping):
        return {str(name): Path(path) for name, path in estimate.items()}
    if isinstance(estimate, str | os.PathLike):
        return named([os.fspath(estimate)])
    return named([os.fspath(path) for path in estimate])


def _asked(metrics: Sequence[str] | Mapping[str, Mapping[str, object]] | Place) -> Asked:
    if isinstance(metrics, Mapping):
        return Asked(given={str(name): dict(settings) for name, settings in metrics.items()})
    if isinstance(metrics, os.PathLike) or (isinstance(metrics, str) and metrics.endswith((".yaml", ".yml"))):
        return Asked(config=Path(metrics))
    if isinstance(metrics, str):
        raise DataError(f"metrics={metrics!r}: expected a list of names, such as [{metrics!r}], or a YAML file")
    return Asked(tuple(metrics))
