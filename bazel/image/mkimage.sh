#!/usr/bin/env bash
# Makes an OCI image from programs: they, the libraries that they link, CA certificates, nothing else.
#     mkimage.sh OUT.tar PROGRAM...
# The tar holds an OCI layout, and the manifest.json that `docker load` wants beside it. The same inputs give
# the same bytes: names are sorted, times are zero.
set -euo pipefail
export LC_ALL=C
out=$PWD/$1
shift
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
root=$scratch/root
user=65532

mkdir -p "$root"/{usr/bin,etc/ssl/certs,tmp,var/lib/pangolin,lib64}
for program in "$@"; do
    install -m 0755 "$program" "$root/usr/bin/"
done

# Libraries under the paths that the loader looks at; the loader itself has a path of its own.
libraries() {
    for program in "$@"; do
        ldd "$program" | awk '$2 == "=>" { print $3 } $1 ~ /^\// { print $1 }'
    done | sort -u
}
for library in $(libraries "$@"); do
    mkdir -p "$root$(dirname "$library")"
    install -m 0755 "$(readlink -f "$library")" "$root$library"
done

printf 'root:x:0:0:root:/:/sbin/nologin\npangolin:x:%d:%d::/var/lib/pangolin:/sbin/nologin\n' $user $user \
    >"$root/etc/passwd"
printf 'root:x:0:\npangolin:x:%d:\n' $user >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
if [ -f /etc/ssl/certs/ca-certificates.crt ]; then
    install -m 0644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
fi
chmod 1777 "$root/tmp"
chmod 0750 "$root/var/lib/pangolin"

layer=$scratch/layer.tar
pack=(--sort=name --mtime=@0 --numeric-owner --format=ustar -C "$root")
tar "${pack[@]}" --owner=0 --group=0 --exclude=./var/lib/pangolin -cf "$layer" .
tar "${pack[@]}" --owner=$user --group=$user -rf "$layer" ./var/lib/pangolin

digest() {
    sha256sum "$1" | cut -d' ' -f1
}
layout=$scratch/layout
mkdir -p "$layout/blobs/sha256"
# Moves a file to its place among the blobs; prints its digest.
blob() {
    local name
    name=$(digest "$1")
    cp "$1" "$layout/blobs/sha256/$name"
    echo "$name"
}

diff_id=$(digest "$layer")
gzip -n -9 <"$layer" >"$scratch/layer.tar.gz"
layer_blob=$(blob "$scratch/layer.tar.gz")
layer_size=$(stat -c %s "$scratch/layer.tar.gz")

case $(uname -m) in
x86_64) architecture=amd64 ;;
aarch64) architecture=arm64 ;;
*) architecture=$(uname -m) ;;
esac
cat >"$scratch/config.json" <<JSON
{"created":"1970-01-01T00:00:00Z","architecture":"$architecture","os":"linux","config":{"User":"$user:$user","ExposedPorts":{"8080/tcp":{}},"Env":["PATH=/usr/bin","PANGOLIN_BIND_ADDRESS=0.0.0.0","PANGOLIN_DATA_DIR=/var/lib/pangolin","PORT=8080"],"Entrypoint":["/usr/bin/pangolin"],"Cmd":["up"],"Volumes":{"/var/lib/pangolin":{}},"WorkingDir":"/var/lib/pangolin","StopSignal":"SIGTERM"},"rootfs":{"type":"layers","diff_ids":["sha256:$diff_id"]}}
JSON
config_blob=$(blob "$scratch/config.json")
config_size=$(stat -c %s "$scratch/config.json")
cat >"$scratch/manifest.json" <<JSON
{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:$config_blob","size":$config_size},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:$layer_blob","size":$layer_size}]}
JSON
manifest_blob=$(blob "$scratch/manifest.json")
manifest_size=$(stat -c %s "$scratch/manifest.json")
cat >"$layout/index.json" <<JSON
{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:$manifest_blob","size":$manifest_size,"annotations":{"org.opencontainers.image.ref.name":"latest"}}]}
JSON
echo '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
cat >"$layout/manifest.json" <<JSON
[{"Config":"blobs/sha256/$config_blob","RepoTags":["pangolin:latest"],"Layers":["blobs/sha256/$layer_blob"]}]
JSON
tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --format=ustar -C "$layout" -cf "$out" .
