#include "ordinal_counter.h"

#include "own_memory.h"

namespace leak_agent {

namespace {

// A sampler that has just been made has handed out no ordinal and no node but the root; some slack costs nothing.
constexpr uintptr_t kMaxFreshOrdinal = 1024;
constexpr uint32_t kMaxFreshNodeId = 1024;

// v8::internal::HeapProfiler has at least 14 words; what follows it may be unmapped, so the longer reads may fail.
constexpr size_t kProfilerWordChoices[] = {32, 16};

}  // namespace

void OrdinalCounter::RememberBefore(v8::HeapProfiler* profiler) {
  Forget();
  profiler_word_count_ = 0;
  for (const size_t words : kProfilerWordChoices) {
    if (!ReadOwnMemory(profiler, before_, words * sizeof(uintptr_t))) continue;
    profiler_word_count_ = words;
    return;
  }
}

void OrdinalCounter::Find(v8::Isolate* isolate, v8::HeapProfiler* profiler, uint64_t interval_bytes) {
  interval_bytes_ = interval_bytes;
  greatest_seen_ = 0;
  uintptr_t after[kMaxProfilerWords];
  if (profiler_word_count_ == 0 || !ReadOwnMemory(profiler, after, profiler_word_count_ * sizeof(uintptr_t))) {
    problem_ = "this process may not read its own memory";
    return;
  }
  size_t candidates = 0;
  size_t index = 0;
  for (size_t i = 0; i < profiler_word_count_; i++) {
    if (before_[i] != 0 || after[i] == 0 || !Matches(isolate, after[i])) continue;
    candidates++;
    index = i;
  }
  if (candidates != 1) {
    problem_ = candidates == 0 ? "V8's sampler has an unknown layout" : "V8's sampler was found in two places";
    return;
  }
  profiler_word_ = reinterpret_cast<volatile uintptr_t*>(profiler) + index;
  sampler_ = reinterpret_cast<volatile uintptr_t*>(after[index]);
  problem_ = "";
}

bool OrdinalCounter::Matches(v8::Isolate* isolate, uintptr_t candidate) const {
  uintptr_t words[kSamplerWordCount];
  if (candidate % sizeof(uintptr_t) != 0) return false;
  if (!ReadOwnMemory(reinterpret_cast<const void*>(candidate), words, sizeof(words))) return false;
  const uint32_t last_node_id = static_cast<uint32_t>(words[kLastNodeIdWord]);
  return words[kIsolateWord] == reinterpret_cast<uintptr_t>(isolate) && words[kHeapWord] != 0 &&
         words[kOrdinalWord] <= kMaxFreshOrdinal && last_node_id >= 1 && last_node_id <= kMaxFreshNodeId &&
         words[kObserverVtableWord] != 0 && words[kObserverStepWord] == interval_bytes_ &&
         words[kObserverProfilerWord] == candidate && words[kObserverHeapWord] == words[kHeapWord] &&
         words[kObserverRandomWord] != 0 && words[kObserverRateWord] == interval_bytes_;
}

void OrdinalCounter::Forget() {
  profiler_word_ = nullptr;
  sampler_ = nullptr;
  problem_ = "the sampler is not ours any more";
}

bool OrdinalCounter::StillOurs() {
  if (sampler_ == nullptr) return false;
  if (*profiler_word_ != reinterpret_cast<uintptr_t>(sampler_)) return false;
  if (sampler_[kObserverRateWord] != interval_bytes_) return false;
  if (Read() < greatest_seen_) return false;
  greatest_seen_ = Read();
  return true;
}

}  // namespace leak_agent
