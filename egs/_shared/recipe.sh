# Finds Python and hands over to `gansemble run`. A recipe's run.sh sets `recipe_dir`, its folder, and `config`, the
# recipe that it runs by default, and sources this file with its arguments.
# shellcheck shell=bash

set -euo pipefail

: "${recipe_dir:?is set by run.sh}" "${config:?is set by run.sh}"
root=${recipe_dir%/*/*/*} # the tree that egs/ is in; without a command, which would cut line breaks off a name
gansemble=()
for python in "${VIRTUAL_ENV:-/none}/bin/python" "${CONDA_PREFIX:-/none}/bin/python" "$root/.venv/bin/python"; do
  if [[ -x $python && -x ${python%python}gansemble ]]; then
    gansemble=("$python" -P -m gansemble) # -P: nothing is imported from the folder one is in
    break
  fi
done
if ((${#gansemble[@]} == 0)); then
  if ! command -v gansemble >/dev/null; then
    printf 'run.sh: gansemble is not installed in the active environment nor in %s/.venv; type:  make -C %s install\n' \
      "$root" "$root" >&2
    exit 2
  fi
  gansemble=(gansemble)
fi
exec "${gansemble[@]}" run --of-run-sh "$recipe_dir" "$config" "$@"
