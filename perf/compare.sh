#!/usr/bin/env bash
# Compares the netpoll transport with Kestrel's own Sockets transport: same app, same load, interleaved in one run.
# Prints the median and the range of requests per second and of server CPU per request, and the ratios of the medians.
#
#   perf/compare.sh [--connections 64] [--seconds 5] [--passes 5] [--path /plaintext] [--script FILE.lua]
#                   [--scheduling Workers] [--workers N] [--groups N] [--out FILE]
#
# Needs wrk and curl. The first pass is thrown away, the order of the two legs changes from pass to pass, and both servers run all
# the time, so that noise of the machine meets both.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

connections=64 path=/plaintext script=''
while [ $# -gt 0 ]; do
  case $1 in
    --connections) connections=$2 ;;
    --path) path=$2 ;;
    --script) script=$2 ;;
    *) common_option "$@" ;;
  esac
  shift 2
done
require wrk curl
build_server
for transport in sockets netpoll; do start_server $transport $transport; done

leg() { wrk_leg "$1" "$2" "$path" "$connections" ${script:+-s "$script"}; }

begin_report
echo "# transport pass $wrk_columns" | report
interleave leg sockets netpoll
wrk_table "wrk -t1 -c$connections $path" sockets netpoll
