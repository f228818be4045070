#!/usr/bin/env bash
# Compares the netpoll transport with Kestrel's own Sockets transport: same app, same load, interleaved in one run.
# Prints the median and the range of requests per second and of server CPU per request, and the ratios of the medians.
#
#   perf/compare.sh [--connections 64] [--seconds 5] [--passes 5] [--path /] [--script FILE.lua]
#
# Needs wrk and curl. The first pass is thrown away, the order of the two legs changes from pass to pass, and both servers run all
# the time, so that noise of the machine meets both.
set -euo pipefail

connections=64 seconds=5 passes=5 path=/ script=
while [ $# -gt 0 ]; do
  case $1 in
    --connections) connections=$2 ;;
    --seconds) seconds=$2 ;;
    --passes) passes=$2 ;;
    --path) path=$2 ;;
    --script) script=$2 ;;
    *) echo "unknown option: $1 (see the head of this file)" >&2; exit 2 ;;
  esac
  shift 2
done
for tool in wrk curl; do
  command -v "$tool" >/dev/null || { echo "$tool is missing: apt-get install $tool" >&2; exit 2; }
done

root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
pids=()
cleanup() { for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait 2>/dev/null || true; rm -rf "$work"; }
trap cleanup EXIT

dotnet build -c Release -v quiet --nologo "$root/samples/Hello" >"$work/build.log" || { cat "$work/build.log" >&2; exit 1; }
server="$root/samples/Hello/bin/Release/net10.0/Hello"

declare -A pid url
for transport in sockets netpoll; do
  # Logging off: a request costs more than it should as soon as any logger might want to know of it.
  "$server" --transport "$transport" --urls http://127.0.0.1:0 --Logging:LogLevel:Default None >"$work/$transport.log" 2>&1 &
  pid[$transport]=$!
  pids+=($!)
  for _ in $(seq 300); do
    url[$transport]=$(grep -oE 'http://127\.0\.0\.1:[0-9]+' "$work/$transport.log" | head -n 1 || true)
    [ -n "${url[$transport]}" ] && break
    sleep 0.1
  done
  [ -n "${url[$transport]}" ] || { echo "the $transport server did not start:" >&2; cat "$work/$transport.log" >&2; exit 1; }
  answer=$(curl -fsS "${url[$transport]}/transport")
  case $answer in *"\"$transport\""*) ;; *) echo "the $transport server answers on another transport: $answer" >&2; exit 1 ;; esac
done

cpu_ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }
ticks_per_second=$(getconf CLK_TCK)

leg() { # leg TRANSPORT PASS
  local before after output rate count p99
  before=$(cpu_ticks "${pid[$1]}")
  output=$(wrk -t1 -c"$connections" -d"${seconds}s" --latency ${script:+-s "$script"} "${url[$1]}$path")
  after=$(cpu_ticks "${pid[$1]}")
  if grep -qE 'Socket errors|Non-2xx' <<<"$output"; then echo "errors from $1:" >&2; echo "$output" >&2; exit 1; fi
  rate=$(awk '/^Requests\/sec/ { print $2 }' <<<"$output")
  count=$(awk '/requests in/ { print $1 }' <<<"$output")
  p99=$(awk '$1 == "99%" { v = $2; if (v ~ /us$/) v += 0; else if (v ~ /ms$/) v = v * 1000; else v = v * 1000000; print v }' <<<"$output")
  awk -v t="$1" -v p="$2" -v r="$rate" -v n="$count" -v c=$((after - before)) -v hz="$ticks_per_second" -v l="$p99" \
    'BEGIN { printf "%s %d %.0f %.3f %.0f\n", t, p, r, c / hz * 1e6 / n, l }' | tee -a "$work/results"
}

echo "# transport pass requests/s cpu-us/request p99-us"
for pass in $(seq 0 "$passes"); do
  [ "$pass" = 1 ] && : >"$work/results"
  if [ $((pass % 2)) = 0 ]; then leg sockets "$pass"; leg netpoll "$pass"; else leg netpoll "$pass"; leg sockets "$pass"; fi
done

statistics() { # statistics TRANSPORT COLUMN → median min max
  awk -v t="$1" -v c="$2" '$1 == t { print $c }' "$work/results" | sort -n |
    awk '{ v[NR] = $1 } END { m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2; print m, v[1], v[NR] }'
}

echo
printf '| wrk -t1 -c%s %s, %s passes of %s s | requests/s (median, range) | server CPU per request | p99 |\n|---|---|---|---|\n' \
  "$connections" "$path" "$passes" "$seconds"
for transport in sockets netpoll; do
  read -r rate rate_min rate_max < <(statistics $transport 3)
  read -r cpu cpu_min cpu_max < <(statistics $transport 4)
  read -r p99 p99_min p99_max < <(statistics $transport 5)
  printf '| %s | %.0f (%.0f-%.0f) | %.2f µs (%.2f-%.2f) | %.0f µs (%.0f-%.0f) |\n' \
    $transport "$rate" "$rate_min" "$rate_max" "$cpu" "$cpu_min" "$cpu_max" "$p99" "$p99_min" "$p99_max"
  eval "${transport}_rate=$rate ${transport}_cpu=$cpu ${transport}_p99=$p99"
done
# shellcheck disable=SC2154 # set by the eval above
awk -v a="$netpoll_rate" -v b="$sockets_rate" -v c="$netpoll_cpu" -v d="$sockets_cpu" -v e="$netpoll_p99" -v f="$sockets_p99" \
  'BEGIN { printf "| **netpoll / sockets** | **%.2f** | **%.2f** | **%.2f** |\n", a / b, c / d, e / f }'
