#!/bin/bash
# kubeadm on the same hosts, by parallel SSH.
# usage: kubeadm.sh FOLDER copy|images|init    with FOLDER/images, and kubeadm.yaml among the files of the first master
# shellcheck source-path=SCRIPTDIR source=common.sh
source "${BASH_SOURCE[0]%/*}/common.sh"
lenient=--ignore-preflight-errors=SystemVerification # of the kernel's configuration, which lab hosts can't read

prepare() {
  copy "$1"
  on "$1" sh -eu -s <<'END'
# where the machine lacks CAP_SYS_RESOURCE, the lab's runc has to leave it out for kube-proxy, which is privileged
[ ! -e /usr/local/sbin/runc ] || sed -i 's|/"oomScoreAdj":0/|&;s/,"CAP_SYS_RESOURCE"//g|' /usr/local/sbin/runc
systemctl daemon-reload
systemctl start systemd-modules-load || true
sysctl -q -p /etc/sysctl.d/90-k8sbootstrap.conf || true
systemctl enable --quiet docker cri-dockerd kubelet
systemctl start docker cri-dockerd
END
}

load() {
  for image in images/*; do on "$1" docker load -q <"$image"; done
}

join() {
  on "$1" kubeadm join "$(cat endpoint)" --token "$(cat token)" --discovery-token-unsafe-skip-ca-verification \
    --cri-socket unix:///run/cri-dockerd.sock $lenient
}

case $2 in
  copy) in_parallel prepare "${nodes[@]}" ;;
  images) in_parallel load "${nodes[@]}" ;;
  init)
    on "$master" kubeadm init --config /etc/kubernetes/kubeadm.yaml --skip-phases=addon/coredns $lenient
    in_parallel join "${nodes[@]:1}"
    pod_cidrs
    in_parallel connect "${nodes[@]}"
    on "$master" sh -eu -s <<END
export KUBECONFIG=/etc/kubernetes/admin.conf
kubectl wait --for=condition=Ready node --all --timeout=120s
kubectl -n kube-system rollout status daemonset/kube-proxy --timeout=120s
END
    ;;
esac
