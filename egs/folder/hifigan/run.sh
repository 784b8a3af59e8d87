#!/usr/bin/env bash
# HiFi-GAN on a folder of recordings, at 16 to 48 kHz.
recipe_dir=$(readlink -f -- "${BASH_SOURCE[0]}") && recipe_dir=${recipe_dir%/*}
# shellcheck disable=SC2034  # read by the stage runner
config=conf/24k.yaml
# shellcheck source=egs/_shared/recipe.sh
. "$recipe_dir/../../_shared/recipe.sh"
