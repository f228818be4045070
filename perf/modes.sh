#!/usr/bin/env bash
# What it costs where the application's code runs: netpoll in each of its modes, and Sockets as the control, on a route that awaits nothing
# and on one that awaits three times something other than the connection.
#
#   perf/modes.sh [--modes "Workers WorkersOnly ThreadPool"] [--paths "/plaintext /awaits"] [--connections 64] [--seconds 5] [--passes 5]
#                 [--workers N] [--groups N] [--out FILE]
#
# Needs wrk and curl. Ratios are to the first mode.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

connections=64 modes='Workers WorkersOnly ThreadPool' paths='/plaintext /awaits'
while [ $# -gt 0 ]; do
  case $1 in
    --connections) connections=$2 ;;
    --modes) modes=$2 ;;
    --paths) paths=$2 ;;
    --scheduling) echo "this script takes --modes" >&2; exit 2 ;;
    *) common_option "$@" ;;
  esac
  shift 2
done
require wrk curl
build_server

read -ra legs <<<"$modes"
for mode in "${legs[@]}"; do
  scheduling=$mode
  start_server "$mode" netpoll
done
start_server sockets sockets
legs+=(sockets)

leg() { wrk_leg "$1" "$2" "$path" "$connections"; }

begin_report
for path in $paths; do
  echo "# $path: mode pass $wrk_columns" | report
  interleave leg "${legs[@]}"
  wrk_table "wrk -t1 -c$connections $path" "${legs[@]}"
  echo | report
done
