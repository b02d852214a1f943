#!/usr/bin/env bash
# A newcomer's first hour: an empty installation of this distribution, a clone of the tree (its last commit), then the
# two commands of the README inside it, on two cores. The first result must be there within six minutes.
#
#   newcomer.sh SOURCE [COMMAND...]      COMMAND: run this inside instead of the two commands
#
# Needs root (for chroot) and debootstrap. The mirror is the one this machine's apt uses. Exits 77 where it cannot run.
set -euo pipefail
source=$(realpath -- "$1")
shift
first_result_limit=360

skip() { echo "skipped: $*"; exit 77; }
((EUID == 0)) || skip 'needs root'
command -v debootstrap >/dev/null || skip 'needs debootstrap'
unshare --mount true 2>/dev/null || skip 'may not unshare mounts'
git -C "$source" rev-parse -q --verify HEAD >/dev/null 2>&1 || skip 'the source is not a git clone'

work=$(mktemp -d)
trap 'rm -rf --one-file-system -- "$work"' EXIT
system=$work/system
. /etc/os-release

# "site release component" of every binary index that apt reads.
mapfile -t indexes < <(apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' | sort -u)
mirror=$(printf '%s\n' "${indexes[@]}" | awk -v r="$VERSION_CODENAME" '$2 == r && $3 == "main" { print $1; exit }')
[[ $mirror ]] || skip "apt has no index of $VERSION_CODENAME main (run apt-get update)"

start=$SECONDS
debootstrap --variant=minbase "$VERSION_CODENAME" "$system" "$mirror" >"$work/debootstrap.log" 2>&1 ||
  { tail -n 20 "$work/debootstrap.log"; exit 1; }
printf 'deb %s\n' "${indexes[@]}" >"$system/etc/apt/sources.list"
apt-config dump | grep -E '^Acquire::https?::Proxy ' >"$system/etc/apt/apt.conf.d/90proxy" || true
cp -L /etc/resolv.conf /etc/hosts "$system/etc/"
git clone -q --no-hardlinks -- "$source" "$system/home/orrery"
echo "empty system and clone ready in $((SECONDS - start)) s"

# inside COMMAND...: in the clone inside the new system, with its own mounts, which end with the command.
inside() {
  unshare --mount --pid --fork bash -c '
    mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" || exit
    exec taskset -c "$1" chroot "$0" env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
      bash -c "cd /home/orrery && exec \"\$@\"" bash "${@:2}"' "$system" "$cores" "$@"
}
cores=$(taskset -cp $$ | sed 's/.*: //' | awk -v RS='[,\n]' '
  { split($1, r, "-"); for (c = r[1]; c <= (r[2] == "" ? r[1] : r[2]) && n < 2; ++c) out = out (n++ ? "," : "") c }
  END { print out }')

if (($#)); then
  inside "$@"
  exit
fi

start=$SECONDS
inside ./orrery run experiments/examples/quickstart.json
first=$((SECONDS - start))
echo "first result after $first s (at most $first_result_limit)"

start=$SECONDS
inside ./orrery test
echo "tests after another $((SECONDS - start)) s"
((first <= first_result_limit))
