#!/bin/bash
# The floor of an installation: what k8sbootstrap brings to new hosts, brought there by plain parallel SSH. No checks,
# and no waits but those without which the next step could not work.
# usage: install.sh FOLDER
# shellcheck source-path=SCRIPTDIR source=common.sh
source "${BASH_SOURCE[0]%/*}/common.sh"
mapfile -t new <new

install() {
  copy "$1"
  on "$1" sh -eu -s <<'END'
systemctl daemon-reload
systemctl start systemd-modules-load || true
sysctl -q -p /etc/sysctl.d/90-k8sbootstrap.conf || true
cd /etc/systemd/system
systemctl enable --quiet docker cri-dockerd kubelet kube-proxy
systemctl start docker cri-dockerd
for image in /var/lib/k8sbootstrap/images/*; do docker load -q -i "$image"; done
if [ -e etcd.service ]; then
  systemctl enable --quiet etcd kube-apiserver kube-controller-manager kube-scheduler
  install -d /run/k8sbootstrap
  echo new >/run/k8sbootstrap/etcd-begin # without it etcd does not start without data
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

start_proxy() { on "$1" systemctl start kube-proxy; }

in_parallel install "${new[@]}"
on "$master" kubectl --kubeconfig /etc/kubernetes/super-admin.conf apply -f - <join.json
in_parallel join "${new[@]}"
pod_cidrs
in_parallel connect "${nodes[@]}"
in_parallel start_proxy "${new[@]}"
on "$master" sh -eu -s <<END
export KUBECONFIG=/etc/kubernetes/admin.conf
$(cat labels)
kubectl wait --for=condition=Ready node --all --timeout=120s
END
