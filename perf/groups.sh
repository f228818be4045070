#!/usr/bin/env bash
# Why there are worker groups: what it costs when threads share one epoll instance, measured on the cores that there are and simulated for
# more. Each figure of the table is the share of their time that the cores spend on requests and events rather than on waiting for each other.
#
#   perf/groups.sh [--service-ns 6000] [--serial-ns N] [--out FILE]
#
# --service-ns is the CPU time of a request, as perf/Compare measures it. Needs cc.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

service_ns=6000 serial_ns=''
while [ $# -gt 0 ]; do
  case $1 in
    --service-ns) service_ns=$2 ;;
    --serial-ns) serial_ns=$2 ;;
    *) common_option "$@" ;;
  esac
  shift 2
done
require cc
build_c groups/epoll_groups.c

begin_report
"$work/epoll_groups" "$service_ns" ${serial_ns:+"$serial_ns"} | report
