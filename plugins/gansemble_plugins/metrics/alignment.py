"""Dynamic time warping without a loop over cells: of patches within a longer sequence, and of two whole sequences."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import cdist

#: Cells of one row of all patches that are computed at once, so that memory does not grow with their number.
CELLS_AT_ONCE = 1_000_000
#: Steps of a path through two sequences: both go on, the first goes on, the second goes on.
BOTH, FIRST, SECOND = 0, 1, 2


def subsequence_costs(patches: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Cost of the best match of each patch anywhere in the reference, divided by the patch's length.

    Subsequence dynamic time warping of Euclidean distances with the steps (1, 0), (0, 3) and (1, 3), as (frames of the
    patch, frames of the reference), all of weight 1 (WARP-Q, Jassim et al. 2022, section 3.3). A step within a row goes
    three frames on, so a row is a running minimum over every third frame, and only the loop over rows remains:
    with C the distances of a row, A the best of the row before and S the running sum of C, D = S + min(A + C - S).

    Args:
        patches: [P, N, K], P patches of N frames of K numbers.
        reference: [M, K], M frames.

    Returns:
        float64 [P].
    """
    group = max(1, CELLS_AT_ONCE // len(reference))
    parts = [_costs(patches[start : start + group], reference) for start in range(0, len(patches), group)]
    return np.concatenate(parts)


def _costs(patches: np.ndarray, reference: np.ndarray) -> np.ndarray:
    count, length, _ = patches.shape
    best = cdist(patches[:, 0], reference)
    for row in range(1, length):
        distances = cdist(patches[:, row], reference)
        before = best.copy()
        before[:, 3:] = np.minimum(best[:, 3:], best[:, :-3])
        running = _by_thirds(distances)
        sums = running.cumsum(axis=1)
        lowest = np.minimum.accumulate(_by_thirds(before) + running - sums, axis=1)
        best = (sums + lowest).reshape(count, -1)[:, : len(reference)]
    return best.min(axis=1) / length


def _by_thirds(row: np.ndarray) -> np.ndarray:
    """[P, M] as [P, M / 3 rounded up, 3], so that the second axis goes over every third frame; zeros at the end."""
    padded = np.pad(row, ((0, 0), (0, -row.shape[1] % 3)))
    return padded.reshape(len(row), -1, 3)


def warping_path(distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The path from first to last frames that has the least sum of distances; exact, not an approximation.

    Steps are one frame on in the first sequence, in the second, or in both, of equal weight; of equal sums the step in both
    is taken, then that in the first. Computed by anti-diagonals, whose cells do not depend on each other.

    Args:
        distances: [N, M] of each frame of the first sequence to each of the second.

    Returns:
        (indices of the first sequence, of the second), each [L] with L frames of the path.
    """
    rows, columns = distances.shape
    flat = np.ascontiguousarray(distances).ravel()
    last, before_last = (
        np.full(rows + 1, np.inf) for _ in range(2)
    )  # sums by row + 1, so that row 0 has one before it
    steps: list[np.ndarray] = []
    for diagonal in range(rows + columns - 1):
        low, high = max(0, diagonal - columns + 1), min(rows - 1, diagonal)
        start = low * columns + diagonal - low
        # One row down and one column left is columns - 1 further on; in a single column the diagonal is one cell.
        cells = flat[start : start + (high - low) * (columns - 1) + 1 : max(1, columns - 1)]
        before = np.stack([before_last[low : high + 1], last[low : high + 1], last[low + 1 : high + 2]])
        step = before.argmin(axis=0).astype(np.int8)
        sums = np.full(rows + 1, np.inf)
        sums[low + 1 : high + 2] = cells + (before.min(axis=0) if diagonal else 0.0)
        steps.append(step)
        before_last, last = last, sums
    return _back(steps, rows, columns)


def _back(steps: list[np.ndarray], rows: int, columns: int) -> tuple[np.ndarray, np.ndarray]:
    """Follows the steps from the last cell to the first."""
    row, column = rows - 1, columns - 1
    path = [(row, column)]
    while row or column:
        diagonal = row + column
        step = steps[diagonal][row - max(0, diagonal - columns + 1)]
        row -= step != SECOND
        column -= step != FIRST
        path.append((row, column))
    first, second = np.array(path[::-1], dtype=np.int64).T
    return first, second
