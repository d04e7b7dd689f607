#!/bin/sh
# Builds a server image out of Debian packages, for machines that have Docker but no image registry.
#
#   build.sh mysql 9.7     → tashikame-local/mysql:9.7
#   build.sh mariadb 11.8  → tashikame-local/mariadb:11.8
#   build.sh redis 8.0     → tashikame-local/redis:8.0
#   build.sh valkey 9.1    → tashikame-local/valkey:9.1
#
# The names are our own, so that they never shadow an official image. An image that exists is kept; remove it
# (make clean-images) to build it anew. Needs: Docker, mmdebstrap (installed here when we are root on Debian or
# Ubuntu), and a Debian mirror: the one that apt is configured with, or TASHIKAME_DEBIAN_MIRROR.
set -eu

die() { echo "build.sh: $*" >&2; exit 1; }
say() { echo "tashikame: $*" >&2; }

[ $# = 2 ] || die "usage: build.sh <mysql|mariadb|redis|valkey> <version>"
server=$1 version=$2
image="tashikame-local/$server:$version"
here=$(cd "$(dirname "$0")" && pwd)
recipe=$server

# The suite that carries this version, its packages, and the command whose output must state the version: suites
# move on, and an image must never claim a version that it does not have.
case "$server:$version" in
	mysql:9.7) suite=sid packages=mysql-server-core,mysql-client-core,tzdata check="mysqld --version" ;;
	mariadb:11.8) suite=trixie packages=mariadb-server-core,mariadb-client-core,tzdata check="mariadbd --version" ;;
	mariadb:10.11) suite=bookworm packages=mariadb-server-core,mariadb-client-core,tzdata check="mariadbd --version" ;;
	redis:8.0) suite=trixie packages=redis-server check="redis-server --version" ;;
	redis:7.0) suite=bookworm packages=redis-server check="redis-server --version" ;;
	# Valkey is started just as Redis is. Debian's newer package wants systemd or these two, which do without it.
	valkey:9.1) suite=sid packages=valkey-server,systemd-standalone-sysusers,systemd-standalone-tmpfiles check="valkey-server --version" recipe=redis ;;
	valkey:8.1) suite=trixie packages=valkey-server check="valkey-server --version" recipe=redis ;;
	*) die "no recipe for $server $version; name an image that can be pulled or is already here (TASHIKAME_MYSQL_IMAGE, TASHIKAME_MARIADB_IMAGE, TASHIKAME_REDIS_IMAGE, TASHIKAME_VALKEY_IMAGE)" ;;
esac

# Test processes run side by side: one builds, the others wait for it.
if command -v flock >/dev/null; then
	exec 9>"${TMPDIR:-/tmp}/tashikame-images-$(id -u).lock"
	flock 9
fi
docker image inspect "$image" >/dev/null 2>&1 && exit 0

mirror=${TASHIKAME_DEBIAN_MIRROR:-}
if [ -z "$mirror" ] && command -v apt-get >/dev/null && [ "$(. /etc/os-release && echo "$ID")" = debian ]; then
	mirror=$(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(COMPONENT)' 'Created-By: Packages' 2>/dev/null |
		awk '$2 == "Debian" && $3 == "main" && $1 !~ /security/ { print $1; exit }')
fi
[ -n "$mirror" ] || die "no Debian mirror is known here; set TASHIKAME_DEBIAN_MIRROR=<URL of a Debian archive>, or name an image that can be pulled"

if ! command -v mmdebstrap >/dev/null; then
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		say "installing mmdebstrap and debian-archive-keyring (apt-get)"
		{ apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap debian-archive-keyring; } >&2
	else
		die "mmdebstrap is missing: install it (apt-get install mmdebstrap debian-archive-keyring)"
	fi
fi

work=$(mktemp -d)
trap 'rm -rf "$work"; docker image rm -f "$image-base" >/dev/null 2>&1 || true' EXIT
trap 'exit 130' INT TERM

say "building $image from Debian $suite packages, once; this takes about a minute"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || die "$keyring is missing: apt-get install debian-archive-keyring"
mmdebstrap --quiet --variant=essential --include="$packages" --keyring="$keyring" \
	--aptopt='Acquire::Check-Valid-Until "false"' --aptopt='Acquire::Retries "5"' \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
	"$suite" "$work/root.tar" "$mirror" >&2

docker import "$work/root.tar" "$image-base" >/dev/null
found=$(docker run --rm --network none "$image-base" $check)
case "$found" in
	*[!0-9.]"$version".*) ;;
	*) die "Debian $suite now carries another version than $version: $found" ;;
esac

mkdir "$work/context"
cp "$here/$recipe/"* "$work/context/"
DOCKER_BUILDKIT=0 docker build -q --network none --build-arg "BASE=$image-base" --build-arg "SERVER=$server" -t "$image" "$work/context" >/dev/null
say "built $image ($found)"
