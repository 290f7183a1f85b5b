# shellcheck shell=bash
# What the scripts share. They are run with a folder that floor/__init__.py has filled.
set -euo pipefail
cd "$1"
mapfile -t nodes <nodes
read -r master <masters

on() { ssh -F ssh_config "$1" sudo "${@:2}"; }

in_parallel() { # FUNCTION HOST...
  local call=$1 pids=() pid
  shift
  for host; do "$call" "$host" & pids+=($!); done
  for pid in "${pids[@]}"; do wait "$pid"; done
}

packages() {
  on "$1" sh -eu -s <<END
$(sed 's|.*|useradd --system --user-group --no-create-home --shell /usr/sbin/nologin &|' "$1/users")
systemctl mask --quiet --runtime $(xargs <"$1/hold")
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(xargs <"$1/packages") >/dev/null
systemctl unmask --quiet --runtime $(xargs <"$1/hold")
END
}

copy() { # packages, and binaries meanwhile; then files
  packages "$1" &
  (cd "$1/binaries" && find . -type l | tar -c -h -T - --mode=0755 --owner=root --group=root) | on "$1" tar -x -C /
  wait $!
  on "$1" tar -x -p -C / <"$1/files.tar"
}

pod_cidrs() { # waits until every node has one; writes what puts them into the place of the nodes' names
  on "$master" sh -eu -s >cidrs <<END
export KUBECONFIG=/etc/kubernetes/admin.conf
form='{range .items[*]}s|@{.metadata.name}@|{.spec.podCIDR}|{"\n"}{end}'
until text=\$(kubectl get nodes -o jsonpath="\$form") && [ "\$(echo "\$text" | grep -c '/[0-9]*|')" = ${#nodes[@]} ]; do
  sleep 0.5
done
echo "\$text"
END
}

connect() { # pods
  on "$1" tar -x -p -C / <"$1/network.tar"
  on "$1" sh -eu -s <<END
sed -i '$(cat cidrs)' /etc/cni/net.d/10-k8sbootstrap.conflist /etc/k8sbootstrap/pod-network
systemctl daemon-reload
systemctl enable --quiet k8s-pod-network
systemctl reload-or-restart k8s-pod-network
END
}
