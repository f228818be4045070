#!/usr/bin/env bash
# How large a new web app is when it is published, and how long it takes to its first answer, on each transport: the app of `dotnet new web`,
# with the package and the one line or without them, framework-dependent (portable), trimmed as one file, and with Native AOT.
#
#   perf/published.sh [--passes 15] [--out FILE]
#
# The packages are made for it, and nothing is left behind. Needs curl, clang and what a restore needs; on Linux x64 or arm64.
# shellcheck source-path=SCRIPTDIR
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

passes=15
while [ $# -gt 0 ]; do
  common_option "$@"
  shift 2
done
require curl clang
export MSBUILDDISABLENODEREUSE=1 UseSharedCompilation=false

case $(uname -m) in x86_64) runtime=linux-x64 ;; aarch64) runtime=linux-arm64 ;; *) die "no package for $(uname -m)" ;; esac
forms=(portable trimmed native)

quietly() { "$@" >"$work/step.log" 2>&1 || { cat "$work/step.log" >&2; exit 1; }; }

make_packages() {
  version=0.0.0-measured.$(date +%s)
  local machine library
  machine=$(dotnet nuget locals global-packages --list | sed 's/^global-packages: *//')
  for library in Native Transport; do
    quietly dotnet pack "$perf/../src/$library" -c Release -o "$work/feed" -p:MinVerVersionOverride="$version" -p:RunAnalyzers=false
  done
  # Beside the sources of this machine; what it has in its package folder need not be fetched again.
  cat >"$work/NuGet.Config" <<CONFIG
<configuration>
  <packageSources><add key="measured" value="$work/feed" /></packageSources>
  <fallbackPackageFolders><add key="machine" value="$machine" /></fallbackPackageFolders>
</configuration>
CONFIG
  export NUGET_PACKAGES=$work/packages
}

make_app() { # make_app TRANSPORT
  quietly dotnet new web -o "$work/$1/app"
  [ "$1" = netpoll ] || return 0
  quietly dotnet add "$work/$1/app" package KestrelNetpoll.Transport --version "$version"
  sed -i '/CreateBuilder/a builder.WebHost.UseNetpollTransport();' "$work/$1/app/Program.cs"
}

publish() { # publish TRANSPORT FORM
  local options
  case $2 in
    portable) options=() ;;
    trimmed) options=(-r "$runtime" --self-contained -p:PublishTrimmed=true -p:PublishSingleFile=true) ;;
    native) options=(-r "$runtime" -p:PublishAot=true) ;;
  esac
  quietly dotnet publish "$work/$1/app" -c Release -o "$work/$1-$2" "${options[@]}"
}

# What goes to the machine that serves: without symbols.
megabytes() { find "$work/$1" -type f ! -name '*.pdb' ! -name '*.dbg' -printf '%s\n' | awk '{ sum += $1 } END { printf "%.2f", sum / 1e6 }'; }

# Records milliseconds from the start of the process to its first answer, its CPU time until then in ms, and its resident memory in MB.
columns='first-answer-ms cpu-ms resident-MB'
leg() { # leg TRANSPORT-FORM PASS
  local port=$((20000 + RANDOM % 10000)) begin end cpu resident
  begin=${EPOCHREALTIME/./}
  Logging__LogLevel__Default=Warning "$work/$1/app" --urls "http://127.0.0.1:$port" >"$work/app.log" 2>&1 &
  local process=$!
  until curl -fsS -o "$work/answer" "http://127.0.0.1:$port/" 2>/dev/null; do
    kill -0 "$process" 2>/dev/null || die "$1 ended: $(cat "$work/app.log")"
  done
  end=${EPOCHREALTIME/./}
  cpu=$(cpu_ticks "$process")
  resident=$(awk '/^VmRSS:/ { printf "%.1f", $2 / 1000 }' "/proc/$process/status")
  kill "$process"
  wait "$process" || true
  record "$1" "$2" "$(awk -v us=$((end - begin)) -v ticks="$cpu" -v hz="$ticks_per_second" 'BEGIN { printf "%.1f %.0f", us / 1e3, ticks / hz * 1e3 }') $resident"
}

make_packages
for transport in sockets netpoll; do
  make_app "$transport"
  for form in "${forms[@]}"; do publish "$transport" "$form"; done
done

legs=()
for form in "${forms[@]}"; do legs+=("sockets-$form" "netpoll-$form"); done
begin_report
echo "# transport-form pass $columns" | report
interleave leg "${legs[@]}"
{
  echo
  printf '| published, %s passes | size | first answer (median, range) | CPU until then | resident memory |\n|---|---|---|---|---|\n' "$passes"
  for form in "${forms[@]}"; do
    for transport in sockets netpoll; do
      leg=$transport-$form
      printf '| %s, %s | %s MB | %s | %s | %s |\n' \
        "$form" "$transport" "$(megabytes "$leg")" "$(cell "$leg" 3 %.0f ms)" "$(cell "$leg" 4 %.0f ms)" "$(cell "$leg" 5 %.1f MB)"
    done
  done
} | report
