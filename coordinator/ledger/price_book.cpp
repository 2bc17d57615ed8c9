#include "coordinator/ledger/price_book.h"

namespace overwinter::ledger {

std::optional<PriceEntry> PriceBook::find(Time at, std::string_view device,
                                          std::string_view supplier, bool spot) const {
  const PriceEntry* named = nullptr;
  const PriceEntry* any = nullptr;
  for (const PriceEntry& entry : entries) {
    if (entry.device != device || entry.spot != spot || entry.from > at) continue;
    const bool is_any = entry.supplier.empty() || entry.supplier == "any";
    if (!is_any && (supplier.empty() || entry.supplier != supplier)) continue;
    const PriceEntry*& best = is_any ? any : named;
    if (best == nullptr || entry.from >= best->from) best = &entry;
  }
  if (named != nullptr) return *named;
  if (any != nullptr) return *any;
  return std::nullopt;
}

std::optional<Time> PriceBook::next_change(Time at) const {
  std::optional<Time> next;
  for (const PriceEntry& entry : entries) {
    if (entry.from > at && (!next || entry.from < *next)) next = entry.from;
  }
  return next;
}

}  // namespace overwinter::ledger
