#!/usr/bin/env bash
# What handlers that compute do to all others: 4 clients on a route that computes for 5 ms, 8 clients on a fast one, and a new connection every
# 50 ms.
#
#   perf/cpu-bound.sh [--clients 4] [--route /spin/5] [--seconds 8] [--passes 3] [--scheduling Workers] [--workers N] [--groups N] [--out FILE]
#
# Needs cc and curl. Read the fast rate and the rate of the computing clients together: what one gets, the other does not.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

passes=3 seconds=8 clients=4 route=/spin/5
while [ $# -gt 0 ]; do
  case $1 in
    --clients) clients=$2 ;;
    --route) route=$2 ;;
    *) common_option "$@" ;;
  esac
  shift 2
done
require cc curl
build_server
build_c load/blockingmix.c
for transport in sockets netpoll; do start_server $transport $transport; done

leg() { mix_leg "$1" "$2" --block-path "$route" --block-clients "$clients"; }

begin_report
echo "# transport pass $mix_columns" | report
interleave leg sockets netpoll
mix_table "$clients computing on $route, 8 on /plaintext${scheduling:+, $scheduling}" sockets netpoll
