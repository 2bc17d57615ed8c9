#include "worker/memory/thread_cache.h"

#include <map>
#include <new>
#include <vector>

#include "common/base/mutex.h"
#include "worker/memory/pool_resource.h"

namespace overwinter::worker {

constinit thread_local KnownCache last_cache;

namespace {

struct PoolRegistry {
  Mutex mutex;
  std::map<PoolNumber, PoolResource*> pools OW_GUARDED_BY(mutex);
  PoolNumber last OW_GUARDED_BY(mutex) = 0;
};

// Never ends: threads may end after everything else.
PoolRegistry& registry() {
  static auto* const all = new PoolRegistry;
  return *all;
}

constinit thread_local bool thread_is_ending = false;

struct CachesOfThread {
  std::vector<KnownCache> all;
  CachesOfThread() = default;
  CachesOfThread(const CachesOfThread&) = delete;
  CachesOfThread& operator=(const CachesOfThread&) = delete;
  ~CachesOfThread() {
    thread_is_ending = true;
    last_cache = {};
    PoolRegistry& known = registry();
    const MutexLock lock(known.mutex);
    for (const KnownCache& mine : all) {
      const auto at = known.pools.find(mine.pool);
      if (at != known.pools.end()) at->second->retire(*mine.cache);
    }
  }
};

}  // namespace

PoolNumber register_pool(PoolResource& pool) {
  PoolRegistry& known = registry();
  const MutexLock lock(known.mutex);
  known.pools[++known.last] = &pool;
  return known.last;
}

void forget_pool(PoolNumber number) {
  PoolRegistry& known = registry();
  const MutexLock lock(known.mutex);
  known.pools.erase(number);
}

ThreadCache* cache_of_this_thread(PoolResource& pool) {
  if (thread_is_ending) return nullptr;
  thread_local CachesOfThread mine;
  for (const KnownCache& known : mine.all) {
    if (known.pool != pool.number()) continue;
    last_cache = known;
    return known.cache;
  }
  try {
    PoolRegistry& known = registry();
    const MutexLock lock(known.mutex);
    std::erase_if(mine.all, [&](const KnownCache& c)
                                OW_REQUIRES(known.mutex) { return !known.pools.contains(c.pool); });
    mine.all.reserve(mine.all.size() + 1);
    mine.all.push_back({pool.number(), &pool.new_cache()});
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
  last_cache = mine.all.back();
  return last_cache.cache;
}

}  // namespace overwinter::worker
