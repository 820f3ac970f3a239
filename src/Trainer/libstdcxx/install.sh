#!/bin/sh
# install.sh SOURCE FOLDER: puts libLibTorchSharp.so into FOLDER, repaired where the system's libstdc++ is older than GLIBCXX_3.4.32.
set -eu
source=$1
folder=$2
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$folder"
work=$(mktemp -d "$folder/.libstdcxx.XXXXXX")
trap 'rm -rf "$work"' EXIT

# A new file and a rename: a process that runs from the folder keeps the old one.
publish() { mv -f "$work/$1" "$folder/$1"; }

library=$(ldconfig -p 2>/dev/null | sed -n 's/.*libstdc++\.so\.6 (libc6,[^)]*64[^)]*) => //p' | head -n 1)
[ -n "$library" ] || library=$(find /usr/lib /usr/lib64 /lib -name 'libstdc++.so.6' 2>/dev/null | head -n 1)

if [ -n "$library" ] && grep -aq 'GLIBCXX_3\.4\.32' "$library"; then
    cp "$source" "$work/libLibTorchSharp.so"
    publish libLibTorchSharp.so
    exit 0
fi

missing=
for tool in g++ patchelf readelf; do command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"; done
if [ -n "$missing" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "libstdc++ is older than TorchSharp needs (GLIBCXX_3.4.32); installing$missing to build a small compatibility library."
    { apt-get update && apt-get install -y --no-install-recommends g++ patchelf binutils; } >"$work/apt.log" 2>&1 || tail -n 5 "$work/apt.log" >&2
    missing=
    for tool in g++ patchelf readelf; do command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"; done
fi
if [ -n "$missing" ]; then
    echo "error: TorchSharp needs libstdc++ with GLIBCXX_3.4.32, and ${library:-this system} is older. The repair needs:$missing. Install them (Debian, Ubuntu: sudo apt-get install g++ patchelf binutils) and build again." >&2
    exit 1
fi

# Every version node that the library asks of libstdc++ must exist in the replacement too, if only as an empty one.
readelf -V "$source" | awk '
    /File: / { wanted = index($0, "File: libstdc++.so.6") > 0 }
    wanted && match($0, /Name: [A-Za-z0-9_.]+/) { print substr($0, RSTART + 6, RLENGTH - 6) }' | sort -u |
while read -r node; do
    if [ "$node" = GLIBCXX_3.4.32 ]; then echo "$node { global: _ZSt21ios_base_library_initv; };"; else echo "$node { };"; fi
done >"$work/versions"

g++ -O2 -fPIC -shared -Wl,-soname,libstdcxx-compat.so -Wl,--version-script="$work/versions" -o "$work/libstdcxx-compat.so" "$here/compat.cpp"
cp "$source" "$work/libLibTorchSharp.so"
chmod u+w "$work/libLibTorchSharp.so"
patchelf --replace-needed libstdc++.so.6 libstdcxx-compat.so "$work/libLibTorchSharp.so"
patchelf --add-needed libstdc++.so.6 --set-rpath '$ORIGIN' "$work/libLibTorchSharp.so"
publish libstdcxx-compat.so
publish libLibTorchSharp.so
echo "TorchSharp: repaired libLibTorchSharp.so for the older $library."
