"""How near exported generators are to torch: every registered one as ONNX, run by ONNX Runtime at several lengths.

    python tools/export_parity.py [NAME …]      prints a table in Markdown

Networks have the small sizes of the conformance kit and random weights. Differences are of samples of full scale 1.
"""

from __future__ import annotations

import sys
import time

from gansemble.contract import GeneratorContract
from gansemble.exporting.graph import NotExportable
from gansemble.exporting.plain import Inputs, PlainGenerator
from gansemble.exporting.writing import checked_model, demand_exportable
from gansemble.plugins.loading import registry
from gansemble.testing.export import as_it_is, ready
from gansemble.testing.subject import Subject


def main(names: list[str]) -> None:
    """Prints the table of the generators of these names, or of all."""
    print("| generator | reads | largest difference at each length | made in |\n|---|---|---|---|", flush=True)
    for entry in registry().entries("generator"):
        if names and entry.name not in names:
            continue
        begun, subject = time.monotonic(), Subject(entry)
        inputs = Inputs.of(subject.stated(GeneratorContract), subject.spec)
        network = ready(subject)
        try:
            demand_exportable(network, entry.name)
            _, found = checked_model(PlainGenerator(network, inputs, as_it_is).eval(), entry.name)
            unit = inputs.length_name or "clips"
            told = ", ".join(f"{value:.1e} ({length or items})" for (items, length), value in found.differences.items())
            told += f" {unit}"
        except NotExportable as error:
            told = str(error)
        print(f"| {entry.name} | {', '.join(inputs.names)} | {told} | {time.monotonic() - begun:.1f} s |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
