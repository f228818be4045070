#!/usr/bin/env bash
# The transports without HTTP, beside the floor: an echo of 64-byte messages by a C program on epoll that can do nothing else (epoll), and by a
# connection handler on each transport.
#
#   perf/echo.sh [--connections 64] [--size 64] [--seconds 5] [--passes 5] [--workers N] [--groups N] [--scheduling Workers] [--out FILE]
#
# Needs cc. The load generator is one thread, and so is the floor: compare CPU per round trip first.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

connections=64 size=64
while [ $# -gt 0 ]; do
  case $1 in
    --connections) connections=$2 ;;
    --size) size=$2 ;;
    *) common_option "$@" ;;
  esac
  shift 2
done
require cc curl
build_server
build_c echo/epoll_echo.c
build_c echo/echo_load.c
start epoll epoll "$work/epoll_echo"
for transport in sockets netpoll; do start_server $transport $transport --echo-port 0; done

leg() {
  local leg=$1 pass=$2 before after json=$work/echo.json
  before=$(cpu_ticks "${pid[$leg]}")
  "$work/echo_load" --url "127.0.0.1:${echo_port[$leg]}" --connections "$connections" --size "$size" --seconds "$seconds" >"$json" ||
    die "errors from $leg"
  after=$(cpu_ticks "${pid[$leg]}")
  record "$leg" "$pass" "$(awk -v rate="$(json_number "$json" echo rate)" -v count="$(json_number "$json" echo requests)" \
    -v p50="$(json_number "$json" echo p50_us)" -v p99="$(json_number "$json" echo p99_us)" \
    -v ticks=$((after - before)) -v hz="$ticks_per_second" \
    'BEGIN { printf "%.0f %.3f %.0f %.0f", rate, ticks / hz * 1e6 / count, p50, p99 }')"
}

begin_report
echo "# leg pass round-trips/s cpu-us/round-trip p50-us p99-us" | report
interleave leg epoll sockets netpoll
{
  echo
  printf '| echo, %s connections of %s bytes, %s passes of %s s | round trips/s (median, range) | server CPU per round trip | p50 | p99 |\n' \
    "$connections" "$size" "$passes" "$seconds"
  printf '|---|---|---|---|---|\n'
  for leg in epoll sockets netpoll; do
    printf '| %s | %s | %s | %s | %s |\n' \
      $leg "$(cell $leg 3 %.0f)" "$(cell $leg 4 %.2f µs)" "$(cell $leg 5 %.0f µs)" "$(cell $leg 6 %.0f µs)"
  done
  for pair in 'netpoll sockets' 'netpoll epoll' 'sockets epoll'; do
    read -r leg base <<<"$pair"
    printf '| **%s / %s** | **%s** | **%s** | **%s** | **%s** |\n' "$leg" "$base" \
      "$(ratio "$leg" "$base" 3)" "$(ratio "$leg" "$base" 4)" "$(ratio "$leg" "$base" 5)" "$(ratio "$leg" "$base" 6)"
  done
} | report
