# The stage runner. A recipe's run.sh sets `recipe_dir` and `config` and sources this file with its arguments.
# shellcheck shell=bash

set -euo pipefail

stage_names=(fetch prepare statistics train synthesise evaluate report)
stage_titles=("find or download the corpus" "examine and pack the audio" "measure the training split"
  "train, or go on training" "generate the held-out clips" "score them" "write the listening page")
: "${recipe_dir:?is set by run.sh}"
root=$(cd "$recipe_dir/../../.." && pwd)
stage=0 stop_stage=6 data='' exp='' dump='' num_processes=1 num_machines=1 machine_rank=0 main_address='' main_port=29500
jobs='' force=false dry_run=false mini=false allow_change=false force_unlock=false
overrides=() plugin_files=() compare=()
options=(--stage --stop-stage --config --mini --set --data --exp --dump --num-processes --num-machines --machine-rank
  --main-address --main-port --jobs --plugin --compare --force --dry-run --allow-change --force-unlock --help)

die() {
  printf 'run.sh: %s\n' "$*" >&2
  exit 2
}

usage() {
  sed -n '2,/^[^#]/{s/^# \{0,1\}//p}' "$recipe_dir/run.sh"
  cat <<END

usage: run.sh [options]        from any directory; relative paths are relative to where you are

stages (by number or name; each is skipped when it is up to date, and redone, saying why, when it is stale):
END
  local number
  for number in "${!stage_names[@]}"; do
    printf '  %d %-11s %s\n' "$number" "${stage_names[$number]}" "${stage_titles[$number]}"
  done
  cat <<END

options (--name value or --name=value):
  --stage S           first stage (0)                  --stop-stage S      last stage (6)
  --config FILE       recipe ($config); a bare name means conf/NAME.yaml
  --mini              conf/mini.yaml on a small corpus made offline: every stage in about a minute on two CPU cores
  --set KEY=VALUE     change a value of the recipe, such as --set losses.mel.weight=30; may be repeated
  --data DIR          the corpus, as published         --exp DIR           experiment folder (exp/<config>)
  --dump DIR          packed audio (dump/<set>)        --jobs N            worker processes (all processors)
  --num-processes N   processes in all, one per GPU    --num-machines N    machines (1)
  --machine-rank N    this machine's number (0)        --main-address HOST address of machine 0
  --main-port N       its port (29500)                 --plugin FILE.py    a single-file plugin for this run
  --compare EXP       show another experiment on the report's page; may be repeated
  --force             run the chosen stages even if up to date (a trained run is set aside, never deleted)
  --dry-run           say what would be done           --help              this text
  --allow-change      go on from a checkpoint under a recipe that differs
  --force-unlock      take an experiment that a dead run of another machine holds, after watching it for 75 s

configurations: $(cd "$recipe_dir/conf" && printf '%s ' *.yaml)
END
}

nearest() { # nearest WORD CANDIDATE...: a hint when a candidate starts like the word
  local word=$1 candidate
  shift
  for candidate in "$@"; do
    if [[ $candidate == "${word:0:5}"* || $word == "${candidate:0:6}"* ]]; then
      printf '; did you mean %s?' "$candidate"
      return
    fi
  done
}

absolute() { # a path given relative to where run.sh was called from
  realpath -m -- "$1"
}

stage_number() { # stage_number WORD OPTION
  local number
  for number in "${!stage_names[@]}"; do
    if [[ $1 == "$number" || $1 == "${stage_names[$number]}" ]]; then
      printf '%d' "$number"
      return
    fi
  done
  die "$2 $1: no such stage$(nearest "$1" "${stage_names[@]}"); stages are 0 to 6, or: ${stage_names[*]}"
}

whole_number() { # whole_number VALUE OPTION MINIMUM
  [[ $1 =~ ^(0|[1-9][0-9]{0,8})$ && $1 -ge $3 ]] || die "$2 must be a whole number of at least $3, got '$1'"
}

parse() {
  local name value given
  while (($#)); do
    given=$1
    case $given in
      --help | -h) usage; exit 0 ;;
      --mini | --force | --dry-run | --allow-change | --force-unlock)
        name=${given#--}
        printf -v "${name//-/_}" true
        shift
        continue ;;
      --mini=* | --force=* | --dry-run=* | --allow-change=* | --force-unlock=* | --help=*) die "${given%%=*} takes no value; see run.sh --help" ;;
      --*=*) name=${given%%=*} value=${given#*=}; shift ;;
      --*)
        name=$given
        [[ " ${options[*]} " == *" $name "* ]] || die "unknown option $name$(nearest "$name" "${options[@]}"); see run.sh --help"
        if (($# < 2)) || [[ $2 == --* ]]; then die "$name needs a value; see run.sh --help"; fi
        value=$2
        shift 2 ;;
      *) die "unexpected word '$given'; options begin with --; see run.sh --help" ;;
    esac
    case $name in
      --stage) stage=$(stage_number "$value" "$name") || exit 2 ;;
      --stop-stage) stop_stage=$(stage_number "$value" "$name") || exit 2 ;;
      --config) config=$value config_given=true ;;
      --set) [[ $value == *=* ]] || die "--set $value: expected KEY=VALUE, such as losses.mel.weight=30"; overrides+=(--set "$value") ;;
      --data) data=$(absolute "$value") ;;
      --exp) exp=$(absolute "$value") ;;
      --dump) dump=$(absolute "$value") ;;
      --plugin) plugin_files+=("$(absolute "$value")") ;;
      --compare) compare+=(--compare "$(absolute "$value")") ;;
      --num-processes) whole_number "$value" "$name" 1; num_processes=$value ;;
      --num-machines) whole_number "$value" "$name" 1; num_machines=$value ;;
      --machine-rank) whole_number "$value" "$name" 0; machine_rank=$value ;;
      --main-port) whole_number "$value" "$name" 1; main_port=$value ;;
      --main-address) main_address=$value ;;
      --jobs) whole_number "$value" "$name" 1; jobs=$value ;;
      *) die "unknown option $name$(nearest "$name" "${options[@]}"); see run.sh --help" ;;
    esac
  done
  ((stage <= stop_stage)) || die "nothing to run: --stage $stage (${stage_names[$stage]}) comes after --stop-stage $stop_stage (${stage_names[$stop_stage]})"
  [[ $num_machines == 1 || -n $main_address ]] || die "--num-machines $num_machines needs --main-address, the address of machine 0"
  ((machine_rank < num_machines)) || die "--machine-rank $machine_rank must be below --num-machines $num_machines"
  ((num_processes % num_machines == 0)) || die "--num-processes $num_processes must be a multiple of --num-machines $num_machines"
}

find_config() {
  if $mini; then
    [[ -z ${config_given:-} ]] || die "--mini chooses conf/mini.yaml; leave --config out"
    config=$recipe_dir/conf/mini.yaml
    data=${data:-$recipe_dir/data/mini}
  elif [[ -f $config ]]; then
    config=$(absolute "$config")
  elif [[ -f $recipe_dir/$config ]]; then
    config=$recipe_dir/$config
  elif [[ -f $recipe_dir/conf/${config%.yaml}.yaml ]]; then
    config=$recipe_dir/conf/${config%.yaml}.yaml
  else
    die "--config $config: no such file here or in $recipe_dir/conf; there are: $(cd "$recipe_dir/conf" && printf '%s ' *.yaml)"
  fi
}

find_python() { # the active environment, else .venv, else say what to type
  local candidate
  for candidate in "${VIRTUAL_ENV:-/none}/bin/python" "${CONDA_PREFIX:-/none}/bin/python" "$root/.venv/bin/python"; do
    if [[ -x $candidate && -x ${candidate%python}gansemble ]]; then
      python=$candidate
      return
    fi
  done
  if command -v gansemble >/dev/null; then
    python=$(command -v python3)
    return
  fi
  die "gansemble is not installed in the active environment nor in $root/.venv; type:  make -C $root install"
}

child=0
forward() { # a launcher of one process does not pass signals on, so the whole group gets them
  ((child)) && kill -TERM -- "-$child" 2>/dev/null
}

run() { # run COMMAND...: in a process group of its own; returns its exit status
  set -m
  "$@" &
  child=$!
  set +m
  trap forward TERM INT HUP
  local status=0
  wait "$child" || status=$?
  while kill -0 "$child" 2>/dev/null; do # a signal ends `wait` early; the stage is still saving its state
    status=0
    wait "$child" || status=$?
  done
  trap - TERM INT HUP
  child=0
  return "$status"
}

launcher() { # the command that starts the training processes
  if ((num_processes == 1)); then
    launch=("$python" -m gansemble)
    return
  fi
  export GANSEMBLE_PROCESSES=$num_processes
  if command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q GPU; then
    launch=("$python" -m accelerate.commands.launch --multi_gpu --num_processes "$num_processes" --num_machines "$num_machines"
      --machine_rank "$machine_rank" --main_process_ip "${main_address:-127.0.0.1}" --main_process_port "$main_port"
      --mixed_precision no --dynamo_backend no -m gansemble)
  else # `accelerate launch --cpu --num_processes 2` starts one process, so CPU runs use torch's launcher
    launch=("$python" -m torch.distributed.run --nnodes "$num_machines" --node-rank "$machine_rank"
      --nproc-per-node $((num_processes / num_machines)) --master-addr "${main_address:-127.0.0.1}" --master-port "$main_port" -m gansemble)
  fi
}

main() {
  parse "$@"
  find_config
  find_python
  local name number status launch command flags before=''
  name=$(basename "$config" .yaml)
  exp=${exp:-$recipe_dir/exp/$name}
  flags=(--exp "$exp")
  [[ -z $data ]] || flags+=(--data "$data")
  [[ -z $dump ]] || flags+=(--dump "$dump")
  $force && flags+=(--force)
  $dry_run && flags+=(--dry-run)
  if ((${#plugin_files[@]})); then
    GANSEMBLE_PLUGIN_FILES=$(IFS=:; printf '%s' "${plugin_files[*]}")
    export GANSEMBLE_PLUGIN_FILES
  fi
  cd "$recipe_dir"
  # Threads that spin while they wait are many times slower as soon as anything else runs; mini tensors need no threads.
  export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}
  if $mini; then export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}; fi
  if $mini && ! $dry_run && [[ ! -d $data ]]; then
    run "$python" -m gansemble mini "$config" --output "$data" || die "the mini corpus could not be made"
  fi
  if $dry_run; then
    run "$python" -m gansemble run "$config" "${flags[@]}" --stage "$stage" --stop-stage "$stop_stage" ${overrides[@]+"${overrides[@]}"}
    return
  fi
  for ((number = stage; number <= stop_stage; number++)); do
    launch=("$python" -m gansemble)
    command=("${stage_names[$number]}" "$config" "${flags[@]}" ${overrides[@]+"${overrides[@]}"})
    case $number in
      1 | 5) [[ -z $jobs ]] || command+=(--jobs "$jobs") ;;
      3)
        launcher
        $allow_change && command+=(--allow-change)
        $force_unlock && command+=(--force-unlock) ;;
      6) command+=(${compare[@]+"${compare[@]}"}) ;;
    esac
    status=0
    before=$(training_state)
    run "${launch[@]}" "${command[@]}" || status=$?
    if ((status)); then
      case $status in
        75) printf 'Interrupted with the state saved.\n' ;;
        129 | 130 | 143) printf '\nStage %d %s was interrupted.\n' "$number" "${stage_names[$number]}" ;;
        *) printf '\nStage %d %s failed (exit %d); its last lines are above.\n' "$number" "${stage_names[$number]}" "$status" ;;
      esac >&2
      printf 'Continue with: %s\n' "$(continuation "$number" "$status" "$@")" >&2
      exit "$status"
    fi
  done
  printf 'Done: stages %d to %d. Experiment: %s\n' "$stage" "$stop_stage" "$exp"
}

continuation() { # what to type to go on: the command from a stage on, and --force only where it would undo nothing
  local number=$1 status=$2 skip=false word
  shift 2
  printf '%q' "$recipe_dir/run.sh"
  for word in "$@"; do
    if $skip; then skip=false; continue; fi
    case $word in
      --stage) skip=true ;;
      --stage=* | --force-unlock) ;;
      --force) if keeps_force "$number" "$status"; then printf ' --force'; fi ;;
      *) printf ' %q' "$word" ;;
    esac
  done
  printf ' --stage %d' "$number"
}

keeps_force() { # a training that was begun anew is not begun anew again: its state would be set aside
  (($1 != 3)) && return 0
  (($2 == 75)) && return 1
  [[ $(training_state) == "$before" ]]
}

training_state() { # the runs set aside and the checkpoints there are
  (cd "$exp" 2>/dev/null && find previous checkpoints -mindepth 1 -maxdepth 1 2>/dev/null | sort) || true
}

main "$@"
