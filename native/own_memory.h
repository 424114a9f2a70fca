// Any thread. Reads this process's memory without ever faulting; must not be used on a hot path (three system calls each).
#ifndef LEAK_AGENT_NATIVE_OWN_MEMORY_H_
#define LEAK_AGENT_NATIVE_OWN_MEMORY_H_

#include <cstddef>

namespace leak_agent {

// Copies `bytes` from `from` to `to`. False when any of it is unmapped, or when the platform has no safe way.
bool ReadOwnMemory(const void* from, void* to, size_t bytes);

}  // namespace leak_agent

#endif  // LEAK_AGENT_NATIVE_OWN_MEMORY_H_
