#!/usr/bin/env bash
# Compares netpoll with Kestrel's Sockets transport in containers: builds the images, starts a server on each transport, measures them in
# turns from a third container, and leaves results.json, results.md and the pictures in a directory.
#
#   docker/compare.sh [--passes N] [--seconds N] [--quick] [--scenarios LIST] [--out DIR]
#                     [--load bombardier|wrk] [--cpus-server LIST] [--cpus-load LIST] [--host-network] [--no-build]
#
#   --passes, --seconds, --quick, --scenarios   as for perf/Compare
#   --out DIR                        where the results go; artifacts/docker-compare if it is not given
#   --load NAME                      what makes most of the load: bombardier, which is built with Go, or wrk, which is a package
#   --cpus-server, --cpus-load LIST  the processors of the servers and of the load, as in 0-3 or 0,2; all of them if not given
#   --host-network                   no network of their own, to build or to run; the servers then listen on the loopback interface
#   --no-build                       the images of an earlier run
#
# The environment may name other base images: SDK_IMAGE, RUNTIME_IMAGE, GO_IMAGE. Needs Docker, with its plugin compose or docker-compose.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
project=${COMPOSE_PROJECT_NAME:-netpoll-compare}
files=(-f "$here/compose.yaml")
out=$here/../artifacts/docker-compare
options=() build=yes

die() { echo "docker/compare.sh: $*" >&2; exit 1; }
usage() { echo "docker/compare.sh: $* (see --help)" >&2; exit 2; }

while [ $# -gt 0 ]; do
  case $1 in
    --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit 0 ;;
    --quick) options+=(--quick) ;;
    --host-network) files=(-f "$here/compose.yaml" -f "$here/compose.host.yaml") ;;
    --no-build) build=no ;;
    --passes | --seconds | --scenarios | --out | --load | --cpus-server | --cpus-load)
      [ $# -ge 2 ] || usage "$1 needs a value"
      # The options of the comparison go through a command line that Compose splits.
      [[ $1 == --out || $2 =~ ^[A-Za-z0-9,._*-]+$ ]] || usage "'$2' is no value for $1"
      case $1 in
        --passes | --seconds | --scenarios) options+=("$1" "$2") ;;
        --out) out=$2 ;;
        --load)
          [[ $2 == bombardier || $2 == wrk ]] || usage "--load is '$2'; it must be bombardier or wrk"
          export NETPOLL_LOAD=$2 ;;
        --cpus-server) export NETPOLL_SERVER_CPUS=$2 ;;
        --cpus-load) export NETPOLL_LOAD_CPUS=$2 ;;
      esac
      shift ;;
    *) usage "unknown option: $1" ;;
  esac
  shift
done
export NETPOLL_COMPARE_OPTIONS="${options[*]}"

command -v docker >/dev/null || die "docker is missing: install Docker Engine (Debian, Ubuntu: apt-get install docker.io docker-compose)"
if docker compose version >/dev/null 2>&1; then
  compose=(docker compose)
elif command -v docker-compose >/dev/null; then
  compose=(docker-compose)
else
  die "neither 'docker compose' nor docker-compose is there: install one (Debian, Ubuntu: apt-get install docker-compose)"
fi
problem=$(docker version 2>&1 >/dev/null) || die "the Docker engine does not answer: $problem"

compose() { "${compose[@]}" -p "$project" "${files[@]}" "$@"; }

# Leaves the images, for --no-build.
clean_up() { compose down --volumes --remove-orphans >/dev/null 2>&1 || true; }
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

start() { # start SERVICE: and waits until it is healthy
  local id state
  compose up -d --no-build --no-deps "$1"
  for _ in $(seq 240); do
    id=$(compose ps -q "$1")
    [ -n "$id" ] || break
    state=$(docker inspect -f '{{.State.Status}} {{.State.Health.Status}}' "$id")
    case $state in
      'running healthy') return ;;
      'running starting') sleep 0.5 ;;
      *) break ;;
    esac
  done
  compose logs "$1" >&2
  if [ -n "$id" ]; then docker inspect -f '{{range .State.Health.Log}}{{.Output}}{{end}}' "$id" >&2; fi
  die "$1 is not healthy"
}

own() { if [ -n "${SUDO_UID:-}" ]; then chown "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$@"; fi; } # own FILE...: they are whose sudo it is

if [ ! -d "$out" ]; then mkdir -p "$out" && own "$out"; fi
out=$(cd "$out" && pwd)
rm -f "$out/results.json" "$out/results.md" # an earlier run's, which must not pass for this one's
clean_up
if [ "$build" = yes ]; then compose build; fi
start server-sockets
start server-netpoll

status=0
load=$project-load-run
compose run -T --no-deps --name "$load" load || status=$?
# Whoever runs the client owns what it copies, and the engine may be on another machine.
docker cp "$load:/results/." "$out" || die "nothing can be copied from the load's container"
[ -e "$out/results.json" ] || die "the load has failed ($status)"
own "$out"/results*
[ "$status" -eq 0 ] || die "a scenario has failed: $out/results.md says which"
echo "The results are in $out."
