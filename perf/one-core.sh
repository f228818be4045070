#!/usr/bin/env bash
# Compares the transports where there is one processor: each server is pinned to the same one, the load generator to another. .NET sees one
# processor then, and netpoll starts one worker: nobody else can look after the sockets while a handler runs.
#
#   perf/one-core.sh [--connections 64] [--seconds 5] [--passes 5] [--path /plaintext] [--scheduling Workers] [--workers N] [--groups N]
#                    [--out FILE]
#
# Needs wrk, curl and taskset, and two processors.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

connections=64 path=/plaintext
while [ $# -gt 0 ]; do
  case $1 in
    --connections) connections=$2 ;;
    --path) path=$2 ;;
    *) common_option "$@" ;;
  esac
  shift 2
done
require wrk curl taskset

# "0,2-4" → 0 2 3 4
mapfile -t processors < <(taskset -pc $$ | sed 's/.*: //' | tr ',' '\n' | awk -F- '{ for (i = $1; i <= (NF > 1 ? $2 : $1); i++) print i }')
[ "${#processors[@]}" -ge 2 ] || die "the servers and the load generator need a processor each; there is ${#processors[@]}"
launcher=(taskset -c "${processors[0]}")
load_launcher=(taskset -c "${processors[1]}")

build_server
for transport in sockets netpoll; do
  start_server $transport $transport
  seen=$(curl -fsS "http://127.0.0.1:${http1[$transport]}/stats")
  case $seen in *'"processors":1,'*) ;; *) die "the $transport server sees more than one processor: $seen" ;; esac
done

leg() { wrk_leg "$1" "$2" "$path" "$connections"; }

begin_report
echo "# transport pass $wrk_columns" | report
interleave leg sockets netpoll
wrk_table "servers on one core, wrk -t1 -c$connections $path" sockets netpoll
