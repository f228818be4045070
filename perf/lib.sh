# What the scripts of this directory share; they source it. It takes the options that all of them have, builds what is measured, starts
# servers on ports that the system chooses, and calls the legs of a comparison in turns.
# shellcheck shell=bash disable=SC2034 # some variables are for the scripts

set -euo pipefail
export LC_ALL=C DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1

perf=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
server=$perf/Server/bin/Release/net10.0/KestrelNetpoll.Perf.Server
ticks_per_second=$(getconf CLK_TCK)
given=("$@")

passes=5 seconds=5 out='' scheduling='' workers='' groups=''
# In front of every server, and of every load: taskset, for instance.
launcher=() load_launcher=()
declare -A pid http1

work=$(mktemp -d)
cleanup() {
  local running
  running=$(jobs -pr)
  # shellcheck disable=SC2086 # one word for each process
  [ -z "$running" ] || kill $running 2>/dev/null || true
  for _ in $(seq 50); do
    running=$(jobs -pr)
    [ -n "$running" ] || break
    sleep 0.1
  done
  # shellcheck disable=SC2086
  [ -z "$running" ] || kill -KILL $running 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

die() { echo "$*" >&2; exit 1; }

common_option() { # common_option NAME [VALUE]
  case $1 in
    --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --passes | --seconds | --workers | --groups)
      [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || { echo "$1 needs a number" >&2; exit 2; }
      printf -v "${1#--}" %s "$2" ;;
    --out | --scheduling)
      [ $# -ge 2 ] || { echo "$1 needs a value" >&2; exit 2; }
      printf -v "${1#--}" %s "$2" ;;
    *) echo "unknown option: $1 (see --help)" >&2; exit 2 ;;
  esac
}

require() { # require TOOL...
  local tool package
  for tool in "$@"; do
    case $tool in cc) package='gcc libc6-dev' ;; taskset) package=util-linux ;; *) package=$tool ;; esac
    command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install $package" >&2; exit 2; }
  done
}

# Everything that is reported goes to the terminal and, with --out, into a file, which begins with where and how it was made.
report() { tee -a "${out:-/dev/null}"; }

begin_report() {
  [ -n "$out" ] || return 0
  local i shown=()
  for ((i = 0; i < ${#given[@]}; i++)); do
    if [ "${given[i]}" = --out ]; then i=$((i + 1)); else shown+=("$(printf %q "${given[i]}")"); fi
  done
  {
    echo "perf/$(basename "$0")${shown[*]:+ ${shown[*]}}"
    echo "commit $(git -C "$perf" describe --always --dirty 2>/dev/null || echo unknown), $(date -u +%Y-%m-%dT%H:%MZ)"
    echo "Linux $(uname -r), $(nproc) x $(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1), shared by servers and load generators"
    echo ".NET SDK $(cd "$perf" && dotnet --version)"
  } >"$out"
}

build_server() { dotnet build -c Release -v quiet --nologo "$perf/Server" >"$work/build.log" || { cat "$work/build.log" >&2; exit 1; }; }

build_c() { cc -O2 -Wall -Wextra -Werror -o "$work/$(basename "$1" .c)" "$perf/$1"; } # build_c FILE

# What a readiness line says of KEY.
ready_field() { sed -nE "s/^Ready: .*\b$2=([^ ]+).*/\1/p" "$work/$1.log"; } # ready_field LEG KEY

start() { # start LEG TRANSPORT COMMAND...
  local leg=$1 transport=$2
  shift 2
  "${launcher[@]}" "$@" >"$work/$leg.log" 2>&1 &
  pid[$leg]=$!
  for _ in $(seq 300); do
    grep -q '^Ready: ' "$work/$leg.log" && break
    kill -0 "${pid[$leg]}" 2>/dev/null || break
    sleep 0.1
  done
  # What really happened, not what was asked for.
  if [ "$(ready_field "$leg" transport)" != "$transport" ] || [ "$(ready_field "$leg" pid)" != "${pid[$leg]}" ]; then
    echo "the $leg server did not start:" >&2
    cat "$work/$leg.log" >&2
    exit 1
  fi
  http1[$leg]=$(ready_field "$leg" http1)
}

start_server() { # start_server LEG TRANSPORT [ARGUMENTS...]; the options for netpoll are added
  local leg=$1 transport=$2 answer arguments=()
  shift 2
  if [ "$transport" = netpoll ]; then
    arguments=(${scheduling:+--scheduling "$scheduling"} ${workers:+--workers "$workers"} ${groups:+--groups "$groups"})
  fi
  start "$leg" "$transport" "$server" --transport "$transport" "${arguments[@]}" "$@"
  if [ -n "${http1[$leg]}" ]; then
    answer=$(curl -fsS "http://127.0.0.1:${http1[$leg]}/transport")
    case $answer in *"\"$transport\""*) ;; *) die "the $leg server answers on another transport: $answer" ;; esac
  fi
}

# User and system time of a process so far, in ticks.
cpu_ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }

# A row of the raw results: LEG PASS VALUES...
record() { echo "$*" | tee -a "$work/results" | report; }

# Calls FUNCTION LEG PASS for every leg, pass after pass. All servers run all the time, so that noise of the machine meets all of them; the
# order changes from pass to pass, and pass 0 is thrown away.
interleave() { # interleave FUNCTION LEG...
  local function=$1 pass i legs
  shift
  legs=("$@")
  : >"$work/results"
  for pass in $(seq 0 "$passes"); do
    if [ "$pass" = 1 ]; then : >"$work/results"; fi
    for i in "${!legs[@]}"; do "$function" "${legs[(i + pass) % ${#legs[@]}]}" "$pass"; done
  done
}

statistics() { # statistics LEG COLUMN → median min max
  awk -v leg="$1" -v c="$2" '$1 == leg { print $c }' "$work/results" | sort -g |
    awk '{ v[NR] = $1 } END { if (NR) print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2, v[1], v[NR]; else print "nan nan nan" }'
}

cell() { # cell LEG COLUMN FORMAT [UNIT] → "median unit (min-max)"
  local median min max
  read -r median min max < <(statistics "$1" "$2")
  # shellcheck disable=SC2059 # the format is the caller's
  printf "$3%s ($3-$3)" "$median" "${4:+ $4}" "$min" "$max"
}

ratio() { # ratio LEG BASE COLUMN → of the medians
  awk -v a="$(statistics "$1" "$3")" -v b="$(statistics "$2" "$3")" \
    'BEGIN {
      split(a, x); split(b, y)
      if (!(y[1] > 0)) { printf "-"; exit }
      r = x[1] / y[1]
      printf r < 0.1 ? "%.2g" : r < 100 ? "%.2f" : "%.0f", r
    }'
}

# The number of KEY in the line of GROUP of what a load program printed.
json_number() { # json_number FILE GROUP KEY
  awk -v group="\"$2\":" -v key="\"$3\": " 'index($0, group) && (at = index($0, key)) { print substr($0, at + length(key)) + 0 }' "$1"
}

# A leg of plain load. Records requests/s, server CPU in µs per request, and p99 in µs.
wrk_columns='requests/s cpu-us/request p99-us'
wrk_leg() { # wrk_leg LEG PASS URL_PATH CONNECTIONS [ARGUMENTS FOR wrk...]
  local leg=$1 pass=$2 path=$3 connections=$4 before after output
  shift 4
  before=$(cpu_ticks "${pid[$leg]}")
  output=$("${load_launcher[@]}" wrk -t1 -c"$connections" -d"${seconds}s" --latency "$@" "http://127.0.0.1:${http1[$leg]}$path")
  after=$(cpu_ticks "${pid[$leg]}")
  if grep -qE 'Socket errors|Non-2xx' <<<"$output"; then die "errors from $leg: $output"; fi
  record "$leg" "$pass" "$(awk -v ticks=$((after - before)) -v hz="$ticks_per_second" '
    /^Requests\/sec/ { rate = $2 }
    /requests in/ { count = $1 }
    $1 == "99%" { p99 = $2 * ($2 ~ /us$/ ? 1 : $2 ~ /ms$/ ? 1000 : 1000000) }
    END { printf "%.0f %.3f %.0f", rate, ticks / hz * 1e6 / count, p99 }' <<<"$output")"
}

# The table of such legs; the last line holds the ratios of LEG to BASE for each LEG but the first, which is the base.
wrk_table() { # wrk_table TITLE BASE LEG...
  local title=$1 base=$2 leg
  shift 2
  {
    echo
    printf '| %s, %s passes of %s s | requests/s (median, range) | server CPU per request | p99 |\n|---|---|---|---|\n' \
      "$title" "$passes" "$seconds"
    for leg in "$base" "$@"; do
      printf '| %s | %s | %s | %s |\n' \
        "$leg" "$(cell "$leg" 3 %.0f)" "$(cell "$leg" 4 %.2f µs)" "$(cell "$leg" 5 %.0f µs)"
    done
    for leg in "$@"; do
      printf '| **%s / %s** | **%s** | **%s** | **%s** |\n' \
        "$leg" "$base" "$(ratio "$leg" "$base" 3)" "$(ratio "$leg" "$base" 4)" "$(ratio "$leg" "$base" 5)"
    done
  } | report
}
