#!/usr/bin/env bash
# What handlers that block their thread do to all others: 200 clients on a route that blocks for 100 ms, 8 clients on a fast one, and a new
# connection every 50 ms. /sleep sleeps, /wait waits for a task, /fifo sits in read(2).
#
#   perf/blocking-mix.sh [--routes "/sleep/100 /wait/100 /fifo"] [--http2] [--seconds 8] [--passes 3] [--scheduling Workers] [--workers N]
#                        [--groups N] [--out FILE]
#
# With --http2, what blocks is 200 HTTP/2 streams on 20 connections, on /delayblock/100 (an await, then a block), and the fast clients use an
# HTTP/1.1 port of the same server.
#
# Needs cc and curl; with --http2, h2load too. 200 clients that block for 100 ms can get 2,000 answers a second. "unanswered" are fast and new
# clients that have waited for at least a second when the pass is over.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

passes=3 seconds=8 routes='' is_http2=
while [ $# -gt 0 ]; do
  case $1 in
    --http2) is_http2=yes; shift; continue ;;
    --routes) routes=$2 ;;
    *) common_option "$@" ;;
  esac
  shift 2
done
require cc curl ${is_http2:+h2load}
routes=${routes:-${is_http2:+/delayblock/100}}
routes=${routes:-/sleep/100 /wait/100 /fifo}

build_server
build_c load/blockingmix.c
for transport in sockets netpoll; do start_server $transport $transport ${is_http2:+--protocols http2 --http1-port 0}; done

leg() {
  if [ -n "$is_http2" ]; then
    streams_path=$route
    mix_leg "$1" "$2" --block-clients 0
  else
    mix_leg "$1" "$2" --block-path "$route"
  fi
}

begin_report
for route in $routes; do
  echo "# $route: transport pass $mix_columns" | report
  interleave leg sockets netpoll
  mix_table "200 blocking ${is_http2:+HTTP/2 }on $route, 8 on /plaintext${scheduling:+, $scheduling}" sockets netpoll
  echo | report
done
