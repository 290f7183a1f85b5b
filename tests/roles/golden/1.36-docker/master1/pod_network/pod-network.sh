#!/bin/sh
# Managed by k8sbootstrap. Brings routes, VXLAN and firewall rules in line with /etc/k8sbootstrap/pod-network.
# "apply" may run at any time: it adds what is missing and removes what it once added and is no longer wanted.
# "missing" prints what somebody took off, one thing a line; "watch" goes on looking for that, and has it set again.
# "remove" takes everything off. Routes carry protocol 75, so that no one else's are touched.
set -eu

config=/etc/k8sbootstrap/pod-network
device=k8s-vxlan
proto=75

value() { awk -v key="$1" '$1 == key {print $2; exit}' "$config"; }

# the same MAC address from the same IPv4 address on every node, so that nodes need not ask each other
mac() { echo "$1" | awk -F. '{printf "02:4b:%02x:%02x:%02x:%02x", $1, $2, $3, $4}'; }

on_link() { ! ip -4 -o route get "$1" | grep -q ' via '; }

vxlan() {
  ip link show "$device" >/dev/null 2>&1 ||
    ip link add "$device" address "$(mac "$self")" type vxlan id 4096 local "$self" dstport 4789 nolearning
  ip link set "$device" up
}

rules() { # COMMAND, which is run for each rule with TABLE CHAIN RULE...
  pods=$(value pods)
  # pods reach each other under their own addresses, and everything else under the node's
  "$1" nat POSTROUTING -j K8SBOOTSTRAP-MASQ
  "$1" nat K8SBOOTSTRAP-MASQ -s "$pods" ! -d "$pods" ! -o cni0 -j MASQUERADE
  # hosts whose firewall drops forwarded packets by default (docker's does) still forward those of pods
  "$1" filter FORWARD -j K8SBOOTSTRAP-FORWARD
  "$1" filter K8SBOOTSTRAP-FORWARD -s "$pods" -j ACCEPT
  "$1" filter K8SBOOTSTRAP-FORWARD -d "$pods" -j ACCEPT
}

has_rule() { # TABLE CHAIN RULE...
  table=$1
  shift
  iptables -w -t "$table" -C "$@" 2>/dev/null
}

add_rule() { # TABLE CHAIN RULE...
  has_rule "$@" && return
  table=$1 name=$2
  shift 2
  case "$name" in
  K8SBOOTSTRAP-*) iptables -w -t "$table" -A "$name" "$@" ;;
  *) iptables -w -t "$table" -I "$name" "$@" ;;
  esac
}

name_if_missing() { # TABLE CHAIN RULE...
  has_rule "$@" || echo "rule $*"
}

unchain() {
  while iptables -w -t "$1" -D "$3" -j "$2" 2>/dev/null; do :; done
  iptables -w -t "$1" -F "$2" 2>/dev/null || true
  iptables -w -t "$1" -X "$2" 2>/dev/null || true
}

in_own() { # whether an address is in this node's own range
  echo "$1 $own" | awk -F'[ ./]' '{
    size = 2 ^ (32 - $9); a = (($1 * 256 + $2) * 256 + $3) * 256 + $4; b = (($5 * 256 + $6) * 256 + $7) * 256 + $8
    exit int(a / size) != int(b / size)
  }'
}

strange_addresses() { # those of pods, and of the bridge, that are not in this node's own range
  for file in /var/lib/cni/networks/k8sbootstrap/[0-9]*; do
    [ ! -e "$file" ] || in_own "${file##*/}" || echo "${file##*/}"
  done
  ip -4 -o addr show dev cni0 2>/dev/null | while read -r _ _ _ address _; do
    in_own "${address%/*}" || echo "${address%/*}"
  done
}

# A node that was deleted and has registered again may have another range. Its pods keep their old addresses, which
# nobody routes here any more: their sandboxes are ended, and the kubelet starts the pods again, with new addresses.
renumber() {
  own=$(value own)
  [ -n "$own" ] || return 0
  # kubelets look every 5 s for a changed CNI configuration: until then a new sandbox gets an old address again
  if strange_addresses | grep -q .; then sleep 6; fi
  for file in /var/lib/cni/networks/k8sbootstrap/[0-9]*; do
    [ -e "$file" ] || continue
    if in_own "${file##*/}"; then continue; fi
    id=$(head -n 1 "$file" | tr -cd '0-9a-f')
    if [ "$(printf %s "$id" | wc -c)" -eq 64 ]; then
      grep -l "$id" /proc/[0-9]*/cgroup 2>/dev/null | while IFS=/ read -r _ _ process _; do
        kill -9 "$process" 2>/dev/null || true
      done
    fi
    rm -f "$file"
  done
  ip -4 -o addr show dev cni0 2>/dev/null | while read -r _ _ _ address _; do
    in_own "${address%/*}" || ip addr del "$address" dev cni0
  done
}

apply() {
  self=$(value self)
  renumber
  wanted=" "
  while read -r kind address cidr; do
    [ "$kind" = node ] || continue
    wanted="$wanted$cidr "
    if on_link "$address"; then
      ip -4 route replace "$cidr" via "$address" proto "$proto"
    else
      vxlan
      gateway=${cidr%/*}
      ip neigh replace "$gateway" lladdr "$(mac "$address")" dev "$device" nud permanent
      bridge fdb replace "$(mac "$address")" dev "$device" dst "$address"
      ip -4 route replace "$cidr" via "$gateway" dev "$device" onlink proto "$proto"
    fi
  done <"$config"
  ip -4 -o route show proto "$proto" | while read -r cidr way; do
    case "$way" in "dev lo "*) continue ;; esac # kube-proxy's, to Services
    case "$wanted" in *" $cidr "*) ;; *) ip -4 route del "$cidr" proto "$proto" ;; esac
  done
  for chain in "nat K8SBOOTSTRAP-MASQ" "filter K8SBOOTSTRAP-FORWARD"; do
    iptables -w -t "${chain% *}" -N "${chain#* }" 2>/dev/null || true
  done
  rules add_rule
}

missing() {
  { ip -4 -o route show proto "$proto"; echo; bridge fdb show dev "$device" 2>/dev/null || true; echo; cat "$config"; } |
    awk -v device="$device" '
      !NF { part++; next }
      !part { way[$1] = $0 " " }
      part == 1 { known[$1] }
      part == 2 && $1 == "node" {
        split($2, of, ".")
        mac = sprintf("02:4b:%02x:%02x:%02x:%02x", of[1], of[2], of[3], of[4])
        if (!($3 in way) || index(way[$3], " dev " device " ") && !(mac in known)) print "route", $3
      }'
  rules name_if_missing
}

watch() {
  pause=5 before=
  while sleep "$pause"; do
    lost=$(missing)
    if [ -n "$lost" ] && [ "$lost" != "$before" ]; then echo "missing, set again: $lost"; fi
    if [ -n "$lost" ]; then systemctl reload-or-restart k8s-pod-network.service || true; fi
    # what can't be set yet, such as a route by an interface that is down, is tried less often
    if [ -n "$lost" ] && [ "$lost" = "$before" ]; then pause=15; else pause=5; fi
    before=$lost
  done
}

remove() {
  systemctl stop k8s-pod-network-watch.service 2>/dev/null || true
  ip -4 -o route show proto "$proto" | while read -r cidr _; do ip -4 route del "$cidr" proto "$proto"; done
  ip link del "$device" 2>/dev/null || true
  unchain nat K8SBOOTSTRAP-MASQ POSTROUTING
  unchain filter K8SBOOTSTRAP-FORWARD FORWARD
}

case "${1:-}" in
  apply) apply ;;
  missing) missing ;;
  watch) watch ;;
  remove) remove ;;
  *) echo "usage: $0 apply|missing|watch|remove" >&2; exit 2 ;;
esac
