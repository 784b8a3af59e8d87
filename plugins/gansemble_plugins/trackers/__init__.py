"""Experiment trackers that Accelerate knows, such as MLflow, trackio, Weights & Biases and Aim, as observers of a run."""

from gansemble import hookimpl


@hookimpl
def gansemble_register(register):
    """Names the part; nothing is imported until a recipe asks for it."""
    register(
        "observer",
        "tracker",
        f"{__name__}.tracker:Tracker",
        "curves, scores and clips in MLflow, trackio, Weights & Biases, Aim, Comet or TensorBoard",
        example={"kind": "tensorboard"},
    )
