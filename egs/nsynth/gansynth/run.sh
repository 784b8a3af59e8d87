#!/usr/bin/env bash
# GANSynth on NSynth: notes as images of log mel power and instantaneous frequency, growing from 2 x 16 to 128 x 1024.
recipe_dir=$(readlink -f -- "${BASH_SOURCE[0]}") && recipe_dir=${recipe_dir%/*}
# shellcheck disable=SC2034  # read by the stage runner
config=conf/v1.yaml
# shellcheck source=egs/_shared/recipe.sh
. "$recipe_dir/../../_shared/recipe.sh"
