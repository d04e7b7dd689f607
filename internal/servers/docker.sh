#!/bin/sh
# Makes sure that Docker answers, for the tests and the demo. As root on Debian or Ubuntu it installs and starts Docker
# if there is none, and says so. Anyone else is told what is missing.
set -u

# A Docker that answers: over its own client, or, where only the socket is there, over that.
answers() {
	docker info >/dev/null 2>&1 && return 0
	case "${DOCKER_HOST:-unix:///var/run/docker.sock}" in
	unix://*) curl -sf --max-time 5 --unix-socket "$(echo "${DOCKER_HOST:-unix:///var/run/docker.sock}" | sed 's,^unix://,,')" http://localhost/_ping >/dev/null 2>&1 ;;
	*) return 1 ;;
	esac
}
say() { echo "tashikame: $*" >&2; }

answers && exit 0

# Servers that are given by hand are enough for most of the tests; those that need their own say so.
if [ -n "${TASHIKAME_MYSQL_DSN:-}" ] && [ -n "${TASHIKAME_REDIS_URL:-}" ]; then
	say "Docker does not answer; going on with TASHIKAME_MYSQL_DSN and TASHIKAME_REDIS_URL. Tests that kill or configure a server will fail."
	exit 0
fi

trouble=""
if [ -z "${DOCKER_HOST:-}" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	log=${TMPDIR:-/tmp}/tashikame-dockerd.log
	if ! command -v dockerd >/dev/null || ! command -v docker >/dev/null; then
		say "there is no Docker here; installing Debian's package docker.io (apt-get)"
		export DEBIAN_FRONTEND=noninteractive
		{ apt-get update -qq && apt-get install -y -qq --no-install-recommends docker.io iptables ca-certificates &&
			{ command -v docker >/dev/null || apt-get install -y -qq --no-install-recommends docker-cli; }; } >"$log" 2>&1 ||
			{ trouble="docker.io could not be installed; the end of $log:
$(tail -5 "$log")"; }
	fi
	if [ -z "$trouble" ] && ! answers; then
		say "Docker is installed but does not answer; starting it"
		if [ -d /run/systemd/system ]; then
			systemctl start docker >>"$log" 2>&1
		else
			setsid dockerd >>"$log" 2>&1 </dev/null &
		fi
		i=0
		while [ $i -lt 60 ]; do
			answers && { say "Docker answers; to stop it: systemctl stop docker, or kill \$(cat /var/run/docker.pid)"; exit 0; }
			sleep 1
			i=$((i + 1))
		done
		trouble="dockerd was started but does not answer; the end of $log:
$(tail -5 "$log")"
	fi
	answers && exit 0
fi

if [ -z "$trouble" ]; then
	if ! command -v docker >/dev/null; then
		trouble="There is no 'docker' command here."
	else
		trouble=$(docker info 2>&1 >/dev/null | grep -iE 'denied|cannot connect|error' | head -3)
		case "$trouble" in
		*denied*) trouble="$trouble
Your user ($(id -un)) may not use Docker: a member of the group 'docker' may (sudo usermod -aG docker $(id -un), then log in again)." ;;
		esac
	fi
fi
cat >&2 <<END
tashikame: real MySQL and Redis servers are needed, and Docker does not answer.

$trouble

One of these ways on:
  - install and start Docker (https://docs.docker.com/engine/install/), then run this command again;
  - on Debian or Ubuntu, run this command as root: it installs and starts Docker;
  - if Docker runs elsewhere, say where: DOCKER_HOST=tcp://host:2375 make …;
  - without Docker, most of the tests (not the demo) run on servers of yours, empty ones:
      TASHIKAME_MYSQL_DSN='root:password@tcp(127.0.0.1:3306)/'  TASHIKAME_REDIS_URL='redis://127.0.0.1:6379/0'
      TASHIKAME_MARIADB_DSN='root:password@tcp(127.0.0.1:3307)/'
    (own databases are created on that MySQL and MariaDB and dropped again; the Redis must hold no keys).
END
exit 1
