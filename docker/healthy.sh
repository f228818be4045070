#!/bin/bash
# The server's health check: it answers, on the transport that it was started for. It asks with nothing but bash, because an image that is
# small has no curl, and because a check should cost a server that is being measured as little as can be.
set -euo pipefail

# Process 1 is the server, or an init that has its command line too. The defaults are those of the image.
transport=netpoll port=8080 address=127.0.0.1
mapfile -d '' -t command </proc/1/cmdline
for ((i = 0; i + 1 < ${#command[@]}; i++)); do
  case ${command[i]} in
    --transport) transport=${command[i + 1]} ;;
    --port) port=${command[i + 1]} ;;
    --address) address=${command[i + 1]} ;;
  esac
done
if [ "$address" = 0.0.0.0 ]; then address=127.0.0.1; fi

exec 3<>"/dev/tcp/$address/$port"
printf 'GET /transport HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
IFS= read -r -d '' -u 3 answer || true # up to the end
case $answer in
  'HTTP/1.1 200 '*"\"transport\":\"$transport\""*) ;;
  *)
    printf '%s\n' "not on $transport: $answer" >&2
    exit 1
    ;;
esac
