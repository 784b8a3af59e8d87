#!/usr/bin/env bash
# SpecGAN on the Free Spoken Digit Dataset at 8 kHz, small enough for two CPU cores.
recipe_dir=$(readlink -f -- "${BASH_SOURCE[0]}") && recipe_dir=${recipe_dir%/*}
# shellcheck disable=SC2034  # read by the stage runner
config=conf/small.yaml
# shellcheck source=egs/_shared/recipe.sh
. "$recipe_dir/../../_shared/recipe.sh"
