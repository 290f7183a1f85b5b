#!/bin/sh
# Managed by k8sbootstrap
# Starts etcd where the data of this member is. Without it etcd would begin a new, empty cluster, or take part in
# the old one without what it has confirmed there. Only k8sbootstrap allows that, once: /run/k8sbootstrap/etcd-begin
# holds the state that the member then starts in, and the members of the cluster. A member with data knows them.
set -eu
state=
cluster=master1=https://10.0.0.11:2380
for wal in /var/lib/etcd/member/wal/*.wal; do
  if [ -e "$wal" ]; then
    state=existing
  fi
done
if [ -z "$state" ] && [ -r /run/k8sbootstrap/etcd-begin ]; then
  read -r state cluster </run/k8sbootstrap/etcd-begin
fi
if [ -z "$state" ]; then
  echo "<3>etcd does not start: its data belongs in /var/lib/etcd/member/wal, and nothing is there." \
    "An empty member would begin a new cluster, without anything that the old one held." >&2
  echo "<3>Is a disk not mounted there, or is the folder not etcd's own (chown -R etcd:etcd)? Mount it, or put the" \
    "data back, then: systemctl start etcd. If it is lost, k8sbootstrap plan says what can be done." >&2
  exit 78
fi
exec "$@" "--initial-cluster-state=$state" "--initial-cluster=$cluster"
