#!/bin/sh
# Run a command with no network but loopback, where the system grants that; else as it is, and say so.
apart="unshare --map-root-user --net --mount"
if $apart ip link set lo up 2>/dev/null; then
    exec $apart sh -c 'ip link set lo up && exec "$0" "$@"' "$@"
fi
echo "without_network: this system grants no network namespace; running with the network there is" >&2
exec "$@"
