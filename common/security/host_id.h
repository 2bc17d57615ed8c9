// Which machine this process runs on, as an id that tells two machines apart and gives nothing else
// away.
#pragma once

#include <string>
#include <string_view>

namespace overwinter {

// 16 hexadecimal digits: the first of SHA-256 over the cluster's name, /etc/machine-id, the
// kernel's boot id and the network and process namespaces. Equal for all processes of one machine,
// different after a reboot and on another machine, also on one made from a copied disk. Containers
// are machines of their own, even on one kernel and without a machine id: they reach each other by
// network alone, and cannot start processes for each other.
// The machine id itself must not leave the machine (machine-id(5)), hence the hash.
[[nodiscard]] std::string host_id(std::string_view cluster);

}  // namespace overwinter
