// Isolate's thread. Owns V8's one sampling heap profiler while we are the ones who started it.
// Must never stop or read a sampler that somebody else started.
#ifndef LEAK_AGENT_NATIVE_SAMPLER_H_
#define LEAK_AGENT_NATIVE_SAMPLER_H_

#include <v8-profiler.h>
#include <v8.h>

#include <cstdint>

#include "capture.h"
#include "ordinal_counter.h"
#include "sample_ring.h"
#include "step_interposer.h"

namespace leak_agent {

enum class StartResult { kStarted, kForeign, kFailed };

class Sampler {
 public:
  explicit Sampler(v8::Isolate* isolate)
      : isolate_(isolate), profiler_(isolate->GetHeapProfiler()), ring_(isolate), interposer_(&ring_) {}

  // An even interval is made odd by one byte less: nobody else uses those, which is how a foreign sampler is told apart.
  StartResult Start(uint64_t interval_bytes, int stack_depth);
  void Stop();
  // Notices that somebody else stopped ours. Without a counter only a capture can notice.
  bool IsOurs();
  // Null when the sampler is gone; empty when out of memory.
  v8::MaybeLocal<v8::Value> Capture();
  void ResendNames() { writer_.ForgetSentNames(); }
  // -1 when unknown.
  double ReadOrdinal();
  // Null when there is no counter.
  v8::MaybeLocal<v8::Value> CounterView(v8::Local<v8::Context> context);
  const char* CounterProblem() const { return counter_.problem(); }

  bool Interpose(v8::Local<v8::Context> context, v8::Local<v8::Object> storage, v8::Local<v8::Function> drained);
  void RemoveInterposition();

  SampleRing& ring() { return ring_; }
  // Nanoseconds that V8 takes to build and drop one profile; 0 without a sampler.
  double TimeAllocationProfile();

 private:
  v8::Local<v8::Uint32Array> ViewOf(volatile uintptr_t* words, size_t word_count) const;
  void Lose();

  v8::Isolate* const isolate_;
  v8::HeapProfiler* const profiler_;
  bool started_ = false;
  OrdinalCounter counter_;
  CaptureWriter writer_;
  SampleRing ring_;
  StepInterposer interposer_;
};

}  // namespace leak_agent

#endif  // LEAK_AGENT_NATIVE_SAMPLER_H_
