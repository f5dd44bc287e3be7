#!/usr/bin/env bash
# Runs a training or a sweep on all hosts of a Cloud TPU. Needs gcloud, logged in; nothing is remembered on this machine.
set -euo pipefail

usage() {
  cat <<'HELP'
scripts/tpu.sh ACTION --name=NAME --zone=ZONE [FLAGS] [-- COMMAND...]

  create     asks for a TPU (a queued resource, spot) and waits until it is there
  setup      copies the last commit to every host and installs it: Python 3.12 by uv, the extras tpu and gcs
  run        starts COMMAND on every host, where it goes on without this machine; its --workdir must be on gs://
  status     the state of the queued resource, and what every host does
  logs       what COMMAND said
  delete     gives the TPU back
  babysit    all of this: creates the TPU, again whenever it was preempted, until COMMAND is done; then deletes it.
             Where a babysitter was stopped, the same command takes over; where all was done at this commit, it ends at once.

  --name=NAME         of the queued resource and of its TPU
  --zone=ZONE         such as us-west4-a
  --project=PROJECT   gcloud's own default if not given
  --type=TYPE         of create, babysit: v5e-16, v6e-16, v5p-16, v4-16, v3-32, v2-32; any number that gcloud has
  --runtime=IMAGE     of create, babysit: the hosts' image; by default that of TYPE
  --on_demand         of create, babysit: not spot, so never preempted
  --create_flag=FLAG  of create, babysit: one more of gcloud's flags, such as --service-account=WHO; may be repeated
  --every=SECONDS     of create, babysit: how often to look, 60 if not given
  --data=gs://FOLDER  of setup, babysit: prepared TFDS sets that each host is to copy to its disk, as ~/tensorflow_datasets
  --retries=N         of babysit: how often in a row creating, setting up or COMMAND may fail, 5 if not given
  --keep              of babysit: leaves the TPU there at the end
  --worker=N          of logs: the host, 0 if not given; or all
  --lines=N           of logs: the last N lines, 50 if not given
  --follow            of logs: and what comes
  --dry_run           prints each gcloud command and calls none; of babysit, those of a run that nothing disturbs

babysit goes by how COMMAND ended: 0 is done; 75 was told to stop, and goes on; 2 (bad input) and 3 (numbers that are not
finite) end the babysitter with the same code; after anything else COMMAND is started again, --retries times in a row.
A TPU that somebody else deletes ends the babysitter with 75.
HELP
}

fail() {
  echo "scripts/tpu.sh: $1" >&2
  exit 2
}

say() {
  $dry_run || echo "$(date +%H:%M:%S) $*" >&2
}

quoted() {  # the words as a shell would read them
  local word line=
  for word in "$@"; do
    case $word in
      '' | *[!A-Za-z0-9_./:=@,+%-]*) word="'$(printf '%s' "$word" | sed "s/'/'\\\\''/g")'" ;;
    esac
    line+="${line:+ }$word"
  done
  printf '%s\n' "$line"
}

pause() {
  $dry_run || sleep "$every"
}

# the cloud

call() {  # gcloud WORDS...: all that is asked of the cloud goes through here
  set -- "$@" ${project:+"--project=$project"}
  if $dry_run; then
    quoted gcloud "$@" >&3
    pretend "$*"
  else
    gcloud "$@"
  fi
}

pretend() {  # the answers of a cloud in which all goes well at once
  case $1 in
    *" queued-resources describe "*) cat "$scratch/tpu" 2>/dev/null || { echo NOT_FOUND && return 1; } ;;
    *" queued-resources create "*) echo ACTIVE >"$scratch/tpu" ;;
    *"tpu_host.sh state"*) echo "canon: $(cat "$scratch/hosts" 2>/dev/null || echo bare)" ;;
    *"tpu_host.sh start"*) echo "ended 0" >"$scratch/hosts" ;;
    *"rev-parse HEAD"*) git -C "$root" rev-parse HEAD ;;
    *"storage ls"*) return 1 ;;
  esac
}

queued_resources() {  # VERB FLAGS...
  call compute tpus queued-resources "$1" "$name" --zone="$zone" "${@:2}"
}

on_hosts() {  # WORKER COMMAND: the code is the first that is not 0, 255 where a host does not answer
  call compute tpus tpu-vm ssh "$name" --zone="$zone" --worker="$1" --quiet \
    --ssh-flag=-oConnectTimeout=30 --ssh-flag=-oServerAliveInterval=30 --command "$2"
}

look() {  # sets `state`: MISSING, UNKNOWN or gcloud's word
  local answer before=${state:-}
  if answer=$(queued_resources describe --format='value(state.state)' 2>&1); then
    state=$(tail -n 1 <<<"$answer")
  elif grep -qi 'not.found' <<<"$answer"; then
    state=MISSING
  else
    state=UNKNOWN
    say "gcloud does not say how $name is: $(tail -n 1 <<<"$answer")"
  fi
  [ "$state" = "$before" ] || say "$name: $state"
}

request() {
  local spot=--spot
  ! $on_demand || spot=
  queued_resources create --node-id="$name" --accelerator-type="$accelerator" --runtime-version="$runtime" \
    ${spot:+"$spot"} ${create_flags[@]+"${create_flags[@]}"}
}

give_back() {
  there=false
  queued_resources delete --force --quiet
}

# its hosts

setup() {  # a git bundle: hosts need no access to the repository, and results still name the commit
  local bundle changed
  bundle=$(git -C "$root" rev-parse --absolute-git-dir)/canon.bundle
  changed=$(git -C "$root" status --porcelain --untracked-files=no | wc -l)
  [ "$changed" -eq 0 ] || say "setup takes the last commit; $((changed)) changed files are not in it"
  $dry_run || git -C "$root" bundle create --quiet "$bundle" HEAD
  call compute tpus tpu-vm scp "$bundle" "$name:canon.bundle" --zone="$zone" --worker=all --quiet &&
    on_hosts all "git init -q canon && cd canon && git fetch -q ../canon.bundle HEAD && git checkout -qf FETCH_HEAD && \
scripts/tpu_host.sh install ${data:+$(quoted "$data")}"
}

start() {
  on_hosts all "canon/scripts/tpu_host.sh start $(quoted "${command[@]}")"
}

ask_hosts() {  # sets `answers`, a line a host: bare (nothing installed), idle, running, ended CODE. Fails where one is silent
  answers=$(on_hosts all "canon/scripts/tpu_host.sh state 2>/dev/null || echo canon: bare" 2>"$scratch/errors") || return 1
  answers=$(sed -n 's/^canon: //p' <<<"$answers")
  [ -n "$answers" ]
}

logs() {  # WORKER LINES [follow]
  on_hosts "$1" "canon/scripts/tpu_host.sh log $2 ${3:-}"
}

# what goes on for days

wait_for_tpu() {
  while look; do
    case $state in
      ACTIVE) return ;;
      MISSING | FAILED | SUSPEND* | DELETING) return 1 ;;
    esac
    pause
  done
}

finish() {  # CODE WHY
  say "$2"
  $keep || [ "$state" = MISSING ] || give_back || say "$name could not be deleted: scripts/tpu.sh delete"
  exit "$1"
}

failed() {  # WHAT: gives up when it is one too many in a row
  failures=$((failures + 1))
  [ "$failures" -le "$retries" ] || finish 1 "$1; giving up after $retries retries"
  say "$1; retry $failures of $retries"
}

babysit() {
  local file
  failures=0 crashes=0 silent=0 hosts= there=false
  trap 'say "no longer watching; the hosts go on. The same command takes over, scripts/tpu.sh delete ends it"; exit 130' INT TERM
  while look; do
    case $state in MISSING | UNKNOWN | DELETING) ;; *) there=true ;; esac
    case $state in
      MISSING)
        ! $there || finish 75 "$name was deleted, and not by this babysitter; the same command asks for it again"
        file=$(marker "$(git -C "$root" rev-parse HEAD)")
        ! call storage ls "$file" >/dev/null 2>&1 || finish 0 "done before: $file is there"
        request || failed "no TPU could be asked for"
        ;;
      FAILED)
        give_back || say "the failed request could not be deleted"
        failed "the request for a TPU failed"
        ;;
      SUSPENDED)  # preempted: a queued resource does not come back by itself
        crashes=0 hosts=
        give_back || failed "a preempted TPU could not be deleted"
        ;;
      ACTIVE) attend ;;
    esac
    pause
  done
}

marker() {  # COMMIT: the file that is there when COMMAND is done: a training writes it last; for a sweep and the like we do
  case " ${command[*]} " in
    *" -m train "*) echo "$workdir/result.json" ;;
    *) echo "$workdir/done-$(git hash-object --stdin <<<"$1 $(quoted "${command[@]}")")" ;;
  esac
}

mark() {  # with the commit that the hosts have, which may be older than ours
  local commit
  case $(marker any) in */result.json) return ;; esac
  commit=$(on_hosts 0 "git -C canon rev-parse HEAD" | tail -n 1) || return 1
  call storage cp - "$(marker "$commit")" <<<"$commit $(quoted "${command[@]}")"
}

attend() {
  local before
  if ! ask_hosts; then
    silent=$((silent + 1))
    say "a host does not answer: $(tail -n 1 "$scratch/errors")"
    if [ "$silent" -gt "$retries" ]; then
      silent=0
      give_back || true
      failed "hosts did not answer, so the TPU was given back"
    fi
    return
  fi
  silent=0
  before=$hosts
  hosts=$(sort <<<"$answers" | uniq -c | sed 's/^ *//' | paste -sd, -)
  [ "$hosts" = "$before" ] || say "hosts: $hosts"
  case $answers in
    *bare*) { setup && start; } || failed "the hosts could not be set up" ;;
    *idle*) start || failed "the hosts could not be started" ;;
    *"ended 2"* | *"ended 3"*) judge ;;
    *running*) failures=0 ;;
    *) judge ;;
  esac
}

judge() {  # what to do now that COMMAND ended
  local codes
  codes=$(sed -n 's/^ended //p' <<<"$answers" | sort -nu | tr '\n' ' ')
  case " $codes" in
    " 0 ")
      mark || say "$workdir could not be told that this is done; started again, the babysitter would ask for a TPU once more"
      finish 0 "done: $(quoted "${command[@]}")"
      ;;
    *" 2 "* | *" 3 "*)
      logs all 20 || true
      codes=$(tr ' ' '\n' <<<"$codes" | grep -x '[23]' | head -n 1)
      finish "$codes" "COMMAND ended with $codes, which starting it again does not mend; its last words are above"
      ;;
    *" 75 "*) crashes=0 && say "COMMAND was told to stop; it goes on" ;;
    *)
      crashes=$((crashes + 1))
      if [ "$crashes" -gt "$retries" ]; then
        logs all 20 || true
        finish 1 "COMMAND ended with ${codes% }, $crashes times in a row: giving up; its last words are above"
      fi
      say "COMMAND ended with ${codes% }; retry $crashes of $retries"
      ;;
  esac
  start || failed "the hosts could not be started"
}

# the command line

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
name='' zone='' project='' type='' runtime='' data='' worker=0 lines=50 follow='' every=60 retries=5
on_demand=false keep=false dry_run=false create_flags=() command=() given=''

case ${1:-} in
  create | babysit | setup | run | status | logs | delete) action=$1 ;;
  --help | -h) usage && exit ;;
  *) fail "unknown action '${1:-}'; choose from create, setup, run, status, logs, delete, babysit; --help says more" ;;
esac
shift
while [ $# -gt 0 ]; do
  flag=${1%%=*} value=${1#*=}
  case $1 in
    --) command=("${@:2}") && break ;;
    --help | -h) usage && exit ;;
    --on_demand) on_demand=true ;;
    --keep) keep=true ;;
    --follow) follow=follow ;;
    --dry_run) dry_run=true ;;
    --name=?* | --zone=?* | --project=?* | --type=?* | --runtime=?* | --data=?* | --worker=?* | --lines=?* | --every=?* | --retries=?*)
      printf -v "${flag#--}" %s "$value"
      ;;
    --create_flag=?*) create_flags+=("$value") ;;
    *) fail "unknown flag '$1'; --help lists them, and COMMAND comes after --" ;;
  esac
  given+=" $flag"
  shift
done

common="--name --zone --project --dry_run"
case $action in
  create) flags="--type --runtime --on_demand --create_flag --every" ;;
  setup) flags="--data" ;;
  babysit) flags="--type --runtime --on_demand --create_flag --every --data --retries --keep" ;;
  logs) flags="--worker --lines --follow" ;;
  *) flags= ;;
esac
for flag in $given; do
  case " $common $flags " in *" $flag "*) ;; *) fail "$flag is no flag of $action; it has ${common}${flags:+ $flags}" ;; esac
done
[ -n "$name" ] || fail "--name is missing: how the TPU is to be called"
[ -n "$zone" ] || fail "--zone is missing, such as --zone=us-west4-a"
for flag in every retries lines; do
  case ${!flag} in *[!0-9]*) fail "--$flag: '${!flag}' is not a whole number" ;; esac
done
case $worker in all) ;; *[!0-9]*) fail "--worker: '$worker' is neither a number nor all" ;; esac
case $data in '' | gs://?*) ;; *) fail "--data: '$data' is not on gs://, where hosts can read it" ;; esac

case $action in
  create | babysit)
    case $type in
      v5e-[1-9]* | v5litepod-[1-9]*) accelerator=v5litepod-${type#*-} image=v2-alpha-tpuv5-lite ;;
      v6e-[1-9]*) accelerator=$type image=v2-alpha-tpuv6e ;;
      v5p-[1-9]*) accelerator=$type image=v2-alpha-tpuv5 ;;
      v[234]-[1-9]*) accelerator=$type image=tpu-ubuntu2204-base ;;
      '') fail "--type is missing, such as --type=v5e-16" ;;
      *) fail "--type: unknown '$type'; choose from v2, v3, v4, v5e, v5p and v6e, with a number, such as v5e-16 (TPU7x has no queued resources)" ;;
    esac
    runtime=${runtime:-$image}
    ;;
esac
case $action in
  run | babysit)
    [ ${#command[@]} -gt 0 ] || fail "the command is missing: -- python -m train --config=... --workdir=gs://BUCKET/FOLDER"
    workdir=
    for word in "${command[@]}"; do
      case $word in --workdir=*) workdir=${word#--workdir=} ;; esac
    done
    case $workdir in
      gs://?*) workdir=${workdir%/} ;;
      *) fail "the command needs --workdir=gs://BUCKET/FOLDER: the hosts' own disks go with the TPU" ;;
    esac
    ;;
  *) [ ${#command[@]} -eq 0 ] || fail "$action takes no command" ;;
esac
case $action in
  setup | babysit)
    shallow=$(git -C "$root" rev-parse --is-shallow-repository 2>/dev/null) || fail "$root is no git checkout; setup copies a commit"
    [ "$shallow" = false ] || fail "$root is a shallow clone, which git cannot bundle; git fetch --unshallow"
    ;;
esac
$dry_run || command -v gcloud >/dev/null || fail "gcloud is not installed, or not on PATH"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
exec 3>&1
case $action in create | babysit) ;; *) echo ACTIVE >"$scratch/tpu" ;; esac

case $action in
  create)
    request || { say "no TPU could be asked for" && exit 1; }
    wait_for_tpu || { say "$name does not come; scripts/tpu.sh delete, then create it again" && exit 1; }
    ;;
  setup) setup ;;
  run) start ;;
  status)
    look
    [ "$state" != ACTIVE ] || ask_hosts || answers="a host does not answer"
    $dry_run || printf '%s\n' "$name: $state" ${answers:+"$answers"}
    ;;
  logs) logs "$worker" "$lines" "$follow" ;;
  delete) give_back ;;
  babysit) babysit ;;
esac
