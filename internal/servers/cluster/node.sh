#!/bin/sh
# Becomes a cluster's node: node.sh <port>. Its options, quoted for a shell, are in a file.
set -eu
port=$1
bus=$(cat "/data/$port.bus")
mkdir -p "/data/$port"
cd "/data/$port"
daemon=$(command -v redis-server || command -v valkey-server)
echo $$ >"/data/$port.pid"
eval "exec $daemon --dir /data/$port --cluster-port $bus $(cat /tashikame/options)"
