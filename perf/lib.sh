# What the scripts of this directory share; they source it. It takes the options that all of them have, compiles C programs, calls the legs
# of a comparison in turns, and writes down what they give.
# shellcheck shell=bash disable=SC2034 # some variables are for the scripts

set -euo pipefail
export LC_ALL=C DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1

perf=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ticks_per_second=$(getconf CLK_TCK)
given=("$@")

passes=5 out=''

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
    --passes)
      [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || { echo "$1 needs a number" >&2; exit 2; }
      passes=$2 ;;
    --out)
      [ $# -ge 2 ] || { echo "$1 needs a value" >&2; exit 2; }
      out=$2 ;;
    *) echo "unknown option: $1 (see --help)" >&2; exit 2 ;;
  esac
}

require() { # require TOOL...
  local tool package
  for tool in "$@"; do
    case $tool in cc) package='gcc libc6-dev' ;; *) package=$tool ;; esac
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

build_c() { cc -O2 -Wall -Wextra -Werror -o "$work/$(basename "$1" .c)" "$perf/$1"; } # build_c FILE

# User and system time of a process so far, in ticks.
cpu_ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }

# A row of the raw results: LEG PASS VALUES...
record() { echo "$*" | tee -a "$work/results" | report; }

# Calls FUNCTION LEG PASS for every leg, pass after pass, so that noise of the machine meets all of them; the order changes from pass to pass,
# and pass 0 is thrown away.
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
