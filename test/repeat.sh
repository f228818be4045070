#!/usr/bin/env bash
# Runs the functional suite again and again, with each number of worker groups, to find what fails one time of many.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'TEXT'
Runs the functional suite again and again, with each number of worker groups, to find what fails one time of many.

  test/repeat.sh [--times 20] [--groups "1 2 4"] [--scheduling MODE] [--class GLOB] [--project Transport.Tests]

--scheduling: Workers (unless said), WorkersOnly or ThreadPool; with one of the other two, what is marked [OneMode] is left out.
--class: only tests of classes whose full name matches, such as '*.Scheduling.*'. Needs only the .NET SDK.
The unit tests (Native.Tests) know neither groups nor modes: give them --groups 1.
Prints a line for each run, and what failed; ends with 1 if anything did.
TEXT
}

times=20 groups="1 2 4" scheduling= class='*' project=Transport.Tests
while [ $# -gt 0 ]; do
  case $1 in
    --times) times=${2:?} ;;
    --groups) groups=${2:?} ;;
    --scheduling) scheduling=${2:?} ;;
    --class) class=${2:?} ;;
    --project) project=${2:?} ;;
    --help | -h) usage; exit 0 ;;
    *) echo "unknown option: $1 (--help lists them)" >&2; exit 2 ;;
  esac
  shift 2
done

dotnet build -c Release "test/$project" --verbosity quiet
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failures=0
left_out=()
case $scheduling in WorkersOnly | ThreadPool) left_out=(-trait- Modes=One) ;; esac
for ((i = 1; i <= times; i++)); do
  for count in $groups; do
    started=$SECONDS
    status=0
    env "NETPOLL_TEST_WorkerGroupCount=$count" ${scheduling:+"NETPOLL_TEST_ApplicationScheduling=$scheduling"} \
      "test/$project/bin/Release/net10.0/KestrelNetpoll.$project" -class "$class" "${left_out[@]}" -noColor >"$log" 2>&1 || status=$?
    echo "run $i${scheduling:+, $scheduling}, $count groups, $((SECONDS - started)) s: $(grep -o 'Total: .*' "$log" | tail -1)"
    if [ "$status" -ne 0 ]; then
      failures=$((failures + 1))
      cat "$log"
    fi
  done
done

echo "$failures of $((times * $(wc -w <<<"$groups"))) runs failed"
[ "$failures" -eq 0 ]
