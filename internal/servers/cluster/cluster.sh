#!/bin/sh
# The first process of a cluster's container: cluster.sh <port>… starts a node for each port and stays, whatever becomes of them.
# A node that cannot even start (exit code 1: an unknown option, say) ends the container, so that its words are seen.
stop() {
	for file in /data/*.pid; do
		pid=$(cat "$file")
		kill "$pid" 2>/dev/null
		while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
	done
}
trap 'stop; exit 0' TERM
trap 'stop; exit 1' HUP
bus=17001 # the nodes' port for each other; it is reached inside the container only
for port in "$@"; do
	echo "$bus" >"/data/$port.bus"
	bus=$((bus + 1))
	{
		sh /tashikame/node.sh "$port"
		[ $? != 1 ] || kill -HUP 1
	} &
done
while :; do # it also buries nodes that were started later
	wait
	sleep 1
done
