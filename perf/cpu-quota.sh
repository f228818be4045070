#!/usr/bin/env bash
# Compares the transports where the processors are not theirs alone: under a CPU quota, as a container has it, or beside programs that compute.
#
#   perf/cpu-quota.sh [--quota 150] [--hogs 0] [--connections 64] [--seconds 5] [--passes 5] [--path /plaintext] [--scheduling Workers]
#                     [--workers N] [--groups N] [--out FILE]
#
# --quota: percent of one processor that a server may use, by cpu.max of a cgroup (v2) or cpu.cfs_quota_us (v1) that the script makes and
# removes; 0: no quota. --hogs: so many programs compute beside it all. Lines of comment say how often the kernel stopped the server.
# Needs wrk and curl, and root for a quota.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

connections=64 path=/plaintext quota=150 hogs=0
while [ $# -gt 0 ]; do
  case $1 in
    --connections) connections=$2 ;;
    --path) path=$2 ;;
    --quota) quota=$2 ;;
    --hogs) hogs=$2 ;;
    *) common_option "$@" ;;
  esac
  shift 2
done
require wrk curl
[[ $quota =~ ^[0-9]+$ && $hogs =~ ^[0-9]+$ ]] || die "--quota and --hogs need a number"

group=''
remove_group() {
  cleanup
  [ -z "$group" ] || rmdir "$group" || true
}
trap remove_group EXIT

if [ "$quota" -gt 0 ]; then
  name=netpoll-cpu-quota-$$
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    group=/sys/fs/cgroup/$name
    { echo +cpu >/sys/fs/cgroup/cgroup.subtree_control && mkdir "$group" && echo "$((quota * 1000)) 100000" >"$group/cpu.max"; } ||
      die "a cgroup with a quota needs root: $group"
  else
    group=/sys/fs/cgroup/cpu/$name
    { mkdir "$group" && echo 100000 >"$group/cpu.cfs_period_us" && echo $((quota * 1000)) >"$group/cpu.cfs_quota_us"; } ||
      die "a cgroup with a quota needs root, and the cpu controller: $group"
  fi
  # shellcheck disable=SC2016 # for the inner shell
  launcher=(sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$group")
fi

stops() { [ -z "$group" ] || awk '$1 == "nr_throttled" { print $2 }' "$group/cpu.stat"; }

build_server
for transport in sockets netpoll; do start_server $transport $transport; done
for ((i = 0; i < hogs; i++)); do yes >/dev/null & done

leg() {
  local before
  before=$(stops)
  wrk_leg "$1" "$2" "$path" "$connections"
  [ -z "$group" ] || echo "# $1 $2: stopped $(($(stops) - before)) times" | report
}

begin_report
echo "# transport pass $wrk_columns" | report
interleave leg sockets netpoll
wrk_table "quota $([ "$quota" -gt 0 ] && echo "$quota %" || echo none), $hogs programs beside it, wrk -t1 -c$connections $path" sockets netpoll
