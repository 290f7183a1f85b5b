#!/bin/bash
# The floor of an installation: what k8sbootstrap brings to new hosts, brought there by plain parallel SSH. No checks,
# and no waits but those without which the next step could not work.
# usage: install.sh FOLDER    with what floor/__init__.py lays out there
set -euo pipefail
cd "$1"
mapfile -t new <new
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

install() {
  packages "$1" &
  (cd "$1/binaries" && find . -type l | tar -c -h -T - --mode=0755 --owner=root --group=root) | on "$1" tar -x -C /
  wait $!
  on "$1" tar -x -p -C / <"$1/files.tar"
  on "$1" sh -eu -s <<'END'
systemctl daemon-reload
systemctl start systemd-modules-load || true
sysctl -q -p /etc/sysctl.d/90-k8sbootstrap.conf || true
cd /etc/systemd/system
systemctl enable --quiet docker kubelet kube-proxy
systemctl start docker
for image in /var/lib/k8sbootstrap/images/*; do docker load -q -i "$image"; done
if [ -e etcd.service ]; then
  systemctl enable --quiet etcd kube-apiserver kube-controller-manager kube-scheduler
  systemctl start etcd
  systemctl start kube-apiserver
  until curl -sfk https://127.0.0.1:6443/readyz; do sleep 0.1; done
  systemctl start kube-controller-manager kube-scheduler
else
  systemctl enable --quiet haproxy
  systemctl start haproxy
fi
END
}

join() { on "$1" systemctl start kubelet; }

connect() {
  on "$1" tar -x -p -C / <"$1/network.tar"
  on "$1" sh -eu -s <<END
sed -i '$(cat cidrs)' /etc/cni/net.d/10-k8sbootstrap.conflist /etc/k8sbootstrap/pod-network
systemctl daemon-reload
systemctl enable --quiet k8s-pod-network
systemctl reload-or-restart k8s-pod-network
systemctl start kube-proxy
END
}

in_parallel install "${new[@]}"
on "$master" kubectl --kubeconfig /etc/kubernetes/super-admin.conf apply -f - <join.json
in_parallel join "${new[@]}"
on "$master" sh -eu -s >cidrs <<END
export KUBECONFIG=/etc/kubernetes/admin.conf
form='{range .items[*]}s|@{.metadata.name}@|{.spec.podCIDR}|{"\n"}{end}'
until text=\$(kubectl get nodes -o jsonpath="\$form") && [ "\$(echo "\$text" | grep -c '/[0-9]*|')" = ${#nodes[@]} ]; do
  sleep 0.5
done
echo "\$text"
END
in_parallel connect "${nodes[@]}"
on "$master" sh -eu -s <<END
export KUBECONFIG=/etc/kubernetes/admin.conf
$(cat labels)
kubectl wait --for=condition=Ready node --all --timeout=120s
END
