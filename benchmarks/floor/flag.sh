#!/bin/bash
# The floor of changing a flag of kube-apiserver: rewrite it, restart one master at a time, wait for its API.
# usage: flag.sh FOLDER VALUE    with what floor/__init__.py lays out there
set -euo pipefail
cd "$1"
while read -r master; do
  # shellcheck disable=SC2087
  ssh -F ssh_config "$master" sudo sh -eu -s <<END
sed -i 's/--v=[0-9]*/--v=$2/' /etc/systemd/system/kube-apiserver.service
systemctl daemon-reload
systemctl restart kube-apiserver
until curl -sfk https://127.0.0.1:6443/readyz; do sleep 0.1; done
END
done <masters
