"""The conditioning trick for training stable GANs (Esmaeilpour et al. 2020, submitted to ICLR 2021): generated maps are held to
the departure from normality of real ones."""

from collections.abc import Callable

from gansemble import hookimpl


@hookimpl
def gansemble_register(register: Callable[..., None]) -> None:
    """Names this plugin's parts."""
    here = __name__
    register(
        "regulariser",
        "ddfn",
        f"{here}.regulariser:DifferenceDepartureFromNormality",
        "difference of mean departures from normality of fake and real maps, held below a bound (DDFN)",
        example={"loss": "absolute", "log_exact_every": 0},
    )
    register(
        "monitor",
        "departure_from_normality",
        f"{here}.monitor:DepartureFromNormality",
        "exact departure from normality of fake maps beside real ones, and of maps inside the generator",
        example={"every": 1, "channels": "average_first"},
    )
