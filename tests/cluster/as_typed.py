"""``gansemble run … --launch slurm``, as cli/run.py hands it over, without the rest of the command line."""

import sys
from contextlib import chdir

from gansemble.cli.run import _add_plugins, _called
from gansemble.cli.run_options import read
from gansemble.cli.run_recipe import choose
from gansemble.cluster import slurm
from gansemble.errors import GansembleError


def main(words):
    program, given = _called(words, ())
    options = read(given, program.name, words=0 if program.folder is not None else 1)
    if options.words:
        program = program.named(options.words[0])
    place = choose(program, options)
    options.exp = options.exp or place.exp
    if options.mini:
        options.data = options.data or place.mini_corpus
    _add_plugins(options)
    with chdir(place.root):
        slurm.run(program, given, place, options)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except GansembleError as error:
        sys.exit(f"error: {error}")
