// Isolate's thread. Finds and reads the ordinal counter inside V8's sampling heap profiler, a private object.
// Must never write to it, and must not read it unless V8's own pointer still leads to the sampler we started.
#ifndef LEAK_AGENT_NATIVE_ORDINAL_COUNTER_H_
#define LEAK_AGENT_NATIVE_ORDINAL_COUNTER_H_

#include <v8-profiler.h>
#include <v8.h>

#include <cstddef>
#include <cstdint>

namespace leak_agent {

// Words of v8::internal::SamplingHeapProfiler; the observer is a member, words 4 to 9.
// Seen alike in V8 11.3, 12.4, 13.6 and 14.6 on Linux x64 (src/profiler/sampling-heap-profiler.h).
enum SamplerWord : size_t {
  kIsolateWord = 0,
  kHeapWord = 1,
  kOrdinalWord = 2,
  kLastNodeIdWord = 3,  // low half
  kObserverVtableWord = 4,
  kObserverStepWord = 5,
  kObserverProfilerWord = 6,
  kObserverHeapWord = 7,
  kObserverRandomWord = 8,
  kObserverRateWord = 9,
  kSamplerWordCount = 10,
};

class OrdinalCounter {
 public:
  // Call right before StartSamplingHeapProfiler.
  void RememberBefore(v8::HeapProfiler* profiler);
  // Call right after it succeeded. `interval_bytes` should be a value that nobody else uses.
  void Find(v8::Isolate* isolate, v8::HeapProfiler* profiler, uint64_t interval_bytes);
  void Forget();

  bool found() const { return sampler_ != nullptr; }
  // Why it was not found; empty when it was.
  const char* problem() const { return problem_; }

  // Whether V8's sampler still is the one that was found. A counter that went backwards means a new sampler in old memory.
  bool StillOurs();
  // Only while StillOurs().
  uint64_t Read() const { return sampler_[kOrdinalWord]; }

  volatile uintptr_t* profiler_word() const { return profiler_word_; }
  volatile uintptr_t* sampler() const { return sampler_; }
  uint64_t interval_bytes() const { return interval_bytes_; }

 private:
  static constexpr size_t kMaxProfilerWords = 32;

  bool Matches(v8::Isolate* isolate, uintptr_t candidate) const;

  uintptr_t before_[kMaxProfilerWords] = {};
  size_t profiler_word_count_ = 0;
  volatile uintptr_t* profiler_word_ = nullptr;
  volatile uintptr_t* sampler_ = nullptr;
  uint64_t interval_bytes_ = 0;
  uint64_t greatest_seen_ = 0;
  const char* problem_ = "the sampler has not been started";
};

}  // namespace leak_agent

#endif  // LEAK_AGENT_NATIVE_ORDINAL_COUNTER_H_
