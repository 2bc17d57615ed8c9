#!/usr/bin/env bash
# Puts the programs, Open MPI and every library that they need (glibc and its loader too) into one folder. It runs on any
# x86-64 Linux with a kernel from 5.10, whatever that machine's or image's own libraries are: a PyTorch image, say.
#
#   deploy/bundle.sh BIN FOLDER [AT]
#
# BIN      where the built programs are (build/release/bin)
# FOLDER   what is made; must not exist
# AT       where it will lie when it runs, an absolute path (default: /opt/overwinter); the loader's path is fixed in it
#
# Needs patchelf, and Open MPI as Debian 12 has it. What it links against is taken from this machine.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,12p' "$0" | sed 's/^# \{0,1\}//' >&2; exit 2; }
bin=$1 out=$2 at=${3:-/opt/overwinter}
[ ! -e "$out" ] || { echo "bundle: $out is there already" >&2; exit 2; }
case $at in /*) ;; *) echo "bundle: AT is an absolute path, not $at" >&2; exit 2 ;; esac
command -v patchelf >/dev/null || { echo 'bundle: patchelf is missing (apt-get install patchelf)' >&2; exit 1; }

mpi=/usr/lib/x86_64-linux-gnu/openmpi/lib/openmpi3
pmix=/usr/lib/x86_64-linux-gnu/pmix2
mkdir -p "$out/bin" "$out/lib/openmpi" "$out/lib/pmix" "$out/lib/hwloc" "$out/share" "$out/etc"
for program in overwinter overwinter-coordinator overwinter-worker overwinter-rank overwinter-program-rank \
    overwinter-launch-agent overwinter-keeper; do
  [ ! -e "$bin/$program" ] || cp "$bin/$program" "$out/bin/"
done
[ -e "$out/bin/overwinter-worker" ] || { echo "bundle: there is no overwinter-worker in $bin" >&2; exit 1; }
cp /usr/bin/orterun "$out/bin/mpirun"
cp /usr/bin/orted "$out/bin/"
cp -r /usr/share/openmpi "$out/share/"
cp -r "$pmix/share/pmix" "$out/share/"
cp "$pmix"/share/*.conf "$out/etc/"
cp "$pmix"/lib/pmix/*.so "$out/lib/pmix/"
rm -f "$out"/lib/pmix/*slurm*
cp -r /etc/openmpi "$out/etc/"
# Shared memory and TCP are what gangs use; what speaks to fabrics would bring their libraries.
for part in "$mpi"/mca_*.so; do
  case ${part##*/} in
    *ucx*|*ofi*|*openib*|*verbs*|*psm*|*usnic*|*portals*|*yalla*|*hcoll*|*fs_*|*fbtl_*|*fcoll_*|*io_*|*sharedfp_*|*monitoring*|*spml*|*memheap*|*scoll*|*sshmem*|*atomic_*) ;;
    *) cp "$part" "$out/lib/openmpi/" ;;
  esac
done

# The closure of libraries, as this machine's loader resolves it.
loader=/lib64/ld-linux-x86-64.so.2
{
  for elf in "$out"/bin/* "$out"/lib/openmpi/*.so "$out"/lib/pmix/*.so; do ldd "$elf"; done
  # Opened by name while it runs: by glibc when a thread ends.
  echo "x => $(ldconfig -p | awk '/libgcc_s\.so\.1 .*x86-64/ { print $NF; exit }')"
} | awk '/not found/ { print "bundle: " $1 " is missing" > "/dev/stderr"; bad = 1 } $2 == "=>" && $3 ~ /^\// { print $3 } END { exit bad }' |
  sort -u | while read -r library; do cp -L "$library" "$out/lib/"; done
cp -L "$loader" "$out/lib/"

# Not --set-rpath: it writes X over the old path, and over every symbol whose name is the end of that text
# ("…/openblas-pthread" and "read").
for elf in "$out"/bin/*; do
  needed=()
  for library in $(patchelf --print-needed "$elf"); do needed+=(--replace-needed "$library" "$at/lib/$library"); done
  patchelf --set-interpreter "$at/lib/${loader##*/}" "${needed[@]}" "$elf"
done
for elf in "$out"/lib/*.so*; do
  case ${elf##*/} in ld-linux*|libc.so*) ;; *) patchelf --set-rpath '$ORIGIN' "$elf" ;; esac
done
for elf in "$out"/lib/openmpi/*.so "$out"/lib/pmix/*.so; do patchelf --set-rpath '$ORIGIN/..' "$elf"; done
if readelf --dyn-syms --wide "$out"/bin/* "$out"/lib/*.so* "$out"/lib/*/*.so | awk '{ print $8 }' | grep -qE '^X{2,}(@|$)'; then
  echo 'bundle: patchelf has written over the name of a symbol' >&2
  exit 1
fi
chmod -R u=rwX,go=rX "$out"
du -sh "$out" | cut -f1 | sed 's/$/ in all/'
