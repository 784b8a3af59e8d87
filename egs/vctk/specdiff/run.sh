#!/usr/bin/env bash
# SpecDiff-GAN on VCTK at 24 kHz: HiFi-GAN whose discriminators see real and fake through spectrally shaped diffusion.
recipe_dir=$(readlink -f -- "${BASH_SOURCE[0]}") && recipe_dir=${recipe_dir%/*}
# shellcheck disable=SC2034  # read by the stage runner
config=conf/v1.yaml
# shellcheck source=egs/_shared/recipe.sh
. "$recipe_dir/../../_shared/recipe.sh"
