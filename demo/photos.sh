#!/usr/bin/env bash
# Fetches real photographs into FOLDER from two Debian packages (unpacked, not installed): photos.sh FOLDER
# darknet: a dog, horses and an eagle; python3-skimage: a cat.
set -euo pipefail
dir=${1:?usage: photos.sh FOLDER}
photos=(dog.jpg horses.jpg eagle.jpg chelsea.png)
have=1
for photo in "${photos[@]}"; do [ -s "$dir/$photo" ] || have=0; done
[ $have -eq 0 ] || exit 0

mkdir -p "$dir"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fetch() { (cd "$work" && apt-get download -q "$1" >/dev/null 2>&1); }
for package in darknet python3-skimage; do
  if ! fetch "$package"; then
    run=(); [ "$(id -u)" -eq 0 ] || run=(sudo)
    "${run[@]}" apt-get update -q >/dev/null
    fetch "$package" || { echo "photos: cannot download the Debian package $package" >&2; exit 1; }
  fi
  dpkg-deb -x "$work/$package"_*.deb "$work/$package"
done
for photo in dog.jpg horses.jpg eagle.jpg; do cp "$work/darknet/usr/share/darknet/data/$photo" "$dir/"; done
cp "$(find "$work/python3-skimage" -name chelsea.png | head -1)" "$dir/"
