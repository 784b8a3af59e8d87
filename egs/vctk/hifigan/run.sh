#!/usr/bin/env bash
# HiFi-GAN on VCTK at 24 kHz: mel spectrogram to waveform with multi-period and multi-scale discriminators.
recipe_dir=$(readlink -f -- "${BASH_SOURCE[0]}") && recipe_dir=${recipe_dir%/*}
# shellcheck disable=SC2034  # read by the stage runner
config=conf/v1.yaml
# shellcheck source=egs/_shared/recipe.sh
. "$recipe_dir/../../_shared/recipe.sh"
