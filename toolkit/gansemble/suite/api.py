"""``gansemble.score``: scores of folders of audio from Python."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import get_args

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
    estimate: Place | Iterable[Place] | Mapping[str, Place],
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
        DataError: if an argument is not what is expected, or the folders do not fit together.
        RecipeError: if a metric cannot be built.
    """
    _demand_options(rate, lengths, channels, strip, jobs, timeout, confidence)
    where = None if output is None else _folder(_path("output", output))
    against = None if reference is None else _path("reference", reference)
    workers = jobs or len(os.sched_getaffinity(0))
    policy = (rate, lengths, channels, strip, workers, timeout, retry, where)
    request = Request(against, _systems(estimate), _asked(metrics), *policy)
    found = Results(score_folders(request, lambda text: None), confidence=confidence)
    if where is not None:
        tables.write(found, where)
        page.write(found, where / "index.html")
    return Scores(found)


def _demand_options(
    rate: object, lengths: object, channels: object, strip: object, jobs: object, timeout: object, confidence: object
) -> None:
    def number(value: object, low: float, high: float, kinds: type | tuple[type, ...] = (int, float)) -> bool:
        good = isinstance(value, kinds) and not isinstance(value, bool)
        return good and math.isfinite(float(value)) and low <= float(value) <= high  # type: ignore[arg-type]

    def one_of(words: tuple[str, ...]) -> str:
        return f"one of {', '.join(map(repr, words))}"

    rules = [
        (
            "rate",
            rate,
            rate is None or number(rate, 500, 1_600_000, int),
            "a whole number from 500 to 1600000 [Hz], or None",
        ),
        ("lengths", lengths, lengths in get_args(Lengths), one_of(get_args(Lengths))),
        ("channels", channels, channels in get_args(Channels), one_of(get_args(Channels))),
        ("strip", strip, isinstance(strip, str), "a text, such as '_generated'"),
        ("jobs", jobs, jobs is None or number(jobs, 1, 1024, int), "a whole number from 1 to 1024, or None"),
        ("timeout", timeout, timeout is None or number(timeout, 1, 1e6), "seconds from 1 to 1e6, or None"),
        ("confidence", confidence, number(confidence, 0.5, 0.9999), "a probability from 0.5 to 0.9999"),
    ]
    for name, value, good, expected in rules:
        if not good:
            raise DataError(f"{name}={value!r}: expected {expected}")


def _path(name: str, value: object) -> Path:
    if not isinstance(value, str | os.PathLike) or not os.fspath(value):
        raise DataError(f"{name}: expected the path of a folder or file, got {value!r}")
    return Path(value)


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"output={str(path)!r}: must be a folder that can be written ({error.strerror or error}); give another"
        ) from error
    return path


def _systems(estimate: Place | Iterable[Place] | Mapping[str, Place]) -> dict[str, Path]:
    if isinstance(estimate, Mapping):
        found = {str(name): _path(f"estimate[{name!r}]", path) for name, path in estimate.items()}
        if not all(name.strip() for name in found):
            raise DataError(
                f"estimate: a system has no name; name each, as in {{'ours': {next(iter(estimate.values()))!r}}}"
            )
    elif isinstance(estimate, str | os.PathLike):
        found = named([os.fspath(estimate)])
    elif isinstance(estimate, Iterable):
        found = named([os.fspath(_path("estimate", path)) for path in estimate])
    else:
        raise DataError(f"estimate={estimate!r}: expected a folder, several of them, or folders by the systems' names")
    if not found:
        raise DataError("estimate: is empty; give at least one folder or file to score")
    return found


def _asked(metrics: Sequence[str] | Mapping[str, Mapping[str, object]] | Place) -> Asked:
    if isinstance(metrics, Mapping):
        for name, settings in metrics.items():
            if not isinstance(settings, Mapping):
                raise DataError(
                    f"metrics[{name!r}]={settings!r}: expected its settings, such as {{'use': {str(name)!r}}}; names alone go "
                    f"into a list, as in metrics=[{str(name)!r}]"
                )
        return Asked(given={str(name): dict(settings) for name, settings in metrics.items()})
    if isinstance(metrics, os.PathLike) or (isinstance(metrics, str) and metrics.endswith((".yaml", ".yml"))):
        return Asked(config=Path(metrics))
    names = [] if isinstance(metrics, str) or not isinstance(metrics, Iterable) else list(metrics)
    wrong = [name for name in names if not isinstance(name, str) or not name.strip()]
    if isinstance(metrics, str) or not isinstance(metrics, Iterable) or wrong:
        example = f", such as [{metrics!r}]" if isinstance(metrics, str) and metrics else ""
        raise DataError(f"metrics={metrics!r}: expected a list of names{example}, or a YAML file")
    return Asked(tuple(dict.fromkeys(name.strip() for name in names)))
