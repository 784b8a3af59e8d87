#!/usr/bin/env bash
# Super-resolution on MUSDB18-HQ at 44.1 kHz: a U-Net restores the highs, taught by HiFi-GAN's discriminators and spectral flatness.
recipe_dir=$(readlink -f -- "${BASH_SOURCE[0]}") && recipe_dir=${recipe_dir%/*}
# shellcheck disable=SC2034  # read by the stage runner
config=conf/v1.yaml
# shellcheck source=egs/_shared/recipe.sh
. "$recipe_dir/../../_shared/recipe.sh"
