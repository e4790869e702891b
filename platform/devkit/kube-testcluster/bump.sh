#!/bin/sh
# Rewrites go.mod and go.sum for another Kubernetes patch. Usage: bump.sh v1.36.3 v3.6.8
# k8s.io/kubernetes requires its staging modules as v0.0.0, so each of them
# needs a replace to the v0.x.y that matches v1.x.y.
set -eu
k8s=$1
etcd=$2
cd "$(dirname "$0")"
rm -f go.mod go.sum
go mod init domicile.dev/kube-testcluster
go mod edit -go=1.26.0 -require "k8s.io/kubernetes@$k8s" -require "go.etcd.io/etcd/server/v3@$etcd"
mod=$(go mod download -json "k8s.io/kubernetes@$k8s" | sed -n 's/.*"GoMod": "\(.*\)".*/\1/p')
for m in $(sed -n 's|^[[:space:]]*\(k8s.io/[^ ]*\) => ./staging/.*|\1|p' "$mod"); do
  go mod edit -replace "$m=$m@v0${k8s#v1}"
done
go mod tidy
