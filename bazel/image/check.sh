#!/usr/bin/env bash
# Checks an image: every digest, what the config says, that the programs run with nothing but what is in it.
#     check.sh IMAGE.tar
# umoci and skopeo look at it too, where they are installed; running needs root for chroot.
set -euo pipefail
image=$(readlink -f "$1")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/layout" "$scratch/tree"
tar -xf "$image" -C "$scratch/layout"

for blob in "$scratch"/layout/blobs/sha256/*; do
    [ "$(sha256sum "$blob" | cut -d' ' -f1)" = "$(basename "$blob")" ] || { echo "$blob is not what its name says"; exit 1; }
done
python3 - "$scratch/layout" <<'PYTHON'
import gzip, hashlib, json, os, sys
layout = sys.argv[1]
def blob(entry):
    with open(os.path.join(layout, "blobs", *entry["digest"].split(":")), "rb") as file:
        data = file.read()
    assert len(data) == entry["size"], entry
    return data
index = json.load(open(os.path.join(layout, "index.json")))
manifest = json.loads(blob(index["manifests"][0]))
config = json.loads(blob(manifest["config"]))
layer = gzip.decompress(blob(manifest["layers"][0]))
assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(layer).hexdigest()]
assert config["config"]["User"].split(":")[0] != "0", "it must not run as root"
open(os.path.join(layout, "layer.tar"), "wb").write(layer)
print("%d MiB unpacked, user %s" % (len(layer) >> 20, config["config"]["User"]))
PYTHON
tar -xf "$scratch/layout/layer.tar" -C "$scratch/tree"
! find "$scratch/tree" -name 'sh' -o -name 'bash' | grep . || { echo "there is a shell in it"; exit 1; }

if command -v skopeo >/dev/null; then
    skopeo inspect "oci-archive:$image" >/dev/null
    skopeo inspect "docker-archive:$image" >/dev/null
    echo "skopeo reads it"
fi
if command -v umoci >/dev/null; then
    umoci unpack --rootless --image "$scratch/layout:latest" "$scratch/bundle" >/dev/null
    echo "umoci unpacks it"
fi
if [ "$(id -u)" = 0 ]; then
    for program in "$scratch"/tree/usr/bin/*; do
        /usr/sbin/chroot --userspec=65532:65532 "$scratch/tree" "/usr/bin/$(basename "$program")" --version
    done
fi
